"""Photos of the planted world: asked for, and nothing else changes; each shows the tastes and the category that it shall, and a decoder can read it."""

import io

import numpy as np
import polars as pl
import pytest
from PIL import Image

from banyan.errors import ConfigError
from banyan.store.world import make, photos
from banyan.store.world.truth import COLD

SMALL = {"users": 100, "items": 60, "days": 60}


def opened(file: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(file)) as picture:
        assert picture.format == "PNG"
        return np.asarray(picture.convert("RGB")).astype(float)


def drawn(shown: list[list[float]], category: list[int], seed: int = 0) -> list[bytes]:
    return photos.drawn(np.array(shown), np.array(category), seed)


def test_all_else_is_the_same_with_photos_and_without() -> None:
    plain, pictured = make(seed=3, **SMALL), make(seed=3, pictures=True, **SMALL)
    assert pictured.frames["items"].drop("photo").equals(plain.frames["items"])
    assert all(pictured.frames[name].equals(frame) for name, frame in plain.frames.items() if name != "items")
    assert pictured.frames["items"]["photo"].dtype == pl.Binary
    assert pictured.checksum() != plain.checksum()
    assert pictured.checksum() == make(seed=3, pictures=True, **SMALL).checksum()


def test_a_colour_says_a_taste_of_the_thing_and_of_its_middle() -> None:
    at = photos.SIDE // 2
    middle = {key: opened(drawn([[0, 0, *tastes]], [5])[0])[at, at] for key, tastes in (("red", (3, 0)), ("green", (-3, 0)), ("blue", (0, -3)))}
    assert middle["red"][0] > middle["red"][1] + 80
    assert middle["green"][1] > middle["green"][0] + 80
    assert middle["blue"][2] > middle["blue"][0] + 60
    thing = opened(drawn([[3, 0, -3, 0]], [5])[0])
    assert thing[at, at, 0] < thing[at, at, 1]
    assert thing[at, at + 16, 0] > thing[at, at + 16, 1] + 80  # round the middle the thing's own colour


def test_the_outline_says_the_category_and_the_wall_is_grey() -> None:
    whole = [opened(file) for file in drawn([[3.0, 0, 3, 0]] * 12, list(range(12)))]
    share = [float((picture[..., 0] > picture[..., 1] + 50).mean()) for picture in whole]
    assert all(picture[0, 0].std() == 0 for picture in whole)
    assert all(hollow < straight for straight, hollow in zip(share[:6], share[6:], strict=True))
    assert share[0] < share[2] < share[5]  # the more corners, the rounder; sizes differ by less


def test_the_same_seed_draws_the_same_photo() -> None:
    tastes = [[0.3, -1.0, 0.2, 2.0]] * 2
    assert drawn(tastes, [3, 3]) == drawn(tastes, [3, 3])
    assert drawn(tastes, [3, 3]) != drawn(tastes, [3, 3], seed=1)


def test_the_page_describes_photos_where_there_are_some() -> None:
    from banyan.store.world.write import page

    assert page(False, True)["entities"]["item"]["features"]["photo"] == "image"
    assert "photo" not in page(False)["entities"]["item"]["features"]


def test_more_items_can_be_cold() -> None:
    shares = [make(seed=3, cold=cold, **SMALL).truth.cold.mean() for cold in (0.0, COLD, 0.4)]
    assert shares[0] == 0 < shares[1] < shares[2]
    with pytest.raises(ConfigError, match=r"cold is 0\.9"):
        make(cold=0.9)
