"""STEM: every view has embeddings of its own beside shared ones, and reads the others' without moving them."""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from banyan.sharing import Sharing
from banyan.sharing._blocks import Experts, Gates, mix, refuse
from banyan.types import Sizes


class Stem(Sharing):
    """Shared and task-specific embeddings, all forward and task-specific backward (Su et al., AAAI 2024, section 4).

    view_v = sum over shared experts of g_v,e e(x_0) + sum over views u and their experts of g_v,u,e e_u(x_u), where u's outputs carry no gradient
    unless u = v; g_v = softmax(G_v [x_0, x_v]); x_0 are the tokens of the shared copy of the embedding tables, x_u those of u's own.

    What one answer knows of a user that another denies needs two vectors, not one (the paper's "embedding collapse" of users with
    opposite behaviour). Memory of the embedding tables grows with the number of views. With a single copy all experts read it.
    """

    @classmethod
    def copies(cls, views: int) -> int:
        """One shared, and one for each view."""
        return views + 1

    def __init__(self, sizes: Sizes, *, shared: int = 2, own: int = 1, layers: tuple[int, ...] = (128, 64), dropout: float = 0.0) -> None:
        """`shared`, `own`: how many experts read the shared copy, and each view's. `layers`: sizes of an expert, the last is H."""
        super().__init__(sizes)
        refuse("stem", layers=layers, dropout=dropout, shared=shared, own=own)
        self.width = layers[-1]
        inputs = sizes.flat // sizes.copies
        self.common = Experts(inputs, layers, shared, dropout)
        self.own = nn.ModuleList([Experts(inputs, layers, own, dropout) for _ in range(sizes.views)])
        self.gates = Gates(inputs * min(sizes.copies, 2), shared + own * sizes.views, sizes.views)

    def forward(self, x: Float[Tensor, "B S D"], scenario: Int[Tensor, " B"], views: Sequence[int]) -> Float[Tensor, "V B H"]:
        """All experts forward; gradients only to the shared ones and to those of the view itself."""
        copies = [each.flatten(1) for each in x.chunk(self.sizes.copies, 2)]
        common: list[Tensor] = self.common(copies[0])
        own: list[list[Tensor]] = []
        for view, experts in enumerate(self.own):
            with torch.set_grad_enabled(torch.is_grad_enabled() and view in views):
                own.append(experts(copies[view + 1 if len(copies) > 1 else 0]))
        found = []
        for view in views:
            weight, bias = self.gates.of(view)
            seen = torch.cat([copies[0], copies[view + 1]], 1) if len(copies) > 1 else copies[0]
            gate = functional.linear(seen, weight, bias).softmax(-1)
            others = [each if of == view else each.detach() for of, all_ in enumerate(own) for each in all_]
            found.append(mix(gate[:, None], [*common, *others])[0])
        return torch.stack(found)

    def owned(self, view: int) -> list[nn.Parameter]:
        """The view's experts and its gate; its copy of the embeddings is moved by it alone too, and is no parameter."""
        return [*self.own[view].parameters(), *self.gates.of(view)]
