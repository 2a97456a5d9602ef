"""Several stores as one: what they share is one, what is a store's own stays its own, and every row keeps what it said."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml

from banyan.errors import ConfigError
from banyan.store.load import load
from banyan.store.open import open_store
from banyan.store.schema import Store
from banyan.store.several import join
from banyan.store.several.found import Found
from banyan.types import MISSING
from tests.graft.shops import DESCRIPTION, written

Change = Callable[[dict[str, Any], Path], None]


def shop(folder: Path, name: str, seed: int, change: Change | None = None) -> Store:
    page = written(folder / name, copy.deepcopy(DESCRIPTION) | {"store": name}, seed)
    if change is not None:
        described = copy.deepcopy(DESCRIPTION) | {"store": name}
        change(described, page.parent)
        page.write_text(yaml.safe_dump(described, sort_keys=False))
    return load(page)


def other_words(described: dict[str, Any], folder: Path) -> None:
    """Brands are makers, ages are words, the look is not known; one task is of another kind; kept is written as text."""
    features = described["entities"]["item"]["features"]
    features["maker"] = {"kind": features.pop("brand"), "column": "brand"}
    del features["look"]
    described["entities"]["user"]["features"]["age"] = "category"
    described["tasks"]["kept"] = {"kind": "amount", "samples": "shown", "label": "kept"}
    rows = pl.read_parquet(folder / "s.parquet")
    rows.with_columns(pl.col("kept").cast(pl.Float64)).write_parquet(folder / "s.parquet")


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> list[Store]:
    folder = tmp_path_factory.mktemp("stores")
    return [shop(folder, "north", 3), shop(folder, "south", 8, other_words)]


@pytest.fixture(scope="module")
def made(stores: list[Store], tmp_path_factory: pytest.TempPathFactory) -> tuple[Store, Found]:
    return join(stores, tmp_path_factory.mktemp("joined"))


def test_features_meet_by_name_or_by_content_and_kinds_part_them(made: tuple[Store, Found]) -> None:
    store, found = made
    assert list(store.entities["item"].features) == ["brand", "price", "title", "look"]
    assert list(store.entities["user"].features) == ["city", "age", "moods", "age.south"]
    said = {(what, at): how for what, at, how in found.lines}
    assert said["item.brand", "south"] == "by content: maker there, 100% of its values known"
    assert said["user.age.south", "south"] == "another kind: category here, number before"


def test_tasks_that_are_described_otherwise_stand_apart(made: tuple[Store, Found]) -> None:
    assert list(made[0].tasks) == ["kept", "bought", "group", "next", "kept.south"]
    assert made[0].tasks["kept.south"].kind == "amount"


def test_each_store_is_a_scenario_and_a_page_becomes_a_column(made: tuple[Store, Found], stores: list[Store]) -> None:
    opened = open_store(made[0])
    assert opened.scenarios == ("", "north", "south")
    assert set(opened.samples["shown"].context["page"].unique()) == {"home", "search"}
    alone = [open_store(each) for each in stores]
    assert len(opened.samples["shown"]) == sum(len(each.samples["shown"]) for each in alone)
    assert opened.log is not None
    assert len(opened.log.item) == sum(len(each.log.item) for each in alone if each.log is not None)


def test_ids_are_each_stores_own_and_rows_keep_what_they_said(made: tuple[Store, Found], stores: list[Store]) -> None:
    opened, south = open_store(made[0]), pl.read_parquet(stores[1].folder / "s.parquet")
    users = opened.entities["user"]
    assert {each.split(":")[0] for each in users.ids} == {"north", "south"}
    table = opened.samples["shown"]
    mine = table.scenario == opened.scenarios.index("south")
    assert list(users.ids[table.entities["user"][mine] - 1]) == [f"south:{each}" for each in south["user"]]
    assert table.labels["kept"].cast(pl.Float64).to_list()[-len(south) :] == south["kept"].to_list()
    assert (table.entities["item"] != MISSING).all()


def test_things_of_which_the_same_is_said_are_one(stores: list[Store], tmp_path: Path) -> None:
    chain = [shop(tmp_path, "east", 3), shop(tmp_path, "west", 3)]
    for each in chain:
        each.entities["user"].features["age"].kind = "category"
    store, found = join(chain, tmp_path / "joined")
    assert found.shared_ids["item"]
    assert len(open_store(store).entities["item"].ids) == 30
    _, apart = join(chain, tmp_path / "apart", {"item.id": False, "item.brand": False})
    assert not apart.shared_ids["item"]
    assert apart.features["west", "item", "brand"] == "brand.west"


def test_what_stands_is_kept_and_what_changed_is_written_anew(stores: list[Store], tmp_path: Path) -> None:
    join(stores, tmp_path)
    piece = next((tmp_path / "tables" / "item").glob("north.parquet"))
    before = piece.stat().st_mtime_ns
    join(stores, tmp_path)
    assert piece.stat().st_mtime_ns == before
    join(stores, tmp_path, {"item.brand": False})
    assert piece.stat().st_mtime_ns > before


def test_stores_that_cannot_go_together_are_refused(stores: list[Store], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="of different names; found north, north"):
        join([stores[0], stores[0]], tmp_path)
    with pytest.raises(ConfigError, match=r"--share item\.brnd: no store has such a feature.*item\.brand"):
        join(stores, tmp_path, {"item.brnd": False})
    ordered = stores[1].model_copy(deep=True)
    assert ordered.events is not None
    ordered.events.time, ordered.events.order = None, "ts"
    with pytest.raises(ConfigError, match="have one clock, a time or an order; found north: time, south: order"):
        join([stores[0], ordered], tmp_path)
