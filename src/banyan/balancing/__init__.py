"""LOSSES -> GRADIENTS: one file a balancer. Knows neither tasks nor tables: it sees losses of views."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor, nn

from banyan.errors import ConfigError


class Balancer(nn.Module, ABC):
    """Turns the losses of a step into gradients. Its state is its buffers and parameters, saved with `state_dict`.

    Views without a label in a step are not in `present`; their state stays exactly as it was.
    """

    least = 1  # fewest views in the whole model with which the method makes sense; fewer is a ConfigError of `__init__`
    reads_shared = False  # False when the method never looks at `shared`, which the loop may then leave empty
    looks_back = False  # True when the loop must call `after` with the losses recomputed on the same batch after the step

    def __init__(self, views: int) -> None:
        """`views` is V, the number of losses of the whole model. Raises ConfigError when they are fewer than `least`."""
        super().__init__()
        if views < self.least:
            name = type(self).__module__.rpartition(".")[2]
            raise ConfigError(f"balancing {name!r} weighs losses against each other and needs at least {self.least}; this model has {views}. Write 'fixed'.")
        self.views = views

    @abstractmethod
    def backward(self, losses: Float[Tensor, " P"], present: Sequence[int], shared: Sequence[Tensor]) -> Float[Tensor, " P"]:
        """Leave gradients on every parameter that `losses` reach; `losses[i]` belongs to view `present[i]`.

        `shared` holds the tensors that two or more of these losses reach: the only ones a gradient method may treat specially.
        Returns the weight that each loss got (detached, for the log; of a method without weights, the implied one or 1).
        """

    def after(self, losses: Float[Tensor, " P"], present: Sequence[int]) -> None:
        """Look at the losses of the same batch after the step; only called when `looks_back`."""

    def epoch(self) -> None:
        """Called once at the end of every epoch."""
