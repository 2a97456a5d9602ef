"""Pictures that are searched with: the nearest are those that look alike; what is no picture is refused with the reason before much is decoded."""

import io
import struct
import zlib

import numpy as np
import polars as pl
import pytest

from banyan.errors import DataError
from banyan.features.pictures import Pictures
from banyan.retrieval.sketch import Sketch
from banyan.serving.nearby import MOST_BYTES, Nearby, Space, looked_at
from banyan.store.schema import Feature

Image = pytest.importorskip("PIL.Image")
FEATURE = Feature(kind="image", network="colours")
COLOURS = [(200, 20, 20), (20, 20, 200), (20, 160, 40), (240, 220, 30)]


def picture(colour: tuple[int, int, int], shade: int = 0) -> bytes:
    kept = io.BytesIO()
    Image.new("RGB", (24, 24), tuple(max(each - shade, 0) for each in colour)).save(kept, "PNG")
    return kept.getvalue()


def bomb(side: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)) + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")
    )


@pytest.fixture(scope="module")
def nearby() -> Nearby:
    vectors = Pictures().arrays(pl.Series([None, *(picture(each) for each in COLOURS)], dtype=pl.Binary), FEATURE, "pictures")
    found = object.__new__(Nearby)  # of pictures alone, without a bundle
    found.texts, found.pictures = {}, {"photo": Space(FEATURE, Sketch(vectors))}
    return found


@pytest.mark.parametrize("place", range(len(COLOURS)))
def test_what_looks_alike_is_nearest(nearby: Nearby, place: int) -> None:
    (seen,) = nearby.of_picture(picture(COLOURS[place], 2), 3, np.ones(len(COLOURS) + 1, bool))
    assert seen.near.rows[0] == place + 1
    assert 0 not in seen.near.rows
    share = seen.share(np.arange(len(COLOURS) + 1))
    assert share.argmax() == place + 1
    assert ((share >= 0) & (share <= 1)).all()


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        (b"not a picture", "not a picture"), (picture(COLOURS[0])[:50], "damaged"), (bomb(5_000), "too many pixels"), (bytes(MOST_BYTES + 1), "too many bytes"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not a picture"), (b"", "not a picture"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_refused_with_the_reason(sent: bytes, reason: str) -> None:
    with pytest.raises(DataError, match=f"cannot be read: {reason}"):
        looked_at(sent, FEATURE)
