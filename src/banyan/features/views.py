"""Other looks of the same picture: cropped, turned left to right, in another light. What it shows stays what it is."""

import numpy as np

from banyan.types import Array

LEAST_AREA = 0.7  # of a crop
LIGHT = 0.15  # most change of brightness and contrast
SATURATION = 0.2  # most change of it: colours stay what people would call them


def changed(pixels: Array, side: int, rng: np.random.Generator) -> Array:
    """(side, side, 3) uint8 of a picture (s, s, 3) uint8 with s >= side."""
    full = len(pixels)
    edge = round(full * float(np.sqrt(rng.uniform(LEAST_AREA, 1))))
    top, left = rng.integers(0, full - edge + 1, 2)
    place = ((np.arange(side) + 0.5) * edge / side).astype(int)
    found = pixels[top + place][:, left + place].astype(np.float32)
    found = found[:, ::-1] if rng.random() < 0.5 else found
    grey = found.mean(2, keepdims=True)
    found = grey + (found - grey) * rng.uniform(1 - SATURATION, 1 + SATURATION)
    found = (found - found.mean()) * rng.uniform(1 - LIGHT, 1 + LIGHT) + found.mean() * rng.uniform(1 - LIGHT, 1 + LIGHT)
    changed: Array = np.clip(found, 0, 255).astype(np.uint8)
    return changed
