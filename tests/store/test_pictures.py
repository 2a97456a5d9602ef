"""What becomes of every kind of picture that a shop may have: each has one outcome, and none ends a run."""

import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from banyan.errors import DataError
from banyan.store import pictures
from banyan.store.pictures import LEAST, MOST_BYTES, Broken, column, looked_at, pixels

Image = pytest.importorskip("PIL.Image", reason="pictures need pillow")


def saved(picture: object, form: str = "PNG", **options: object) -> bytes:
    into = io.BytesIO()
    picture.save(into, form, **options)  # type: ignore[attr-defined]
    return into.getvalue()


def plain(colour: object = (200, 30, 30), mode: str = "RGB", size: tuple[int, int] = (40, 30)) -> object:
    return Image.new(mode, size, colour)


def middle(raw: bytes | str) -> list[int]:
    found = pixels(raw, 16)
    assert found.shape == (1, 16, 16, 3)
    assert found.dtype == np.uint8
    return [int(each) for each in found[0, 8, 8]]


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "GIF", "BMP"])
def test_usual_forms_become_rgb_of_the_side_asked_for(form: str) -> None:
    assert np.abs(np.array(middle(saved(plain(), form))) - (200, 30, 30)).max() < 12


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (lambda: saved(plain(100, "L")), (100, 100, 100)),  # grey
        (lambda: saved(plain(1, "1")), (255, 255, 255)),  # black and white
        (lambda: saved(Image.fromarray(np.full((30, 40), 25_700, np.uint16))), (100, 100, 100)),  # 16 bits of grey
        (lambda: saved(plain((0, 255, 255, 0), "CMYK"), "JPEG"), (255, 0, 0)),
        (lambda: saved(plain((10, 20, 200, 0), "RGBA")), (255, 255, 255)),  # transparent: white
        (lambda: saved(plain((0, 0, 200, 128), "RGBA")), (127, 127, 227)),
        (lambda: saved(plain((50, 0), "LA")), (255, 255, 255)),
        (lambda: saved(plain((0, 128, 0)).convert("P", palette=Image.Palette.ADAPTIVE)), (0, 128, 0)),  # type: ignore[attr-defined]
        (lambda: saved(plain(0, "P"), transparency=0), (255, 255, 255)),
    ],
)
def test_grey_cmyk_palette_and_transparent_pictures(raw: Callable[[], bytes], expected: tuple[int, int, int]) -> None:
    assert np.abs(np.array(middle(raw())) - expected).max() <= 14


