"""Cold users and items, filters, edges, the unknown: every question has an answer or a sentence."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

from banyan.errors import ConfigError, DataError
from banyan.retrieval import cells
from banyan.retrieval.index import Exact
from banyan.serving.asking import Ask, Filters

ITEMS = [f"i{n}" for n in range(20)]


class Worth:
    """A value model of a test."""

    def __init__(self, *names: str) -> None:
        self.names = names

    def of(self, columns):
        return np.nansum([columns[name] for name in self.names], axis=0)


def ids(ranked) -> list[str]:
    return [each.item for each in ranked.items]


def finite(ranked) -> None:
    assert all(np.isfinite([each.score, *each.answers.values(), *(reason.weight for reason in each.why)]).all() for each in ranked.items)


def test_a_cold_user_is_answered_at_once_and_the_first_event_moves_the_answer(live) -> None:
    before = live.engine.recommend(Ask("somebody new", k=20))
    finite(before)
    assert len(before.items) == 20
    live.happens("somebody new", ("i3", "buy", 1))
    after = live.engine.recommend(Ask("somebody new", k=20))
    assert [(each.item, each.score) for each in before.items] != [(each.item, each.score) for each in after.items]
    assert "history" in after.sources
    live.happens("somebody new", ("i5", "cart", 2))
    third = live.engine.recommend(Ask("somebody new", k=20))
    assert [each.score for each in third.items] != [each.score for each in after.items]


def test_all_of_whom_nothing_is_known_are_read_once_until_something_is(live) -> None:
    first, other = (live.engine.recommend(Ask(user, k=20)) for user in ("nobody knows me", "nor me"))
    assert [(each.item, each.score, each.answers) for each in first.items] == [(each.item, each.score, each.answers) for each in other.items]
    assert (len(live.engine.users), len(live.engine.questions)) == (1, 1)
    live.happens("nor me", ("i3", "buy", 1))
    assert live.engine.recommend(Ask("nor me", k=20)).items != first.items
    assert live.engine.recommend(Ask(session="nobody knows me", k=20)).items == first.items
    assert (len(live.engine.users), len(live.engine.questions)) == (2, 2)


def test_a_cold_item_is_answered_from_the_first_event(live) -> None:
    before = live.engine.rank(Ask("u3", items=("brand new", "i1"), k=5))
    finite(before)
    live.happens("u3", ("brand new", "buy", 1))
    after = live.engine.rank(Ask("u3", items=("brand new", "other new", "i1"), k=5))
    at = {each.item: each.answers for each in after.items}
    assert at["brand new"] != at["other new"], "what happened with one new item is not said of another"
    assert "brand new" not in ids(live.engine.recommend(Ask("u3", k=50))), "an item without a row cannot be offered"


def test_more_new_items_than_there_is_room_for_are_answered_too(made) -> None:
    live = made(spare=2)
    found = live.engine.rank(Ask("u3", items=tuple(f"new {n}" for n in range(6)), k=10))
    finite(found)
    assert {"new 0", "new 1"} < set(ids(found))


def test_a_session_and_a_basket_stand_for_a_user(live) -> None:
    nothing = live.engine.recommend(Ask(k=20))
    held = live.engine.recommend(Ask(k=20, basket=("i3", "unheard of")))
    assert [each.score for each in nothing.items] != [each.score for each in held.items]
    live.happens("visit 9", ("i3", "buy", 1))
    assert [each.score for each in live.engine.recommend(Ask(session="visit 9", k=20)).items] != [each.score for each in nothing.items]


def test_asking_for_more_than_there_is_gives_what_there_is(live) -> None:
    found = live.engine.recommend(Ask("u3", k=10_000))
    assert sorted(ids(found)) == sorted(ITEMS)


def test_filters_hold_for_every_item(live) -> None:
    engine = live.engine
    for filters in (Filters(equal={"kind": ("p",)}), Filters(least={"price": 2.0}), Filters(most={"price": 2.0}), Filters(equal={"items": ("old",)})):
        found = ids(engine.recommend(Ask("u3", k=50, filters=filters)))
        assert 0 < len(found) < 20
        for item in found:
            told = engine.shelf.features(engine.ground.items.row(item))
            assert told.get("kind") == "p" or told.get("price", 0) >= 1.999 or told.get("price", 9) <= 2.001 or "old" in told.get("items", ())
    both = engine.recommend(Ask("u3", k=50, filters=Filters(equal={"kind": ("p",)}, items_out=("i1", "i2", "i3", "no such item"))))
    assert not {"i1", "i2", "i3"} & set(ids(both))
    assert set(ids(both)) <= set(ids(engine.rank(Ask("u3", items=tuple(ITEMS), k=50, filters=Filters(equal={"kind": ("p",)})))))


def test_a_number_is_found_as_the_shop_wrote_it(live, tables) -> None:
    prices = {row["item_id"]: row["price"] for row in tables()["items"].to_dicts()}
    shelf = live.engine.shelf
    for item in ("i0", "i7", "i12"):
        assert shelf.features(live.engine.ground.items.row(item))["price"] == pytest.approx(prices[item], rel=1e-4)


def test_what_was_bought_is_left_out_when_that_is_asked(live) -> None:
    live.happens("u3", ("i3", "buy", 1), ("i4", "view", 2))
    found = ids(live.engine.recommend(Ask("u3", k=50, filters=Filters(leave_out=("buy",)))))
    assert "i3" not in found
    assert "i4" in found or "i4" in _had(live, "u3", "buy")


def _had(live, user: str, behaviour: str) -> list[str]:
    visit = live.engine.visit(Ask(user))
    return [visit.naming.id(row) for row in visit.held([behaviour]).tolist()]


def test_a_filter_that_leaves_nothing_has_an_empty_answer(live) -> None:
    found = live.engine.recommend(Ask("u3", k=5, filters=Filters(equal={"kind": ("no such kind",)}), diversity=0.5, explain=True))
    assert found.items == []
    assert live.engine.rank(Ask("u3", items=(), k=5)).items == []


@pytest.mark.parametrize(
    ("ask", "said"),
    [
        (Ask("u3", filters=Filters(equal={"knd": ("p",)})), "no category or tags 'knd'. Did you mean 'kind'"),
        (Ask("u3", filters=Filters(least={"cost": 1.0})), "no number 'cost'"),
        (Ask("u3", filters=Filters(leave_out=("steal",))), "no behaviour 'steal'"),
        (Ask("u3", k=0), "at least one"),
    ],
)
def test_what_cannot_be_asked_is_said(live, ask: Ask, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        live.engine.recommend(ask)


def test_an_unknown_item_and_a_moment_too_early_are_named(live) -> None:
    with pytest.raises(DataError, match="no item 'i999'"):
        live.engine.similar("i999")
    with pytest.raises(DataError, match="whole pasts from"):
        live.engine.recommend(Ask("u3", now=1000))
    with pytest.raises(ConfigError, match="which this bundle does not answer"):
        live.engine.recommend(Ask("u3"), Worth("bought.bye"))


def test_an_unknown_scenario_or_behaviour_is_answered_as_if_it_were_not_told(live) -> None:
    known, unknown, none = (live.engine.rank(Ask("u3", scenario=each, items=("i1",), k=1)).items[0].answers for each in ("search", "cellar", ""))
    assert known != none
    assert unknown == none
    live.happens("u3", ("i1", "stare", 1))
    now = live.at(5)
    one = live.engine.rank(Ask("u3", items=("i1",), k=1, now=now)).items[0].answers
    live.events.clear()
    assert one == live.engine.rank(Ask("u3", items=("i1",), k=1, now=now)).items[0].answers


def test_a_behaviour_that_training_did_not_see_may_be_read_as_another(made) -> None:
    one, other = made(reads={"glance": "view"}), made()
    one.happens("u3", ("i1", "glance", 1))
    other.happens("u3", ("i1", "view", 1))
    assert one.engine.rank(Ask("u3", items=("i1",), k=1)) == other.engine.rank(Ask("u3", items=("i1",), k=1))
    with pytest.raises(ConfigError, match="no behaviour 'look'"):
        made(reads={"glance": "look"})


def test_a_value_model_orders_the_items(live) -> None:
    names = [name for name in live.engine.names if name.startswith("bought.")]
    found = live.engine.recommend(Ask("u3", k=20), Worth(*names))
    assert [each.score for each in found.items] == sorted((each.score for each in found.items), reverse=True)
    for each in found.items:
        assert each.score == pytest.approx(sum(each.answers[name] for name in names), abs=1e-5)
    priced = live.engine.recommend(Ask("u3", k=20), Worth("item.price"))
    assert priced.items[0].score > priced.items[-1].score


def test_diversity_keeps_the_first_and_spreads_the_rest(live) -> None:
    plain, spread = (ids(live.engine.recommend(Ask("u3", k=6, diversity=each))) for each in (0.0, 0.9))
    assert plain[0] == spread[0]
    assert plain != spread
    assert len(set(spread)) == 6


def test_reasons_say_what_moved_a_score(live) -> None:
    live.happens("u3", ("i3", "buy", 1))
    placed = live.engine.explain(Ask("u3", scenario="home", items=("i3",)))
    kinds = {reason.kind for reason in placed.why}
    assert {"user", "history", "pair", "context"} <= kinds | {"context"}
    assert all(np.isfinite(reason.weight) for reason in placed.why)
    shown = live.engine.recommend(Ask("u3", k=3, explain=True))
    assert all(each.why for each in shown.items)
    assert all(reason.item is not None for each in shown.items for reason in each.why if reason.kind == "past")


@pytest.mark.parametrize("by", ["taste", "together", "words"])
def test_similar_items_are_others_and_the_nearest_first(live, by: str) -> None:
    found = live.engine.similar("i3", 5, by)
    assert "i3" not in ids(found)
    assert len(found.items) == 5 or (by == "together" and found.items)  # only what was met with it
    scores = [each.score for each in found.items]
    assert scores == sorted(scores, reverse=True)


def test_no_more_pasts_are_kept_than_stated(made) -> None:
    live = made(users=3)
    for n in range(8):
        live.engine.recommend(Ask(f"u{n}", k=2))
    assert len(live.engine.users) == 3
    live.engine.recommend(Ask("u7", k=2))
    assert live.engine.users.hits == 1


def signalled(page, frames) -> None:
    page["model"] |= {"signals": {"near": "neighbours", "ease": {"part": "ease", "l2": 5.0}}}


def test_signals_bring_up_what_goes_with_a_past_and_with_an_item(made) -> None:
    live = made("goes", signalled, candidates=12)
    found = live.engine.recommend(Ask("u3", k=50))
    assert {"near", "ease", "history", "vectors", "popular"} == set(found.sources)
    assert all(found.sources[name] for name in ("near", "ease"))
    goes, tastes = (ids(live.engine.similar("i3", 5, by)) for by in ("together", "taste"))
    assert "i3" not in goes
    assert goes != tastes
    stock = live.bundle.stock
    likeness = stock.signals.fits[-1][0].likeness.toarray()[live.engine.ground.items.row("i3")]
    assert goes[0] == str(stock.ids["item"][likeness.argmax() - 1])


def test_numbers_of_items_are_told_by_name(live, tables) -> None:
    prices = {row["item_id"]: row["price"] for row in tables()["items"].to_dicts()}
    found = live.engine.numbers(["i0", "i2", "no such item"])["item.price"]
    assert found[0] == pytest.approx(prices["i0"], rel=1e-4)
    assert np.isnan(found[1:]).all()


def quiet(page, frames) -> None:
    del page["events"]
    page["samples"] = {name: page["samples"][name] for name in ("shown", "judged")}
    page["tasks"] = {name: task for name, task in page["tasks"].items() if task["samples"] in page["samples"]}


def test_a_store_without_events_is_answered_too(made) -> None:
    live = made("quiet", quiet)
    for user in ("u3", "", "never seen"):
        found = live.engine.recommend(Ask(user, k=5, explain=True, diversity=0.3))
        finite(found)
        assert len(found.items) == 5
    assert live.engine.explain(Ask("u3", items=("i3",))).answers.keys() == {"liked.liked", "spent.spent", "moods.moods/calm", "moods.moods/glad"}
    assert live.engine.similar("i3", 3).items
    assert live.engine.search(Ask("u3", query="hammer", k=3)).items


@pytest.mark.parametrize("seed", range(8))
def test_whatever_happens_the_answers_are_finite_and_not_doubled(live, seed: int) -> None:
    rng = np.random.default_rng(seed)
    for _ in range(int(rng.integers(1, 30))):
        item = ["i1", "i2", "i19", "new a", "new b"][rng.integers(5)]
        live.happens("anybody", (item, ["view", "cart", "buy", "stare"][rng.integers(4)], int(rng.integers(-500, 4000))))
    basket = tuple(f"i{n}" for n in rng.integers(0, 25, rng.integers(0, 4)))
    ask = Ask("anybody", basket=basket, k=30, explain=bool(seed % 2), diversity=float(rng.random()), scenario=["", "home", "moon"][rng.integers(3)])
    engine = live.engine
    searched, ranked = replace(ask, query="dress shirt 红"), replace(ask, items=("i1", "new a", "i1", "zz"))
    for found in (engine.recommend(ask), engine.search(searched), engine.rank(ranked)):
        finite(found)
        assert len(set(ids(found))) == len(found.items)
    assert np.isfinite(list(live.engine.profile("anybody").answers.values())).all()


def test_several_threads_get_what_one_gets(live) -> None:
    asks = [Ask(f"u{n % 7}", k=8, scenario="home") for n in range(28)]
    alone = [live.engine.recommend(ask) for ask in asks]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(live.engine.recommend, asks)) == alone


def test_what_was_read_of_a_user_is_read_again_when_something_happened(made) -> None:
    live = made(questions=2)
    one, again = (live.engine.rank(Ask("u3", items=("i4", "i5"), k=2)) for _ in range(2))
    assert one == again
    assert live.engine.questions.hits > 0
    live.happens("u3", ("i4", "buy", 1))
    assert live.engine.rank(Ask("u3", items=("i4", "i5"), k=2)) != one
    assert live.engine.rank(Ask("u3", items=("i4", "i5"), k=2, scenario="search")) != one
    for user in ("u4", "u5", "u6"):
        live.engine.recommend(Ask(user, k=1))
    assert len(live.engine.questions) == 2


def test_a_large_catalogue_is_asked_by_cells_and_answers_alike(made, live, tmp_path) -> None:
    large = made(exact=10, indexes=tmp_path)
    assert isinstance(large.engine.finding.index, cells.Cells)
    assert len([*tmp_path.iterdir()]) == 1
    for ask in (Ask("u1", k=20), Ask("somebody new", k=5), Ask("u2", k=20, filters=Filters(most={"price": 3.0}, leave_out=("buy",)))):
        assert ids(large.engine.recommend(ask)) == ids(live.engine.recommend(ask))


def test_a_large_catalogue_without_the_package_is_asked_exactly_and_that_is_said(made, caplog, monkeypatch) -> None:
    monkeypatch.setattr(cells, "available", lambda: False)
    assert isinstance(made(exact=10).engine.finding.index, Exact)
    assert "install the extra `index`" in caplog.text
