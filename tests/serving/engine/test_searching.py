"""A search in stated steps: what was found, by which step, how the score is made, and that filters, unknown words and new items are treated as told."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from banyan.errors import ConfigError, DataError
from banyan.serving.asking import Ask, EngineOptions, Filters
from banyan.serving.engine import Engine
from banyan.serving.searching import weights
from banyan.serving.texts import Texts


def titles(tables) -> dict[str, str]:
    return {row["item_id"]: row["title"] or "" for row in tables()["items"].to_dicts()}


@pytest.mark.parametrize(
    ("query", "step", "answered"),
    [
        ("hammer", "words", "hammer"), ("HAMM", "words", "HAMM"), ("hamer", "spelling", "hammer"), ("warm shrit", "spelling", "warm shirt"),
        ("red blue", "any", "red blue"), ("丝绸", "words", "丝绸"), ("丝绒", "any", "丝绒"), ("zzzz", "", "zzzz"), ("!!", "", "!!"),
    ],
)  # fmt: skip
def test_the_step_that_found_something_is_told(live, tables, query: str, step: str, answered: str) -> None:
    found = live.engine.search(Ask("u3", query=query, k=5))
    assert (found.searched.step, found.searched.query, found.searched.asked) == (step, answered, query)
    assert found.searched.total >= len(found.items)
    assert bool(found.items) == bool(step)
    if step in ("words", "spelling") and "HAMM" not in query:
        names = titles(tables)
        assert all(word in names[found.items[0].item] for word in answered.split(" "))


def test_what_finds_nothing_answers_what_is_popular_where_that_is_asked_for(live, tables) -> None:
    kinds = {row["item_id"]: row["kind"] for row in tables()["items"].to_dicts()}
    found = live.engine.search(Ask("u3", query="zzzz", k=4, popular=True, filters=Filters(equal={"kind": ("q",)})))
    assert found.searched.step == "popular"
    assert {kinds[each.item] for each in found.items} == {"q"}


def test_a_score_is_the_sum_of_its_parts(live) -> None:
    found = live.engine.search(Ask("u3", query="red dress", k=8))
    assert found.searched.weights.keys() == {"words", "relevance", "behaviour"}
    assert sum(found.searched.weights.values()) == pytest.approx(1, abs=1e-5)
    for each in found.items:
        assert each.parts.keys() == found.searched.weights.keys()
        assert all(0 <= part <= 1 for part in each.parts.values())
        assert sum(weight * each.parts[name] for name, weight in found.searched.weights.items()) == pytest.approx(each.score, abs=1e-5)


def test_the_relevance_of_a_query_is_what_the_bundle_predicts_of_it(live) -> None:
    found = live.engine.search(Ask("u3", query="t1", k=20, popular=True))  # an id of the table of queries: its own text is read
    rows = pl.DataFrame({"term": ["t1"] * len(found.items), "what": [each.item for each in found.items], "length": None, "device": None})
    assert found.searched.step == "popular"  # no item holds it
    asked = live.engine.relevance.question(live.engine.visit(Ask("u3")), "t1")
    items = live.engine.ground.items.numbered(rows["what"].to_list())
    mine = live.engine.relevance.answers(asked, items)["grade.grade"]
    kinds = {"length": pl.Float64, "device": pl.String}
    wanted = live.bundle.predict("judged", rows.with_columns(pl.col(name).cast(kind) for name, kind in kinds.items()), tasks=["grade"])["grade.grade"]
    assert np.allclose(mine, wanted.to_numpy(), atol=1e-5)


def test_facets_and_bands_count_all_that_was_found(live, tables) -> None:
    frame = tables()["items"]
    found = live.engine.search(Ask("u3", query="hammer", k=2))
    mine = frame.filter(pl.col("title").str.contains("hammer"))
    assert found.searched.total == mine.height > len(found.items) == 2
    assert found.facets["kind"] == dict(mine["kind"].drop_nulls().value_counts(sort=True).iter_rows())
    assert sum(band.count for band in found.searched.bands["price"]) == mine["price"].count()


def test_filters_hold_in_every_step(live, tables) -> None:
    kinds = {row["item_id"]: row["kind"] for row in tables()["items"].to_dicts()}
    for query in ("hammer", "hamer", "red hammer blue", "zzzz"):
        found = live.engine.search(Ask("u3", query=query, k=20, popular=True, filters=Filters(equal={"kind": ("p",)})))
        assert {kinds[each.item] for each in found.items} == {"p"}, query


def test_a_shops_own_synonyms_find_items(live, made) -> None:
    assert live.engine.search(Ask("u3", query="mallet", k=5)).items == []
    found = made(alike=(("mallet", "hammer"),)).engine.search(Ask("u3", query="mallet", k=5))
    assert found.searched.step == "synonyms"
    assert found.searched.alike == ("hammer",)
    assert found.items


def test_new_items_are_found_by_their_words_at_once(live, tables) -> None:
    old = tables()["items"]
    fresh = old.head(1).with_columns(item_id=pl.lit("fresh"), title=pl.lit("copper astrolabe"))
    engine = Engine(live.bundle.with_entities("item", fresh))
    assert [each.item for each in engine.search(Ask(query="astrolabe", k=3)).items] == ["fresh"]
    found = engine.search(Ask(query="astrolab copper"))
    assert (found.searched.step, found.items[0].item) == ("words", "fresh")
    assert engine.search(Ask(query="astrolobe", k=3)).searched.query == "astrolabe"


def test_a_picture_needs_a_model_that_reads_pictures(live) -> None:
    with pytest.raises(DataError, match="reads no pictures"):
        live.engine.search(Ask(picture=b"GIF89a"))


def test_an_unknown_task_of_relevance_is_refused_with_the_known_ones(live) -> None:
    with pytest.raises(ConfigError, match=r"no task 'grad'.*grade"):
        Engine(live.bundle, options=EngineOptions(relevant="grad"))


def test_the_weights_are_one_in_all_whatever_was_found() -> None:
    for parts in (["words"], ["vectors"], [], ["words", "vectors", "picture", "relevance"], ["relevance"]):
        for share in (None, 0.0, 0.5, 1.0):
            assert sum(weights(parts, share).values()) == pytest.approx(1, abs=1e-5), (parts, share)


def test_items_without_any_words_are_found_by_no_query_and_answered_as_popular(made, monkeypatch) -> None:
    engine = made().engine
    monkeypatch.setattr(engine.shelf, "categories", {})
    bare = replace(engine.ground, stock=replace(engine.ground.stock, lexis=None))
    monkeypatch.setattr(engine.searching, "texts", Texts(bare, engine.shelf))
    assert engine.search(Ask("u1", query="hammer", k=3)).items == []
    found = engine.search(Ask("u1", query="hammer", k=3, popular=True))
    assert (found.searched.step, len(found.items)) == ("popular", 3)
