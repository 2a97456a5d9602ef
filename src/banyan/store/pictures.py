"""A picture as the shop has it (a file, or bytes in a column) -> upright RGB pixels, or the reason why it cannot be one.

Nothing is fetched, nothing outside of the feature's folder is opened, and no more is decoded than the limits below allow. Knows no network and no vector.
"""

import hashlib
import io
import os
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
import polars as pl

from banyan.errors import DataError, MissingExtraError
from banyan.types import Array

FORMATS = ("JPEG", "PNG", "GIF", "WEBP", "BMP")  # the decoders that are tried; none of them runs a program or follows a link
MOST_BYTES = 32_000_000  # of one file
MOST_PIXELS = 64_000_000  # of one picture, by its header, before anything is decoded
MOST_FRAMES = 500  # of a moving picture, and files of a folder, that are looked at
MOST_COLUMN = 4_000_000_000  # bytes of all pictures that lie in one column
LEAST = 8  # pixels a side: what is smaller is a marker, not a picture
MOST_BROKEN = 0.5  # share of a column's pictures that may be broken
REASONS = (  # and only these
    "no such file",
    "not a picture",
    "damaged",
    "too many bytes",
    "too many pixels",
    "too small",
)


class Broken(Exception):
    """This picture cannot be read; the text is one of `REASONS`."""


def column(values: pl.Series, where: str, folder: Path) -> pl.Series:
    """Bytes as they are, or the paths of files written out in full; an empty one is missing. Raises DataError.

    A path begins at `folder`. An address such as https://cdn.shop/a/17.jpg?w=300 is never fetched: it stands for the file a/17.jpg below
    `folder`, where `wget -x -nH` and `aws s3 sync` put it. A path that leaves `folder` is refused, whoever wrote it.
    """
    if values.dtype == pl.Binary:
        if (size := int(values.bin.size().sum() or 0)) > MOST_COLUMN:
            most = f"at most {MOST_COLUMN / 1e9:.0f} GB of pictures may lie in one column"
            raise DataError(f"{where} holds {size / 1e9:.1f} GB; {most}. Write them as files and let the column hold their paths.")
        return values.to_frame("p").select(pl.when(pl.col("p").bin.size() > 0).then(pl.col("p")))["p"].rename(values.name)
    if values.dtype == pl.Null:
        return values.cast(pl.String)
    if values.dtype != pl.String:
        raise DataError(f"{where} holds {values.dtype}; pictures are paths of files, their addresses, or the bytes of the files.")
    return _paths(values, where, Path(os.path.abspath(folder)))


def _paths(values: pl.Series, where: str, folder: Path) -> pl.Series:
    bare = values.str.strip_chars().replace("", None)
    of_address = bare.str.extract(r"^[A-Za-z][A-Za-z0-9+.-]*://[^/]*/?([^?#]*)").map_elements(unquote, return_dtype=pl.String)
    root = f"{folder}{os.sep}"
    below = bare.to_frame("p").select(pl.when(pl.col("p").str.starts_with(root)).then(pl.col("p").str.strip_prefix(root)).otherwise(pl.col("p")))["p"]
    relative = pl.select(pl.coalesce(of_address, below)).to_series()
    outside = relative.str.contains(r"^/|^[A-Za-z]:[\\/]|(^|[\\/])\.\.([\\/]|$)|\x00").fill_null(False)
    if outside.any():
        row = int(outside.arg_max() or 0)
        rule = f"a picture lies below {folder}; name the folder that holds them all as what the feature is `under`"
        raise DataError(f"{where}, row {row + 1}: {values[row]!r}; {rule}. Such rows: {int(outside.sum())}.")
    return relative.to_frame("p").select((pl.lit(root) + pl.col("p")).alias(values.name))[values.name]


