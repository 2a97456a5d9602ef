"""Adam for an embedding table that touches only the rows seen in the batch."""

import torch
from jaxtyping import Float, Int
from torch import Tensor


class LazyAdam:
    """Adam (Kingma and Ba, 2015, algorithm 1) on the rows of a table that a step read; all other rows and their moments stay.

    Time and memory traffic of a step grow with the rows read, not with the table. Bias is corrected by the number of steps
    of the whole table, as in the sparse Adam of the common frameworks.
    """

    def __init__(self, weight: Float[Tensor, "R D"], *, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8) -> None:
        self.weight, self.betas, self.eps = weight, betas, eps
        self.mean = torch.zeros_like(weight)
        self.square = torch.zeros_like(weight)
        self.steps = 0

    @torch.no_grad()
    def step(self, rows: Int[Tensor, " U"], leaf: Float[Tensor, "U D"], lr: float) -> None:
        """Move `rows` (each once), whose values `leaf` holds and whose gradient is `leaf.grad`."""
        self.steps += 1
        gradient = leaf.grad
        if gradient is None:
            return
        first, second = self.betas
        mean = self.mean.index_select(0, rows).lerp_(gradient, 1 - first)
        square = self.square.index_select(0, rows).mul_(second).addcmul_(gradient, gradient, value=1 - second)
        self.mean.index_copy_(0, rows, mean)
        self.square.index_copy_(0, rows, square)
        size = lr * (1 - second**self.steps) ** 0.5 / (1 - first**self.steps)
        scale = square.sqrt_().add_(self.eps * (1 - second**self.steps) ** 0.5)
        self.weight.index_copy_(0, rows, leaf.detach().addcdiv_(mean, scale, value=-size))

    def state(self) -> dict[str, Tensor]:
        """Everything that a checkpoint needs."""
        return {"mean": self.mean, "square": self.square, "steps": torch.tensor(self.steps)}

    def load(self, state: dict[str, Tensor]) -> None:
        """Go on from what `state` gave."""
        self.mean.copy_(state["mean"])
        self.square.copy_(state["square"])
        self.steps = int(state["steps"])
