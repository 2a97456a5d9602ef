"""Search, profiles, and rows that the caller brings: as the offline path says, after live events too."""

from typing import Any

import numpy as np
import polars as pl
import pytest

from banyan.errors import ConfigError, DataError
from banyan.serving.asking import Ask, Filters


def test_words_find_items_in_two_scripts(live, tables) -> None:
    titles = {row["item_id"]: row["title"] or "" for row in tables()["items"].to_dicts()}
    for query, word in (("hammer", "hammer"), ("丝绸", "丝绸"), ("BLUE shirt", "blue")):
        found = live.engine.search(Ask("u3", query=query, k=4))
        assert found.items, query
        assert word in titles[found.items[0].item], query
        assert all(np.isfinite(each.score) for each in found.items)
    assert live.engine.search(Ask("u3", query="zzzz", k=4)).items == []
    with pytest.raises(ConfigError, match="needs a query"):
        live.engine.search(Ask("u3", query="  "))


def test_a_search_holds_to_filters_and_to_the_user(live, tables) -> None:
    kinds = {row["item_id"]: row["kind"] for row in tables()["items"].to_dicts()}
    found = live.engine.search(Ask("u3", query="dress hammer shirt", k=20, filters=Filters(equal={"kind": ("p",)})))
    assert found.items
    assert {kinds[each.item] for each in found.items} == {"p"}
    before = [each.score for each in live.engine.search(Ask("new", query="dress hammer shirt", k=20)).items]
    live.happens("new", ("i3", "buy", 1))
    assert [each.score for each in live.engine.search(Ask("new", query="dress hammer shirt", k=20)).items] != before


def test_a_search_without_a_user_or_model_still_reads_the_words(made) -> None:
    live = made(relevance=1.0)
    found = live.engine.search(Ask(query="hammer", k=20))
    assert [each.score for each in found.items] == [each.answers["words"] for each in found.items]
    assert found.items[0].score == pytest.approx(1.0)


def test_a_profile_holds_the_offline_answers(live) -> None:
    live.happens("u3", ("i4", "cart", 1), ("i9", "buy", 2))
    grown = live.handed_over()
    found = live.engine.profile("u3", now=live.at(5))
    wanted = grown.predict("people", pl.DataFrame({"user_id": ["u3"]}), as_of=pl.Series([live.at(5)]).cast(pl.Datetime("us"))[0])
    names = [name for name in wanted.columns if "." in name]
    assert set(found.answers) == set(names)
    assert np.allclose([found.answers[name] for name in names], [wanted[name][0] for name in names], atol=1e-6)
    (trait,) = found.traits
    assert trait.kind == "classes"
    assert sum(share.probability for share in trait.shares) == pytest.approx(1, abs=1e-5)
    assert [share.probability for share in trait.shares] == sorted((share.probability for share in trait.shares), reverse=True)
    assert found.known
    assert sum(found.tastes["kind"].values()) == pytest.approx(1)
    stranger = live.engine.profile("nobody at all")
    assert (stranger.known, stranger.features, stranger.events) == (False, {}, 0)
    assert all(np.isfinite(list(stranger.answers.values())))


def test_rows_are_answered_with_the_live_events_of_their_users(live) -> None:
    rows: list[dict[str, Any]] = [{"user_id": user, "item_id": item} for user in ("u3", "late", "u5") for item in ("i4", "brand new")]
    plain = live.engine.predict("viewed", rows)
    assert [list(row.values()) for row in plain] == [list(row) for row in _answers(live.bundle, rows)]
    live.happens("u3", ("i4", "cart", 1), ("brand new", "buy", 2))
    live.happens("late", ("i4", "buy", 1))
    wanted, found = _answers(live.handed_over(), rows), live.engine.predict("viewed", rows)
    assert np.allclose([list(row.values()) for row in found], wanted, rtol=1e-5, atol=1e-6)
    assert not np.allclose([list(row.values()) for row in found], [list(row.values()) for row in plain])


def _answers(bundle: Any, rows: list[dict[str, Any]]) -> list[tuple[float, ...]]:
    found = bundle.predict("viewed", pl.DataFrame(rows))
    return found.select(name for name in found.columns if "." in name).rows()


def test_series_are_forecast_and_offers_ordered(live) -> None:
    columns = [name for name in live.bundle.expects("weekly") if name not in ("ts", "time", "page", "scenario")]
    row = {name: "p" if name == "item_kind" else 2.0 for name in columns}
    table, series = live.engine.forecast(rows=[row, {**row, "item_kind": "q"}])
    assert table == "weekly"
    assert [keys for keys, _ in series] == [{"item_kind": "p"}, {"item_kind": "q"}]
    assert all(np.isfinite(list(answers.values())).all() and len(answers) == 2 for _, answers in series)
    with pytest.raises(ConfigError, match="0 tables of offers"):
        live.engine.offers(rows=[row])
    with pytest.raises(ConfigError, match="no samples table of counts"):
        live.engine.forecast("weakly", [row])


def test_offers_are_rows_of_a_table_about_users_and_something_else(made) -> None:
    def change(page: dict[str, Any], frames: dict[str, pl.DataFrame]) -> None:
        page["samples"]["sent"] = {**page["samples"].pop("shown"), "table": "shown.parquet"}
        del page["samples"]["sent"]["item"]
        page["tasks"] = {name: task | ({"samples": "sent"} if task["samples"] == "shown" else {}) for name, task in page["tasks"].items()}

    live = made("offers", change)
    rows = [{"who": user, "device": device, "favourite": "p"} for user in ("u1", "u2") for device in ("phone", "desk")]
    table, best = live.engine.offers(rows=rows, k=3)
    assert table == "sent"
    assert len(best) == 3
    assert [score for _, score, _ in best] == sorted((score for _, score, _ in best), reverse=True)
    assert all(answers["liked.liked"] == score for _, score, answers in best)


def test_wrong_rows_are_named(live) -> None:
    with pytest.raises(ConfigError, match="no samples table 'vewed'"):
        live.engine.predict("vewed", [{}])
    with pytest.raises(DataError, match="no column 'item_id'"):
        live.engine.predict("viewed", [{"user_id": "u1"}])
    with pytest.raises(DataError, match="0 rows"):
        live.engine.predict("viewed", [])
    with pytest.raises(DataError, match="several kinds"):
        live.engine.predict("viewed", [{"user_id": "u1", "item_id": "i1"}, {"user_id": 4, "item_id": ["a"]}])
