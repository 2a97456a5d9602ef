"""What colours a picture has: histograms in CIE Lab of what stands out from its border, and of five places of it. No network, nothing trained.

Networks trained to name things learn not to look at colour; a histogram beside their vector brings it back (compare Swain and Ballard, IJCV 1991).
"""

import numpy as np

from banyan.types import Array

SIDE = 32  # pixels a side that are counted
STEPS = (6, 9, 9)  # bins of L*, a* and b* of the whole
COARSE = (3, 5, 5)  # of each place
PLACES = ((0, 16, 0, 16), (0, 16, 16, 32), (16, 32, 0, 16), (16, 32, 16, 32), (9, 23, 9, 23))  # rows and columns: four quarters and the middle
WIDTH = int(np.prod(STEPS)) + len(PLACES) * int(np.prod(COARSE)) + 6  # entries of the vector
_LOW, _HIGH = np.array([0.0, -60.0, -60.0]), np.array([100.0, 80.0, 80.0])  # Lab values that the bins span; what lies beyond counts as the edge
_MATRIX = np.array([[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]])  # linear sRGB -> XYZ, D65
_CORNERS = np.array(list(np.ndindex(2, 2, 2)))
_WHITE = np.array([0.95047, 1.0, 1.08883])
_STRAIGHT = np.where(np.arange(256) / 255 <= 0.04045, np.arange(256) / 255 / 12.92, ((np.arange(256) / 255 + 0.055) / 1.055) ** 2.4)  # sRGB -> linear


def lab(pixels: Array) -> Array:
    """(..., 3) uint8 sRGB -> (..., 3) float64 CIE L*a*b* (CIE 15:2004, eq. 8.3 to 8.10; white D65)."""
    x = _STRAIGHT[pixels] @ (_MATRIX / _WHITE[:, None]).T
    f = np.where(x > (6 / 29) ** 3, np.cbrt(x), x / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.stack([116 * f[..., 1] - 16, 500 * (f[..., 0] - f[..., 1]), 200 * (f[..., 1] - f[..., 2])], -1)


def histograms(pixels: Array) -> Array:
    """(WIDTH,) float32 of one picture (SIDE, SIDE, 3) uint8: roots of the shares of each bin, then mean and deviation of what stands out.

    Every pixel counts for as much as it differs from the border, and the more the nearer it lies to the middle.
    """
    found = lab(pixels)
    weight = _standing_out(found)
    parts = [_shares(found, weight, STEPS), *(_shares(found[a:b, c:d], weight[a:b, c:d], COARSE) for a, b, c, d in PLACES)]
    flat, w = found.reshape(-1, 3), weight.reshape(-1, 1) / weight.sum()
    mean = (flat * w).sum(0)
    spread = np.sqrt((np.square(flat - mean) * w).sum(0))
    return np.concatenate([*parts, mean / 50, spread / 50]).astype(np.float32)


def _standing_out(found: Array) -> Array:
    """(h, w) in (0, 1]: 1 - exp(-(d / 15)^2) of the distance to the border's median colour, times a bell around the middle."""
    border = np.concatenate([found[0], found[-1], found[:, 0], found[:, -1]])
    distance = np.square(found - np.median(border, 0)).sum(-1)
    place = np.linspace(-1, 1, len(found))
    bell = np.exp(-(np.square(place)[:, None] + np.square(place)))
    return np.asarray((1 - np.exp(-distance / 15**2)) * bell + 1e-3)


def _shares(found: Array, weight: Array, steps: tuple[int, int, int]) -> Array:
    """Roots of the shares (Hellinger's map); each pixel is shared between the two nearest bins of each axis."""
    place = np.clip((found.reshape(-1, 3) - _LOW) / (_HIGH - _LOW), 0, 1) * (np.array(steps) - 1)
    low = np.minimum(place.astype(np.int64), np.array(steps) - 2)
    part, strides = place - low, np.array([steps[1] * steps[2], steps[2], 1])
    axes = [np.stack([(1 - part[:, i]), part[:, i]], 1) for i in range(3)]
    shares = (axes[0][:, :, None, None] * axes[1][:, None, :, None] * axes[2][:, None, None, :]).reshape(-1, 8) * weight.reshape(-1, 1)
    bins = (low @ strides)[:, None] + _CORNERS @ strides
    total = np.bincount(bins.reshape(-1), shares.reshape(-1), minlength=int(np.prod(steps)))
    spread: Array = np.sqrt(total / total.sum())
    return spread
