"""What the engine answers about a user and an item is what the offline path answers: from the bundle's own log, and after events that came since."""

from typing import Any

import numpy as np
import polars as pl
import pytest

from banyan.bundle import Bundle
from banyan.features.past_figures import paired
from banyan.features.stock import ITEM
from banyan.serving.asking import Ask
from banyan.types import Array

ITEMS = [f"i{n}" for n in range(19)]
USERS = ["u3", "u7", "u29", "never seen"]  # one of them without any event, one that the bundle does not know


def plain(page: dict[str, Any], frames: dict[str, pl.DataFrame]) -> None:
    return


def ordered(page: dict[str, Any], frames: dict[str, pl.DataFrame]) -> None:
    kept(page)
    page["events"]["order"] = page["events"].pop("time")
    frames["events"] = frames["events"].sort("ts").with_columns(ts=pl.int_range(pl.len()))
    frames["shown"] = frames["shown"].sort("at").with_columns(at=2 * pl.int_range(pl.len()))
    page["split"] = {"by": "time", "valid": 0.1, "test": 0.1}


def unordered(page: dict[str, Any], frames: dict[str, pl.DataFrame]) -> None:
    kept(page)
    del page["events"]["time"], page["samples"]["shown"]["time"]
    page["split"] = {"by": "leave_one_out"}
    page["samples"]["shown"]["split"] = {"by": "user"}


def kept(page: dict[str, Any]) -> None:
    page["samples"] = {name: page["samples"][name] for name in ("next", "shown")}
    page["tasks"] = {name: task for name, task in page["tasks"].items() if task["samples"] in page["samples"]}


def versioned(page: dict[str, Any], frames: dict[str, pl.DataFrame]) -> None:
    for name, key in (("items", "item"), ("users", "user")):
        later = frames[name].head(8).with_columns(begins=pl.lit("2023-12-05"), **({"price": pl.lit(99.0)} if name == "items" else {"city": pl.lit("b")}))
        frames[name] = pl.concat([frames[name].with_columns(begins=pl.lit("2023-01-01")), later], how="vertical_relaxed")
        page["entities"][key]["valid_from"] = "begins"


def signalled(page: dict[str, Any], frames: dict[str, pl.DataFrame]) -> None:
    signals = {"near": "neighbours", "ease": {"part": "ease", "l2": 5.0}}
    page["model"] |= {"signals": signals, "signal_products": True, "pair_pieces": True, "behaviours": ["cart", "buy"]}


def copied(page: dict[str, Any], frames: dict[str, pl.DataFrame]) -> None:
    kept(page)
    page["model"] |= {"sharing": {"part": "stem"}, "history": "transformer", "compress": {"item": 2}}


def grouped(page: dict[str, Any], frames: dict[str, pl.DataFrame]) -> None:
    names = list(page["tasks"])
    page["model"] |= {"groups": [names[::2], names[1::2]], "history": "mean", "cross": "fm"}


MAKES = {"plain": plain, "versioned": versioned, "signalled": signalled, "copied": copied, "grouped": grouped, "ordered": ordered, "unordered": unordered}


def close(a: Array, b: Array) -> None:
    assert a.shape == b.shape
    assert np.isfinite(a).all()
    assert (np.abs(a - b) <= 1e-6 + 1e-5 * np.abs(b)).all(), np.abs(a - b).max()


def offline(bundle: Bundle, task: str, user: str, items: list[str], now: int) -> dict[str, Array]:
    """The answers of `Bundle.predict`, what the question does not give left missing."""
    table = bundle.store.tasks[task].samples
    expects = bundle.expects(table)
    named = {what.removeprefix("id of "): column for column, what in expects.items() if what.startswith("id of ")}
    frame = pl.DataFrame({named["user"]: [user] * len(items), named["item"]: items, "page": ["search"] * len(items)})
    given = [*frame.columns, "time", "at", "ts"]
    frame = frame.with_columns(pl.lit(None).alias(column) for column in expects if column not in given)
    as_of = {"order": now, "none": None}.get(bundle.plan.clock, pl.Series([now]).cast(pl.Datetime("us"))[0])
    found = bundle.predict(table, frame, tasks=[task], as_of=as_of)
    return {name: found[name].to_numpy() for name in found.columns if name.startswith(f"{task}.")}


