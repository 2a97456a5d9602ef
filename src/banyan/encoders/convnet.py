"""The pixels of a small picture to a token, by a network that is trained from scratch."""

from math import isqrt

import torch
from jaxtyping import Float
from torch import Tensor, nn

from banyan.encoders import Encoder
from banyan.encoders._needs import inputs_needed, needed
from banyan.errors import ConfigError
from banyan.parts import Share, Size
from banyan.types import Column

GROUP = 8  # channels that are normalised together (Wu and He, ECCV 2018): no row sees its neighbours


class Convnet(Encoder):
    """Convolutions of stride 2 until few places are left, then the mean and the most of each channel. Missing: a learned vector.

    In training each picture is moved by up to an eighth of its side, turned left to right in half of the steps, and seen in another light.

    channels: of the first layer, a multiple of 8; each further one has as many more. dropout: share of the pooled channels zeroed in training.
    """

    def __init__(self, width: int, inputs: int, *, channels: Size = 32, dropout: Share = 0.2) -> None:
        super().__init__(width, inputs)
        inputs_needed(inputs, "convnet")
        self.side = isqrt(inputs // 3)
        if 3 * self.side**2 != inputs or self.side < 8:
            raise ConfigError(f"The encoder 'convnet' reads small square pictures, and this feature has {inputs} numbers; give the feature `pixels: 48`.")
        if channels % GROUP:
            raise ConfigError(f"encoders 'convnet': channels is {channels}; it is a multiple of {GROUP}.")
        layers: list[nn.Module] = []
        before, side = 3, self.side
        while side > 3:
            after = before + channels if layers else channels
            layers += [nn.Conv2d(before, after, 3, stride=2, padding=1), nn.GroupNorm(after // GROUP, after), nn.GELU()]
            before, side = after, (side + 1) // 2
        self.layers = nn.Sequential(*layers)
        self.head = nn.Sequential(nn.Dropout(dropout), nn.Linear(2 * before, width))
        self.missing = nn.Parameter(torch.randn(width) * width**-0.5)

    def forward(self, column: Column) -> Float[Tensor, "n D"]:
        """Numbers (n, 3 * side^2) from 1 to 255, rows and columns of RGB; known (n, 3 * side^2) -> (n, D)."""
        numbers = needed(column.numbers, "convnet", "the pixels of a picture")
        known = torch.ones_like(numbers, dtype=torch.bool) if column.known is None else column.known
        pictures = torch.where(known, numbers, 0).clamp(0, 255).view(-1, self.side, self.side, 3).permute(0, 3, 1, 2) / 127.5 - 1
        maps = self.layers(_changed(pictures) if self.training else pictures)
        token = self.head(torch.cat([maps.mean((2, 3)), maps.amax((2, 3))], 1))
        return torch.where(known.any(1, keepdim=True), token, self.missing)


def _changed(pictures: Float[Tensor, "n 3 s s"]) -> Float[Tensor, "n 3 s s"]:
    """Moved, turned and lit by draws from torch's global generator."""
    n, side = len(pictures), pictures.shape[-1]
    reach = side // 8
    where = torch.arange(side, device=pictures.device)
    down, across = (torch.randint(-reach, reach + 1, (n, 1), device=pictures.device) for _ in range(2))
    rows, columns = ((where + move).clamp(0, side - 1) for move in (down, across))
    columns = torch.where(torch.rand(n, 1, device=pictures.device) < 0.5, columns.flip(1), columns)
    moved = pictures[torch.arange(n, device=pictures.device)[:, None, None], :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)
    light = 1 + 0.3 * (torch.rand(n, 1, 1, 1, device=pictures.device) - 0.5)
    tint = 0.1 * (torch.rand(n, 3, 1, 1, device=pictures.device) - 0.5)
    return moved * light + tint
