"""Baselines find what was planted for them, on the rows that the model is judged on, and say where they do not apply."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest
from scipy import sparse

from banyan import parts
from banyan.evaluation import baselines
from banyan.evaluation.baselines import neighbours, rates, shelf, trees
from banyan.evaluation.baselines.matrix import matrix
from banyan.evaluation.questions import ask
from banyan.features.build import build
from banyan.store.open import open_store
from banyan.types import TEST, TRAIN, VALID


@pytest.fixture(scope="module")
def found(board: SimpleNamespace) -> baselines.Baselines:
    return baselines.run(board.store, board.data, board.evaluation.questions, TEST)


def test_sparse_ranks_are_those_of_a_dense_sort() -> None:
    rng = np.random.default_rng(0)
    rows, items = 30, 25
    dense = np.where(rng.random((rows, items)) < 0.3, rng.integers(1, 4, (rows, items)), 0).astype(float)
    dense[:, 0] = 0
    counts = rng.integers(0, 6, (2, items))
    places, which = shelf.order(counts), rng.integers(0, 2, rows)
    begin = np.concatenate([[0], np.cumsum(rng.integers(1, 4, rows))])
    wanted = rng.integers(1, items, begin[-1])
    ranks = shelf.ranks(sparse.csr_array(dense), places, which, begin, wanted)
    for row in range(rows):
        best = sorted(range(items), key=lambda i: (-dense[row, i], places[which[row], i]))
        expected = [best.index(i) + 1 for i in wanted[begin[row] : begin[row + 1]]]
        assert ranks[row, : len(expected)].tolist() == expected
        assert np.isnan(ranks[row, len(expected) :]).all()


def test_ranks_do_not_depend_on_the_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    dense = np.where(rng.random((40, 30)) < 0.4, rng.random((40, 30)), 0)
    dense[:, 0] = 0
    begin = np.concatenate([[0], np.cumsum(rng.integers(0, 5, 40))])
    wanted = rng.integers(1, 30, begin[-1])
    given = shelf.order(rng.integers(0, 9, 30)), np.zeros(40, np.int64), begin, wanted
    whole = shelf.ranks(sparse.csr_array(dense), *given)
    monkeypatch.setattr(shelf, "BLOCK", 7)
    np.testing.assert_array_equal(shelf.ranks(sparse.csr_array(dense), *given), whole)


def test_the_order_of_popularity_ends_with_the_missing_item() -> None:
    assert shelf.order(np.array([9, 1, 5, 5])).tolist() == [[3, 2, 0, 1]]


def test_knn_knows_the_colours_and_popularity_does_not(found: baselines.Baselines) -> None:
    """All of a user's items are of one colour; twenty items have it, and every one of them comes before the other colour."""
    near, popular = (found.by_name[name].answers["next"] for name in ("item-kNN", "popularity"))
    assert np.nanmax(near) <= 20
    assert np.nanmax(popular) > 20


