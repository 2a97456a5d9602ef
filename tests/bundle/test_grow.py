"""New items, users and events join a bundle; what was known is answered as before."""

import polars as pl
import pytest

from banyan.bundle import Bundle
from banyan.errors import DataError


def new_items(run, ids: list[str]) -> pl.DataFrame:
    return run.frames["i"].head(len(ids)).with_columns(pl.Series("item_id", ids))


def test_a_new_item_is_answered_by_its_features(run, bundle: Bundle) -> None:
    grown = bundle.with_entities("item", new_items(run, ["n1", "n2"]))
    found = grown.recommend(["u1"], 100)
    assert found.height == 43
    assert {"n1", "n2"} <= set(found["item"])
    rows = pl.DataFrame({"user_id": ["u1"] * 3, "item_id": ["n1", "n2", "nothing"]})
    one, two, stranger = grown.predict("viewed", rows)["carted.cart"].to_list()
    assert len({one, two, stranger}) == 3
    assert bundle.predict("viewed", rows)["carted.cart"].n_unique() == 1, "the first bundle is as it was"


def test_what_was_known_is_answered_as_before_when_it_grows(run, bundle: Bundle) -> None:
    users = pl.DataFrame({"user_id": ["n1", "n2"], "city": ["a", None], "joined": [None, "2024-01-01"]})
    grown = bundle.with_entities("item", new_items(run, ["n1", "n2"])).with_entities("user", users)
    rows = run.frames["e"].tail(200).select("user_id", "item_id")
    assert grown.predict("viewed", rows).equals(bundle.predict("viewed", rows))
    assert grown.recommend(["nobody"], 40, only=run.frames["i"]["item_id"].to_list()).select("item").equals(bundle.recommend(["nobody"], 40).select("item"))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (pl.Series("item_id", ["n1", "i1"]), "row 2: found 'i1'; this item is in the bundle already"),
        (pl.lit(None, pl.String).alias("item_id"), "needs an id"),
        (pl.lit("n1").alias("item_id"), "stands in one row"),
        (pl.lit("dear").alias("price"), "column price, row 1"),
        (pl.Series("look", [[1.0, 2.0]] * 2), "2 entries"),
    ],
)
def test_a_bad_new_item_is_named(run, bundle: Bundle, change: pl.Expr | pl.Series, said: str) -> None:
    with pytest.raises(DataError, match=said):
        bundle.with_entities("item", new_items(run, ["n1", "n2"]).with_columns(change))


def test_a_new_users_events_change_the_answers(run, bundle: Bundle) -> None:
    events = pl.DataFrame({"user_id": ["late"] * 3, "item_id": ["i1", "i1", "brand new"], "event": ["cart", "buy", "view"], "ts": ["2024-03-05"] * 3})
    grown = bundle.with_events(events)
    rows = pl.DataFrame({"user_id": ["late"], "item_id": ["i1"]})
    assert grown.predict("viewed", rows, as_of="2024-03-06")["carted.cart"][0] != bundle.predict("viewed", rows, as_of="2024-03-06")["carted.cart"][0]
    assert "brand new" in grown.recommend(["late"], 50)["item"]


def test_a_behaviour_that_training_did_not_see_is_named(bundle: Bundle) -> None:
    events = pl.DataFrame({"user_id": ["u1"] * 2, "item_id": ["i1"] * 2, "event": ["cart", "steal"], "ts": ["2024-03-05"] * 2})
    with pytest.raises(DataError, match="column event, row 2: found 'steal'"):
        bundle.with_events(events)