def pixels(source: bytes | str, side: int, frames: int = 1, most: int = MOST_PIXELS) -> Array:
    """(F, side, side, 3) uint8: one frame, or at most `frames` evenly spaced ones of a moving picture or of a folder of pictures.

    Sides are made equal, the whole picture is kept. Turned as its EXIF orientation says; what is transparent becomes white; grey, palette, 16-bit
    and CMYK pictures become RGB. At most `most` pixels are decoded. Raises Broken.
    """
    if isinstance(source, str) and os.path.isdir(source):
        return np.concatenate([pixels(path, side, most=most) for path in _spread(_files(Path(source)), frames)])
    raw = source if isinstance(source, bytes) else _bytes(source)
    if len(raw) > MOST_BYTES:
        raise Broken("too many bytes")
    library = _pillow()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what Pillow warns of is either refused below or harmless
        with _opened(library, raw) as picture:
            _measured(picture.size, most)
            try:
                found = [_frame(library, picture, number, side) for number in _spread(range(min(getattr(picture, "n_frames", 1), MOST_FRAMES)), frames)]
            except Broken:
                raise
            except Exception as error:  # decoders raise whatever they like on hostile bytes: one picture is missing then, not the run
                raise Broken("damaged") from error
    return np.stack(found)


def _pillow() -> Any:
    try:
        from PIL import Image, ImageOps
    except ImportError as error:
        raise MissingExtraError("Pictures as a feature", "images") from error
    return Image, ImageOps


def content(path: str) -> bytes:
    """What tells one picture from another: a file's bytes, or those of all of a folder's pictures. Raises Broken."""
    if os.path.isdir(path):
        return b"".join(hashlib.blake2b(_bytes(each), digest_size=16).digest() for each in _files(Path(path)))
    return _bytes(path)


def _bytes(path: str) -> bytes:
    try:
        if not os.path.isfile(path):
            raise Broken("no such file")
        with open(path, "rb") as file:
            return file.read(MOST_BYTES + 1)
    except OSError as error:
        raise Broken("no such file") from error


def _files(folder: Path) -> list[str]:
    with os.scandir(folder) as entries:
        found = sorted(entry.path for entry in entries if entry.is_file() and not entry.name.startswith("."))
    if not found:
        raise Broken("no such file")
    return found[:MOST_FRAMES]


def _spread(of: Sequence[Any], most: int) -> list[Any]:
    """At most so many, evenly spaced; the first one where one is asked for."""
    if len(of) <= most:
        return list(of)
    return [of[i] for i in np.linspace(0, len(of) - 1, most).round().astype(int)] if most > 1 else [of[0]]


def _opened(library: Any, raw: bytes) -> Any:
    image, _ = library
    try:
        return image.open(io.BytesIO(raw), formats=FORMATS)
    except image.DecompressionBombError as error:
        raise Broken("too many pixels") from error
    except Exception as error:  # decoders raise whatever they like on hostile bytes, see `pixels`
        raise Broken("not a picture") from error


def _measured(size: tuple[int, int], most: int) -> None:
    if size[0] * size[1] > most:
        raise Broken("too many pixels")
    if min(size) < LEAST:
        raise Broken("too small")


def _frame(library: Any, picture: Any, number: int, side: int) -> Array:
    image, turned = library
    if number:
        picture.seek(number)
    else:
        picture.draft("RGB", (2 * side, 2 * side))  # JPEG: decoded at an eighth to a half where that is enough; other formats ignore it
    now = picture.copy() if number else picture
    now.load()
    if now.mode in ("I;16", "I;16B", "I;16L", "I", "F"):
        now = image.fromarray(_eight_bits(np.asarray(now, np.float64)))
    if now.has_transparency_data:
        now = now.convert("RGBA")
        now = image.alpha_composite(image.new("RGBA", now.size, "white"), now)
    try:
        now = turned.exif_transpose(now) if number == 0 else now
    except Exception:  # an EXIF block that cannot be read says nothing of how to turn it
        now = now.copy()
    return np.asarray(now.convert("RGB").resize((side, side), image.Resampling.BICUBIC, reducing_gap=3.0))


def _eight_bits(values: Array) -> Array:
    top = 65_535.0 if values.max(initial=0) > 255 else 255.0
    return np.clip(values * 255.0 / top, 0, 255).astype(np.uint8)


def looked_at(values: pl.Series, rows: Array) -> Iterator[tuple[int, str]]:
    """(row, reason) of each of these rows of a column whose picture is broken; each is decoded whole."""
    for row in rows.tolist():
        if values[row] is None:
            continue
        try:
            pixels(values[row], LEAST)
        except Broken as broken:
            yield row, str(broken)
