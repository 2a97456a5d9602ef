"""What two stores share is found by name and content, and can be overruled."""

import copy
from collections.abc import Callable
from typing import Any

import polars as pl
import pytest

from banyan.errors import ConfigError
from banyan.features.build import build
from banyan.graft.alike import asked
from banyan.store.open import open_store
from banyan.store.shop import Shop
from tests.graft.shops import DESCRIPTION, Side, written

Opened = Callable[..., Shop]


def found(side: Side, shop: Shop, **options: Any) -> dict[str, tuple[str, str]]:
    origin = side.origin(**options)
    build(shop, None, origin)
    return {here: (there, why) for here, there, why in origin.alike.said()}


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """Another shop that numbers from 0 as well: other people, other prices; its brand is called maker, and half of its values are known."""
    folder = tmp_path_factory.mktemp("elsewhere")
    page = written(folder, DESCRIPTION, seed=9)
    items = pl.read_parquet(folder / "i.parquet")
    items.with_columns(price=pl.col("price") * 1000, maker=pl.col("brand").replace({"s": "t"})).drop("brand").write_parquet(folder / "i.parquet")
    users = pl.read_parquet(folder / "u.parquet")
    users.with_columns(city=pl.lit("far ") + pl.col("city")).write_parquet(folder / "u.parquet")
    description = copy.deepcopy(DESCRIPTION)
    features = description["entities"]["item"]["features"]
    features["maker"] = features.pop("brand")
    description["entities"]["user"]["features"]["moods"] = "text"
    description["entities"]["user"]["features"]["moods"] = {"kind": "category", "column": "city"}
    page = written(folder / "b", description, seed=9)
    items.with_columns(price=pl.col("price") * 1000, maker=pl.col("brand").replace({"s": "t"})).write_parquet(folder / "b" / "i.parquet")
    users.with_columns(city=pl.lit("far ") + pl.col("city")).write_parquet(folder / "b" / "u.parquet")
    return open_store(page)


def test_a_feature_is_found_by_name_and_by_what_it_holds(first: Side, elsewhere: Shop) -> None:
    said = found(first, elsewhere)
    assert said["item.maker"] == ("item.brand", "by content as brand, 75% of its values known")
    assert said["user.city"] == ("user.city", "by name alone, 0% of its values known")
    assert said["user.moods"] == ("", "new: a category here, a tags there")
    assert said["item.title"] == ("item.title", "by name and kind")


def test_ids_of_other_things_are_not_the_same_though_they_are_called_alike(first: Side, elsewhere: Shop, opened: Opened) -> None:
    why = found(first, elsewhere)["user.id"][1]
    assert "no feature tells whether they are the same things; --share user.id=yes" in why
    assert "agrees 100%" in found(first, opened("first"))["user.id"][1]


def test_a_number_keeps_the_scale_that_its_values_fit(first: Side, elsewhere: Shop) -> None:
    origin = first.origin()
    plan = build(elsewhere, None, origin).plan
    theirs = {each.name: each for each in first.data.plan.context.numbers}
    mine = {each.name: each for each in plan.context.numbers}
    assert (mine["place"].mean, mine["place"].edges) == (theirs["place"].mean, theirs["place"].edges)
    price, other = plan.entities["item"].numbers[0], first.data.plan.entities["item"].numbers[0]
    assert price.mean > 100 * other.mean or price.log != other.log
    assert {here: why for here, _, why in origin.alike.said()}["item.price"] == "by name, with a scale of its own: its values lie elsewhere"


def test_values_that_only_the_bundle_knows_stay_known(first: Side, elsewhere: Shop) -> None:
    origin = first.origin()
    plan = build(elsewhere, None, origin).plan
    assert "s" in plan.books["item.maker"].values  # no item here is of it
    assert sorted(plan.books["user.id"].values) == sorted(set(plan.books["user.id"].values))


def test_what_was_found_can_be_overruled(first: Side, elsewhere: Shop) -> None:
    said = found(first, elsewhere, share=asked(["item.maker=no", "user.id=yes"]))
    assert said["item.maker"] == ("", "left apart as asked")
    assert said["user.id"] == ("user.id", "shared as asked")
    with pytest.raises(ConfigError, match=r"--share item\.makr: the store has no such feature.*item\.maker"):
        found(first, elsewhere, share={"item.makr": True})
    with pytest.raises(ConfigError, match="write a feature and yes or no"):
        asked(["item.maker"])
