"""Suggestions for empty columns: only what is sure enough by held-out rows, into a file, never in place."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from banyan.bundle import Bundle
from banyan.enrich import Enriched, enrich, surest
from banyan.errors import ConfigError
from banyan.run import train

COLOURS, THINGS = ("red", "blue", "green"), ("shirt", "sofa", "lamp")
WRONG, EMPTY, NEW = 7, range(0, 600, 6), 12


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """600 things whose name says their colour but not whether they sell; a sixth of the colours is empty, and one is wrong."""
    folder = tmp_path_factory.mktemp("shop")
    rng = np.random.default_rng(0)
    colour, thing = rng.choice(COLOURS, 600), rng.choice(THINGS, 600)
    name = [f"{c} {t}" for c, t in zip(colour, thing, strict=True)]
    said = [None if i in EMPTY else c for i, c in enumerate(colour)]
    said[WRONG] = next(c for c in COLOURS if c != colour[WRONG])
    good = [None if i % 5 == 4 else int(v) for i, v in enumerate(rng.integers(0, 2, 600))]
    pl.DataFrame({"item": [f"i{i}" for i in range(600)], "name": name, "colour": said, "good": good}).write_csv(folder / "items.csv")
    (folder / "store.yaml").write_text(
        """
store: shop
entities:
  item: {table: items.csv, id: item, embed_id: false, features: {name: text, colour: category, good: number}}
samples:
  looks: {recipe: attributes, of: item, labels: {colour: colour, good: good}, split: {by: random}}
tasks:
  colour: {kind: classes, samples: looks, label: colour}
  good: {kind: binary, samples: looks, label: good}
model: {width: 8, sharing: bottom, history: null}
training: {epochs: 12, batch: 64, lr: 0.02}
"""
    )
    train(folder / "store.yaml", folder / "run", alone=False, simple=False, draws=2)
    return folder


def asked(shop: Path, name: str = "found.csv", **options: Any) -> tuple[Enriched, pl.DataFrame]:
    found = enrich(shop / "store.yaml", shop / "run" / "bundle", shop / name, precision=0.9, **options)
    return found, pl.read_csv(shop / name)


def test_empty_columns_are_filled_where_the_model_is_sure_and_nowhere_else(shop: Path) -> None:
    before = (shop / "items.csv").read_bytes()
    found, rows = asked(shop)
    colour, good = found.tasks
    assert (colour.task, colour.things, colour.missing) == ("colour", 600, len(EMPTY))
    assert colour.suggested > 0.9 * len(EMPTY)
    assert colour.right >= 0.9
    assert (good.threshold, good.suggested, good.doubtful) == (None, 0, 0)  # nothing says it
    assert set(rows["task"]) == {"colour"}
    filled = rows.filter(pl.col("why") == "missing")
    assert set(filled["id"]) <= {f"i{i}" for i in EMPTY}
    assert filled["present"].null_count() == filled.height
    names = dict(pl.read_csv(shop / "items.csv").select("item", "name").iter_rows())
    assert all(names[item].startswith(said) for item, said in filled.select("id", "suggested").iter_rows())
    assert (filled["confidence"] >= filled["next_confidence"]).all()
    assert (shop / "items.csv").read_bytes() == before


def test_a_value_that_the_model_is_sure_is_another_is_listed_as_doubtful(shop: Path) -> None:
    _, rows = asked(shop)
    doubtful = rows.filter(pl.col("why") == "doubtful")
    assert doubtful["id"].to_list() == [f"i{WRONG}"]
    assert doubtful["present"][0] != doubtful["suggested"][0]
    assert "doubtful" not in set(asked(shop, "sure.csv", doubts=False)[1]["why"])


def test_things_that_joined_after_training_are_asked_about_too(shop: Path, tmp_path: Path) -> None:
    (tmp_path / "store.yaml").write_text((shop / "store.yaml").read_text())
    items = pl.read_csv(shop / "items.csv")
    fresh = pl.DataFrame({"item": [f"n{i}" for i in range(NEW)], "name": [f"blue lamp {i}" for i in range(NEW)]})
    pl.concat([items, fresh], how="diagonal").write_csv(tmp_path / "items.csv")
    found = enrich(tmp_path / "store.yaml", Bundle.load(shop / "run" / "bundle"), tmp_path / "found.parquet", tasks=["colour"], precision=0.9)
    rows = pl.read_parquet(tmp_path / "found.parquet").filter(pl.col("id").str.starts_with("n"))
    assert found.tasks[0].missing == len(EMPTY) + NEW
    assert rows.height == NEW
    assert set(rows["suggested"]) == {"blue"}


def test_tags_are_suggested_one_by_one(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    colour, thing = rng.choice(COLOURS, 300), rng.choice(THINGS, 300)
    said = [None if i % 6 == 0 else f"{c}|{t}" for i, (c, t) in enumerate(zip(colour, thing, strict=True))]
    pl.DataFrame({"item": range(300), "name": [f"{c} {t}" for c, t in zip(colour, thing, strict=True)], "styles": said}).write_csv(tmp_path / "items.csv")
    (tmp_path / "store.yaml").write_text(
        """
store: tagged
entities:
  item: {table: items.csv, id: item, embed_id: false, features: {name: text, styles: tags}}
samples:
  looks: {recipe: attributes, of: item, labels: {styles: styles}, split: {by: random}}
tasks:
  styles: {kind: tags, samples: looks, label: styles}
model: {width: 8, sharing: bottom, history: null}
training: {epochs: 30, batch: 64, lr: 0.02}
"""
    )
    train(tmp_path / "store.yaml", tmp_path / "run", alone=False, simple=False, draws=0)
    found = enrich(tmp_path / "store.yaml", tmp_path / "run" / "bundle", tmp_path / "found.csv", precision=0.9)
    rows = pl.read_csv(tmp_path / "found.csv").filter(pl.col("why") == "missing")
    assert found.tasks[0].missing == 50
    assert rows.height > 80  # two for most of the fifty
    assert all(tag in (colour[item], thing[item]) for item, tag in rows.select("id", "suggested").iter_rows())
    assert rows["next"].null_count() == rows.height


def test_what_cannot_be_done_is_said(shop: Path) -> None:
    for options, rule in (
        ({"out": shop / "items.csv"}, "is a table of the store"),
        ({"tasks": ["color"]}, "no task 'color'.*colour"),
        ({"precision": 1.0}, "a share between 0 and 1"),
        ({"part": "train"}, "no part 'train'"),
        ({"out": shop / "found.xlsx"}, "written as"),
    ):
        with pytest.raises(ConfigError, match=rule):
            enrich(**{"store": shop / "store.yaml", "bundle": shop / "run" / "bundle", "out": shop / "x.csv", **options})
    assert not (shop / "x.csv").exists()


def test_the_least_confidence_whose_answers_are_right_often_enough() -> None:
    rng = np.random.default_rng(1)
    confidence = rng.random(20_000)
    right = rng.random(20_000) < confidence
    threshold, share, count = surest(confidence, right, 0.9)
    assert threshold is not None
    assert share == pytest.approx(right[confidence >= threshold].mean())
    assert count == (confidence >= threshold).sum()
    assert 0.79 < threshold < 0.84  # above t answers are right (1 + t) / 2 of the time
    assert surest(np.array([0.9] * 5), np.ones(5), 0.9)[0] is None  # five are too few to know
    assert surest(np.zeros(0), np.zeros(0), 0.9)[0] is None
