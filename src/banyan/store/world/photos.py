"""The planted store's photos: each item drawn as a thing of two colours, which say what its picture vector says; the outline says its category.

Tastes 1 and 2 of the part that only a picture shows are the colour of the thing (red or green, yellow or blue), tastes 3 and 4 that of its middle. A
category is an outline of 3 to 8 corners, with straight or with hollow sides. How a thing is turned, how large it is and how light the wall behind it
is say nothing.
"""

import struct
import zlib

import numpy as np

from banyan.types import Array

SIDE = 64  # pixels
CHUNK = 256  # photos that are drawn at once
_AXES = np.array([[70.0, -70.0, 0.0], [35.0, 35.0, -70.0]])  # what a taste adds to red, green and blue


def drawn(shown: Array, category: Array, seed: int) -> list[bytes]:
    """A PNG file for each item, from the tastes (n, 4) that its picture shows and its category's code (n,)."""
    rng = np.random.default_rng([seed, 64])
    turn, size, wall = rng.random(len(shown)) * 2 * np.pi, rng.uniform(0.72, 0.9, len(shown)), rng.uniform(170, 235, len(shown))
    found: list[bytes] = []
    for start in range(0, len(shown), CHUNK):
        at = slice(start, start + CHUNK)
        found += [_png(each) for each in _pixels(shown[at], category[at], turn[at], size[at], wall[at])]
    return found


def _pixels(shown: Array, category: Array, turn: Array, size: Array, wall: Array) -> Array:
    """(n, SIDE, SIDE, 3) uint8."""
    place = (np.arange(SIDE) + 0.5) / SIDE * 2 - 1
    radius, angle = np.hypot(place[:, None], place), np.arctan2(place[:, None], place)
    corners, hollow = (3 + category % 6)[:, None, None], (category // 6)[:, None, None] == 1
    sector = (angle - turn[:, None, None]) % (2 * np.pi / corners) - np.pi / corners  # 0 in the middle of a side
    straight = np.cos(np.pi / corners) / np.cos(sector)
    edge = size[:, None, None] * np.where(hollow, 0.45 + 0.55 * (np.abs(sector) * corners / np.pi) ** 2, straight)
    colours = [np.broadcast_to(wall[:, None], (len(wall), 3)), _colour(shown[:, :2]), _colour(shown[:, 2:])]
    layer = (radius < edge).astype(np.int64) + (radius < 0.42 * edge)
    return np.asarray(np.stack(colours, 1)[np.arange(len(shown))[:, None, None], layer].round().clip(0, 255).astype(np.uint8))


def _colour(tastes: Array) -> Array:
    """(n, 2) -> (n, 3): one taste from green to red, one from blue to yellow."""
    return np.asarray(140 + np.tanh(0.7 * tastes) @ _AXES)


def _png(pixels: Array) -> bytes:
    """A picture (h, w, 3) as a PNG file (ISO/IEC 15948): 8 bits a colour, no filter."""
    height, width, _ = pixels.shape
    rows = np.concatenate([np.zeros((height, 1), np.uint8), pixels.reshape(height, -1)], 1)
    parts = ((b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)), (b"IDAT", zlib.compress(rows.tobytes(), 9)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in parts)