def test_a_picture_is_turned_as_its_exif_says() -> None:
    left_red = Image.fromarray(np.concatenate([np.full((32, 16, 3), (255, 0, 0)), np.full((32, 16, 3), (0, 0, 255))], 1).astype(np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 6  # taken with the camera on its side: to be turned by 90 degrees
    upright = pixels(saved(left_red, "JPEG", exif=exif, quality=95), 16)[0]
    assert upright[2, 8, 0] > 200, "what was on the left is on top"
    assert upright[13, 8, 2] > 200


def test_an_exif_block_of_rubbish_turns_nothing() -> None:
    raw = saved(plain(), "JPEG", exif=b"Exif\x00\x00II*\x00\xff\xff\xff\xff" + bytes(range(64)))
    assert middle(raw)[0] > 180


def moving(form: str = "GIF", frames: int = 8) -> bytes:
    each = [plain((30 * i, 0, 0)) for i in range(frames)]
    return saved(each[0], form, save_all=True, append_images=each[1:], duration=50)


@pytest.mark.parametrize("form", ["GIF", "WEBP"])
def test_of_a_moving_picture_the_first_frame_or_evenly_spaced_ones(form: str) -> None:
    assert middle(moving(form))[0] < 20
    found = pixels(moving(form), 16, frames=3)[:, 8, 8, 0].astype(int)
    assert len(found) == 3
    assert found[0] < 20 < found[1] < 180 < found[2]


def test_a_folder_of_frames_is_read_in_the_order_of_names(tmp_path: Path) -> None:
    for i in range(5):
        (tmp_path / f"{i}.png").write_bytes(saved(plain((40 * i, 0, 0))))
    (tmp_path / ".hidden").write_bytes(b"not a frame")
    assert pixels(str(tmp_path), 16, frames=3)[:, 8, 8, 0].tolist() == [0, 80, 160]


def bomb(width: int, height: int) -> bytes:
    """The header of an enormous PNG, and nothing that was ever that large."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunk = lambda name, data: struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))  # noqa: E731
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (lambda: b"this is no picture", "not a picture"),
        (lambda: b"", "not a picture"),
        (lambda: saved(plain(), "TIFF"), "not a picture"),  # decoders that shops do not need are not tried
        (lambda: saved(plain(size=(200, 200)), "JPEG")[:-400], "damaged"),
        (lambda: saved(Image.fromarray(np.random.default_rng(0).integers(0, 255, (90, 90, 3), np.uint8)))[:5000], "damaged"),
        (lambda: bomb(9_000, 9_000), "too many pixels"),
        (lambda: bomb(60_000, 60_000), "too many pixels"),  # Pillow itself would raise here
        (lambda: bytes(MOST_BYTES + 1), "too many bytes"),
        (lambda: saved(plain(size=(1, 1))), "too small"),
        (lambda: "/nowhere/at/all.jpg", "no such file"),
    ],
)
def test_what_cannot_be_read_has_a_reason(raw: Callable[[], bytes | str], reason: str) -> None:
    with pytest.raises(Broken, match=f"^{reason}$"):
        pixels(raw(), 16)
    assert reason in pictures.REASONS


def test_no_bytes_whatever_raise_anything_else() -> None:
    draw = np.random.default_rng(0)
    whole = [saved(plain(size=(24, 24)), form) for form in ("PNG", "JPEG", "GIF", "WEBP", "BMP")] + [moving(frames=2)]
    for turn in range(300):
        raw = bytearray(whole[turn % len(whole)])
        for place in draw.integers(0, len(raw), 6):
            raw[place] = draw.integers(0, 256)
        assert _outcome(bytes(raw)) in (None, *pictures.REASONS)


def _outcome(raw: bytes) -> str | None:
    try:
        pixels(raw, 12, frames=2)
    except Broken as broken:
        return str(broken)
    return None


def test_paths_and_addresses_lie_below_the_folder(tmp_path: Path) -> None:
    given = ["a.jpg", " b/c.png ", "https://cdn.shop/x/17%20b.jpg?w=300#top", "http://cdn.shop", str(tmp_path / "d.jpg"), "", None]
    found = column(pl.Series("photo", given), "items.csv, column photo", tmp_path)
    assert found.to_list()[:3] == [f"{tmp_path}/a.jpg", f"{tmp_path}/b/c.png", f"{tmp_path}/x/17 b.jpg"]
    assert found.to_list()[4:] == [f"{tmp_path}/d.jpg", None, None]


@pytest.mark.parametrize("path", ["../secret.png", "a/../../b.png", "/etc/shadow", "https://cdn.shop/%2e%2e/%2e%2e/b.png", "C:\\x.png", "..\\x.png"])
def test_a_path_that_leaves_the_folder_is_refused(path: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"items.csv, column photo, row 2: .*a picture lies below"):
        column(pl.Series("photo", ["a.jpg", path]), "items.csv, column photo", tmp_path)


def test_bytes_stay_as_they_are_and_other_things_are_refused(tmp_path: Path) -> None:
    assert column(pl.Series("p", [b"x", b"", None]), "t", tmp_path).to_list() == [b"x", None, None]
    assert column(pl.Series("p", [None, None]), "t", tmp_path).to_list() == [None, None]
    with pytest.raises(DataError, match="t holds Int64; pictures are paths of files"):
        column(pl.Series("p", [1, 2]), "t", tmp_path)


def test_broken_ones_are_named_by_row() -> None:
    values = pl.Series("p", [saved(plain()), b"rubbish", None, saved(plain(size=(LEAST - 1, 20)))])
    assert dict(looked_at(values, np.arange(4))) == {1: "not a picture", 3: "too small"}
