"""Parts, rows and a loss that the tests of sharing architectures have in common."""

import torch
from torch import Tensor

from banyan import parts
from banyan.sharing import Sharing
from banyan.types import Sizes

VIEWS = 4
SIZES = Sizes(slots={"user": slice(0, 2), "item": slice(2, 5)}, width=8, views=VIEWS, parents=(None, 0, 1, None), scenarios=2)
ROWS = 12


def make(spec: parts.Spec, sizes: Sizes = SIZES, seed: int = 0) -> Sharing:
    torch.manual_seed(seed)
    part = parts.build("sharing", spec, sizes)
    assert isinstance(part, Sharing)
    return part


def rows(count: int = ROWS, sizes: Sizes = SIZES) -> tuple[Tensor, Tensor]:
    draw = torch.Generator().manual_seed(7)
    return torch.randn(count, sizes.tokens, sizes.width, generator=draw), torch.randint(0, sizes.scenarios, (count,), generator=draw)


def loss_of(view: Tensor) -> Tensor:
    """A loss that no symmetry makes flat: a fixed random direction of each view."""
    return (view.float() * torch.randn(view.shape, generator=torch.Generator().manual_seed(3))).sum()