@pytest.mark.parametrize("make", MAKES)
@pytest.mark.parametrize("lived", [False, True], ids=["as saved", "after live events"])
def test_the_engine_answers_what_the_offline_path_answers(made, make: str, lived: bool) -> None:
    live = made(make, MAKES[make])
    for user in USERS if lived else ():
        live.happens(user, ("i4", "view", 1), ("i4", "cart", 2), ("brand new", "cart", 3), ("i9", "buy", 200), ("newer", "buy", 201))
    items = [*ITEMS, "brand new", "nobody knows"]
    for user in USERS:
        mine = made(make)
        mine.events.update({user: live.events[user]} if lived else {})
        wanted = mine.handed_over() if lived else mine.bundle
        for hours in (202, 2000):
            now = mine.at(hours)
            found = mine.engine.rank(Ask(user, scenario="search", items=tuple(items), k=50, now=now))
            at = {placed.item: placed.answers for placed in found.items}
            assert set(at) == set(items)
            for task in mine.engine.pointwise:
                for name, each in offline(wanted, task, user, items, now).items():
                    close(np.array([at[item][name] for item in items]), each)


@pytest.mark.parametrize("make", ["plain", "signalled", "versioned"])
def test_ranking_scores_are_those_of_the_bundle(made, make: str) -> None:
    live = made(make, MAKES[make])
    live.happens("u3", ("i4", "cart", 1), ("i9", "buy", 2))
    grown = live.handed_over()
    now = live.at(3)
    found = live.engine.recommend(Ask("u3", k=100, now=now))
    wanted = grown.recommend(["u3"], 100, as_of=pl.Series([now]).cast(pl.Datetime("us"))[0])
    assert [each.item for each in found.items] == wanted["item"].to_list()
    close(np.array([each.score for each in found.items]), wanted["score"].to_numpy())


@pytest.mark.parametrize("make", ["plain", "signalled", "versioned"])
def test_features_are_equal_to_the_last_bit(made, make: str) -> None:
    live = made(make, MAKES[make])
    live.happens("u7", ("i4", "view", 1), ("i4", "cart", 2), ("i9", "buy", 200))
    grown, now = live.handed_over(), live.at(300)
    visit = live.engine.visit(Ask("u7", now=now))
    mine = paired(visit.past.stock, {ITEM: np.arange(1, 20)}, visit.question.moment, 19, np.zeros(19, np.int64))
    ids = [str(each) for each in live.bundle.stock.ids[ITEM][:19]]
    frame = pl.DataFrame({"user_id": ["u7"] * 19, "item_id": ids})
    rows = grown._reader.rows("viewed", frame, now, "rows")
    rows.entities[ITEM] = np.arange(1, 20, dtype=np.int32)
    wanted = grown._feeder(rows, now)
    assert np.array_equal(mine, wanted.data.tables["viewed"].pair)
    one, other = (step.batches[0].past for step in (wanted.step({"viewed": np.zeros(1, np.int64)}, choose=False), _step(visit)))
    assert np.array_equal(one.gaps.numpy(), other.gaps.numpy())
    assert np.array_equal(one.mask.numpy(), other.mask.numpy())


def _step(visit: Any) -> Any:
    return visit.question.encoded.step


def test_the_same_question_twice_and_in_another_company_has_the_same_answer(live) -> None:
    one = live.engine.rank(Ask("u3", items=("i4",), k=1)).items[0]
    again = live.engine.rank(Ask("u3", items=("i4",), k=1)).items[0]
    many = {each.item: each for each in live.engine.rank(Ask("u3", items=tuple(ITEMS), k=50)).items}
    assert one == again
    for name, each in one.answers.items():
        close(np.array([many["i4"].answers[name]]), np.array([each]))


def test_items_tokens_made_ahead_or_as_they_are_asked_for_give_the_same_answers(made) -> None:
    ahead, asked = made(), made(tokens=0)
    assert ahead.engine.answering.ahead.ready is not None
    assert asked.engine.answering.ahead.ready is None
    one, other = (each.engine.rank(Ask("u3", items=tuple(ITEMS), k=50)).items for each in (ahead, asked))
    answers = [{each.item: each.answers for each in found} for found in (one, other)]
    for item in ITEMS:
        close(np.array(list(answers[0][item].values())), np.array(list(answers[1][item].values())))
