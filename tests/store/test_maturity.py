"""Rows whose window is open at the cut: what was known then, how ripe it was, and nothing of what came after."""

import numpy as np
import polars as pl
import pytest

from banyan.errors import DataError
from banyan.features import labels
from banyan.store.open import open_store
from banyan.store.samples import maturity
from banyan.store.samples.maturity import NEVER
from banyan.store.schema import Store
from banyan.types import TRAIN, VALID

DAY = 86_400_000_000
START = 1_700_006_400  # a midnight, in seconds
DAYS, WITHIN = 60, 10


def events(rows: int = 6000, seed: int = 0) -> pl.DataFrame:
    """Views, of which 3 in 10 end in a purchase after up to 10 days."""
    rng = np.random.default_rng(seed)
    when = rng.uniform(0, DAYS, rows)
    buys = rng.random(rows) < 0.3
    wait = np.minimum(rng.exponential(4.0, rows), WITHIN - 0.01)
    buys &= when + wait < DAYS
    ids = np.arange(rows)
    frame = {"user": np.r_[ids, ids[buys]], "item": np.r_[ids % 20, ids[buys] % 20], "event": ["view"] * rows + ["buy"] * int(buys.sum())}
    return pl.DataFrame({**frame, "ts": pl.from_epoch(pl.Series((START + np.r_[when, (when + wait)[buys]] * 86_400).astype(np.int64)))})


def shop(folder, frame, **tasks):
    frame.write_parquet(folder / "events.parquet")
    described = {
        "entities": {"user": {"id": "user"}, "item": {"id": "item"}},
        "events": {"table": "events.parquet", "user": "user", "item": "item", "behaviour": "event", "time": "ts"},
        "samples": {"viewed": {"recipe": "outcomes", "after": "view", "within": f"{WITHIN}d", "labels": {"buy": "buy"}}},
        "tasks": {name: {"kind": "binary", "samples": "viewed", **each} for name, each in tasks.items()},
        "split": {"by": "time", "valid": "15d", "test": "15d"},
    }
    return open_store(Store.model_validate({**described, "folder": folder}))


def test_the_distribution_of_delays_is_found_behind_those_that_young_rows_show() -> None:
    rng = np.random.default_rng(0)
    delay, age = rng.exponential(4.0, 40_000), rng.uniform(0, 20, 40_000)
    age, delay = np.minimum(age, 10.0), delay
    within = delay < 10  # what happens within the window
    seen = within & (delay < age)
    found = maturity.estimated((delay[seen] * DAY).astype(np.int64), (age[seen] * DAY).astype(np.int64), np.ones(int(seen.sum())))
    asked = np.array([0.5, 1, 2, 4, 8, 10])
    truth = (1 - np.exp(-asked / 4)) / (1 - np.exp(-10 / 4))
    np.testing.assert_allclose(found.before((asked * DAY).astype(np.int64)), truth, atol=0.015)
    plain = (delay[seen][:, None] < asked).mean(0)
    assert plain[3] > truth[3] + 0.05  # what was seen alone would promise too much


def test_the_estimate_by_hand() -> None:
    """Delays 1 and 2 of rows of age 10, delay 1 of a row of age 2: P(D < 2) = 1 - 1/2, since the young row could not have shown a delay of 2."""
    found = maturity.estimated(np.array([1, 2, 1]), np.array([10, 10, 2]), np.ones(3))
    np.testing.assert_allclose(found.before(np.array([1, 2, 3])), [0.0, 0.5, 1.0])


def test_open_rows_are_kept_with_what_was_known_at_the_cut(tmp_path) -> None:
    frame = events()
    kept, dropped = shop(tmp_path, frame, bought={"delayed": "waiting"}), shop(tmp_path, frame, bought={})
    table, plain = kept.samples["viewed"], dropped.samples["viewed"]
    cut = kept.cut[0]
    train = table.part == TRAIN
    is_open = train & (table.time + WITHIN * DAY + 1 > cut)
    assert is_open.sum() > 500
    assert not (plain.part[is_open] == TRAIN).any()
    assert (table.part[~is_open] == plain.part[~is_open]).all()
    buy = table.labels["buy"].to_numpy()
    when = {user: t for user, b, t in frame.with_columns(pl.col("ts").dt.epoch("us")).select("user", "event", "ts").iter_rows() if b == "buy"}
    users = [int(u) for u in kept.entities["user"].ids[table.entities["user"] - 1]]
    known = np.array([when.get(user, NEVER) < cut for user in users])
    assert (buy[is_open] == known[is_open]).all()
    assert 0.05 < buy[is_open].mean() < buy[train & ~is_open].mean()
    ripe = table.maturity["buy"]
    assert (ripe[~is_open] == 1).all()
    assert (np.diff(ripe[is_open][np.argsort(table.time[is_open])]) <= 0).all()  # the older the riper
    age = (cut - table.time[is_open]) / DAY
    truth = 1 - np.exp(-age / 4)  # those beyond the window lie at its end
    assert np.abs(ripe[is_open] - truth).mean() < 0.05
    assert any("kept with what was known at the cut" in note for note in kept.notes)


def test_what_happens_after_the_cut_changes_no_training_row(tmp_path) -> None:
    frame = events()
    one = shop(tmp_path, frame, bought={"delayed": "waiting"})
    table = one.samples["viewed"]
    late = frame["ts"].dt.epoch("us") >= one.cut[0]
    other = frame.filter(~late | (frame["event"] == "view"))  # no purchase after the cut at all
    other = pl.concat([other, frame.tail(1)]).unique(maintain_order=True) if other["ts"].max() < frame["ts"].max() else other
    again = shop(tmp_path, other, bought={"delayed": "waiting"}).samples["viewed"]
    train = np.flatnonzero(table.part == TRAIN)
    assert (again.part[train] == TRAIN).all()
    assert (table.labels["buy"].to_numpy()[train] == again.labels["buy"].to_numpy()[train]).all()
    assert (table.maturity["buy"][train] == again.maturity["buy"][train]).all()


def test_a_task_that_drops_beside_one_that_keeps_sees_settled_rows_only(tmp_path) -> None:
    kept = shop(tmp_path, events(), bought={"delayed": "waiting"}, sure={})
    table = kept.samples["viewed"]
    keeps, target = labels.read("bought", kept.store.tasks["bought"], table)
    drops, other = labels.read("sure", kept.store.tasks["sure"], table)
    ripe = table.maturity["buy"] >= 1
    assert (keeps.seen[table.part == TRAIN]).all()
    assert (drops.seen[:, 0] == (keeps.seen[:, 0] & ripe)).all()
    assert (keeps.settled == drops.seen).all()
    assert target.prior == other.prior  # where heads start is what settled rows say
    assert (keeps.maturity[table.part == VALID] == 1).all()


def test_too_few_closed_windows_are_refused(tmp_path) -> None:
    with pytest.raises(DataError, match="training rows whose window is closed have the label 'buy', too few"):
        shop(tmp_path, events(150), bought={"delayed": "importance"})


@pytest.mark.parametrize(
    ("task", "said"),
    [
        ({"delayed": "wating"}, "Did you mean 'waiting'"),
        ({"kind": "classes", "delayed": "waiting"}, "delayed speaks of labels that are 0 until they happen"),
    ],
)
def test_a_wrong_option_is_refused(tmp_path, task, said) -> None:
    with pytest.raises(ValueError, match=said):
        shop(tmp_path, events(50), bought=task)
