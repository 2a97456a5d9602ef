"""What is near by features of one kind: texts by what they say, photos by what they show; an item without one is near to nothing."""

from typing import Any

import numpy as np
import polars as pl
import pytest

from banyan.errors import ConfigError
from banyan.store.world.photos import drawn


@pytest.fixture
def pictured(made: Any) -> Any:
    """Items of which i0 and i7 have the same photo and the same title, i4 another title with the photo, and i9 has neither."""

    def change(page: dict[str, Any], frames: dict[str, pl.DataFrame]) -> None:
        page["entities"]["item"]["features"]["photo"] = {"kind": "image", "network": "colours"}
        items, rng = frames["items"], np.random.default_rng(0)
        count = len(items)
        photos: list[bytes | None] = [*drawn(rng.standard_normal((count, 4)), np.arange(count) % 12, 0)]
        titles: list[str | None] = [f"thing{i} sort{i % 5}" for i in range(count)]
        photos[7] = photos[4] = photos[0]
        titles[7], titles[9], photos[9] = titles[0], None, None
        place = {item: i for i, item in enumerate(items["item_id"])}
        at = [place[f"i{i}"] for i in range(count)]
        order = np.argsort(at)
        frames["items"] = items.with_columns(
            photo=pl.Series([photos[i] for i in order], dtype=pl.Binary), title=pl.Series([titles[i] for i in order], dtype=pl.String)
        )

    return lambda **options: made("pictured", change, **options)


def ids(engine: Any, item: str, by: str, k: int = 30) -> list[str]:
    return [each.item for each in engine.similar(item, k, by).items]


def test_what_shows_or_says_the_same_is_nearest_and_what_has_none_is_nowhere(pictured: Any) -> None:
    engine = pictured().engine
    assert set(ids(engine, "i0", "photo", 2)) == {"i4", "i7"}
    assert [round(each.score, 5) for each in engine.similar("i0", 2, "photo").items] == [1.0, 1.0]
    assert ids(engine, "i0", "text", 1) == ["i7"]
    assert ids(engine, "i0", "words") == ids(engine, "i0", "text")
    for by in ("text", "photo"):
        assert "i9" not in ids(engine, "i0", by)
        assert ids(engine, "i9", by) == []
        assert len(ids(engine, "i0", by)) == 18
    assert ids(engine, "i9", "content"), "by all of its features it is like others"


def test_it_is_the_same_where_tokens_are_made_as_they_are_asked_for(pictured: Any) -> None:
    for by in ("text", "photo", "content"):
        ready, made = ([(each.item, round(each.score, 5)) for each in pictured(tokens=most).engine.similar("i2", 5, by).items] for most in (2**20, 0))
        assert ready == made


def test_a_kind_that_the_items_do_not_have_is_refused(live: Any) -> None:
    with pytest.raises(ConfigError, match="kind 'image', and this bundle's items have none"):
        live.engine.similar("i3", 5, "photo")
    with pytest.raises(ConfigError, match=r"no 'foto'.*'photo'"):
        live.engine.similar("i3", 5, "foto")