def test_knn_reads_the_newest_events_of_all_users_where_there_are_too_many(board: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    table, log = board.data.tables["next"], board.data.stock.log
    train = table.part == TRAIN
    whole = neighbours._sessions(log, table.moment, train)[1]
    monkeypatch.setattr(neighbours, "EVENTS", len(whole) // 2)
    found = neighbours._sessions(log, table.moment, train)[1]
    assert len(found) == len(whole) // 2
    assert set((found % 2).tolist()) == {0, 1}  # both colours
    users = np.zeros(len(log.start) - 1, np.int64)
    np.maximum.at(users, table.moment.user[train], table.moment.end[train])
    held = np.flatnonzero(np.arange(len(log.item)) < users[log.user])
    newest = held[np.argsort(-log.time[held], kind="stable")[: len(found)]]
    assert sorted(found.tolist()) == sorted(log.item[newest].tolist())


def test_own_history_puts_the_users_items_first(found: baselines.Baselines) -> None:
    assert np.nanmax(found.by_name["own history"].answers["next"]) <= 20


def test_popularity_knows_which_items_are_liked(found: baselines.Baselines) -> None:
    assert found.by_name["popularity"].figures["liked"]["auc"] > 0.85
    assert found.by_name["popularity"].figures["liked"]["log_loss"] < 0.55  # .69 without knowing the item


def test_the_smoothed_mean_is_the_one_by_hand(board: SimpleNamespace, found: baselines.Baselines) -> None:
    table, asked = board.data.tables["rated"], board.evaluation.questions["liked"]
    train = table.part == TRAIN
    y, item = table.labels["liked"].value[:, 0], table.entities["item"]
    mine = train & (item == item[asked.rows[0]])
    by_hand = (y[mine].sum() + rates.PRIOR * y[train].mean()) / (mine.sum() + rates.PRIOR)
    assert found.by_name["popularity"].answers["liked"][0, 0] == pytest.approx(by_hand)


def test_the_last_value_forecasts_a_constant_series(board: SimpleNamespace, found: baselines.Baselines) -> None:
    """Every shade sells 30 pieces a day, seven days a week."""
    assert board.evaluation.questions["demand"].value.min() == board.evaluation.questions["demand"].value.max() == 210
    assert found.by_name["own history"].figures["demand"]["wape"] < 1e-4


def test_the_last_value_is_read_beyond_what_training_saw(tmp_path: Path) -> None:
    """A series that sold 2 pieces a day in training, and 20 a day since: the last week sold 140, and so will the next."""
    sold = np.array([2] * 70 + [20] * 42)
    day = np.repeat(np.arange(len(sold)), sold)
    time = pl.from_epoch(pl.Series(1_704_067_200 + day * 86_400))  # from a Monday
    pl.DataFrame({"user_id": np.arange(len(day)) % 9, "item_id": ["only"] * len(day), "ts": time}).write_parquet(tmp_path / "events.parquet")
    (tmp_path / "store.yaml").write_text("""
entities: {user: {id: user_id}, item: {id: item_id}}
events: {table: events.parquet, user: user_id, item: item_id, time: ts}
samples: {weekly: {recipe: counts, of: event, by: [item], every: week}}
tasks: {demand: {kind: count, samples: weekly}}
split: {by: time, valid: 14d, test: 28d}
""")
    shop = open_store(tmp_path / "store.yaml")
    data, tasks = build(shop), shop.store.tasks
    asked, valid = ask(data, tasks, TEST)["demand"], ask(data, tasks, VALID)["demand"]
    table = data.tables["weekly"]
    assert table.labels["demand"].value[table.part == TRAIN].max() == 14
    answers = rates.own_history(shop.store, data, asked, valid)
    assert not isinstance(answers, str)
    assert answers[:, 0].tolist() == asked.value[:, 0].tolist() == [140.0] * len(asked)
    assert len(asked) >= 2


def test_classes_fall_back_on_their_training_shares(board: SimpleNamespace, found: baselines.Baselines) -> None:
    shares = found.by_name["popularity"].answers["taste"]
    assert shares == pytest.approx(np.tile(board.data.plan.targets["taste"].prior, (len(shares), 1)), abs=1e-6)
    assert any(note.startswith("own history of taste: left out, none of its users") for note in found.notes)


def test_rankings_have_no_trees_and_other_tasks_no_neighbours(found: baselines.Baselines) -> None:
    assert "next" not in found.by_name["trees"].answers
    assert set(found.by_name["item-kNN"].answers) == {"next"}


@pytest.mark.parametrize("library", ["lightgbm", "sklearn"])
def test_trees_learn_what_the_item_says(board: SimpleNamespace, library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip(library)
    monkeypatch.setattr(trees, "_grower", lambda: getattr(trees, f"_{library}"))
    found = baselines.run(board.store, board.data, {t: board.evaluation.questions[t] for t in ("liked", "taste")}, TEST, only=("trees",))
    assert found.by_name["trees"].figures["liked"]["auc"] > 0.8
    assert found.by_name["trees"].answers["taste"].sum(1) == pytest.approx(1.0)


@pytest.mark.parametrize("name", [name for name in parts.names("tasks") if parts.find("tasks", name).kind != "places"])
def test_trees_have_an_aim_for_every_kind_of_task(name: str) -> None:
    part = parts.find("tasks", name)
    assert trees.aim(part) in {"classes": ["multiclass"], "chances": ["binary"], "means": ["poisson", "tweedie"]}.get(part.answers, ["regression"])


def test_trees_do_not_see_the_label_nor_a_hidden_column(board: SimpleNamespace) -> None:
    names = matrix(board.data, "people", np.arange(3)).names
    assert "user.city" in names
    assert not [n for n in names if "taste" in n]


def test_missing_libraries_are_told(board: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trees, "_grower", lambda: None)
    found = baselines.run(board.store, board.data, {"liked": board.evaluation.questions["liked"]}, TEST, only=("trees",))
    assert found.by_name["trees"].answers == {}
    assert "neither lightgbm nor scikit-learn is installed" in found.notes[0]


def test_no_baseline_begins_past_the_time(board: SimpleNamespace) -> None:
    found = baselines.run(board.store, board.data, board.evaluation.questions, TEST, seconds=0.0, only=("popularity",))
    assert found.by_name["popularity"].answers == {}
    assert all("the time for baselines was over" in note for note in found.notes)
    assert len(found.notes) == 5
