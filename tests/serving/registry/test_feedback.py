"""What was drawn is shown and told with its true probability; estimates from draws are right where the truth is known, and refused without support."""

import functools
import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from banyan.decisions.value import Value
from banyan.errors import ConfigError, DataError
from banyan.serving import feedback
from banyan.serving.experiments import Outcome
from banyan.serving.feedback import Exploration, Logged, estimate, explore, logged, note_of, preview, settled
from banyan.serving.state import Event, Note, journal_at

ITEMS = [f"i{i}" for i in range(12)]


@dataclass(frozen=True)
class Placed:
    item: str


@dataclass(frozen=True)
class Ranked:
    items: list[Placed] = field(default_factory=lambda: [Placed(each) for each in ITEMS])
    explored: Any = None


def test_on_the_stated_share_one_slot_is_drawn_each_item_alike() -> None:
    rng, exploration = np.random.default_rng(0), Exploration(0.25, 2, 7)
    found = [explore(Ranked(), exploration, 5, rng) for _ in range(4_000)]
    draws = [each.explored for each in found if each.explored is not None]
    assert len(draws) / len(found) == pytest.approx(0.25, abs=0.03)
    for each in found:
        shown = [placed.item for placed in each.items]
        assert len(shown) == len(set(shown)) == 5
        assert shown[:2] == ["i0", "i1"]
        assert shown == ITEMS[:5] if each.explored is None else shown[2] == each.explored.item
    assert all(draw.items == tuple(ITEMS[2:7]) and draw.probability == 0.2 for draw in draws)
    counts = np.bincount([draw.chosen for draw in draws], minlength=5)
    assert np.abs(counts / len(draws) - 0.2).max() < 0.06


def test_nothing_is_drawn_where_nothing_stands_below_or_the_slot_is_not_shown() -> None:
    rng = np.random.default_rng(0)
    assert Exploration(1.0, 2, 7).draw(ITEMS[:3], rng) is None
    assert explore(Ranked(), Exploration(1.0, 5, 9), 3, rng).explored is None
    assert explore(Ranked(), None, 3, rng).items == [Placed(each) for each in ITEMS[:3]]
    order, draw = Exploration(1.0, 2, 7).draw(ITEMS[:4], rng) or ([], None)
    assert sorted(order) == [0, 1, 2, 3]
    assert draw is not None
    assert draw.probability == 0.5


@pytest.mark.parametrize(
    "wrong", [{"share": 1.5, "slot": 0, "top": 5}, {"share": 0.1, "slot": 5, "top": 5}, {"share": 0.1, "slot": 0, "top": 99}, {"share": 0.1}]
)
def test_an_exploration_that_cannot_be_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="exploration"):
        Exploration.of(wrong)


@functools.cache
def world(n: int, seed: int = 0) -> tuple[list[Note], list[float], np.ndarray]:
    """Draws among five items with known chances of a sale, which the answer `buy.buy` tells nearly and `click.click` not at all."""
    rng = np.random.default_rng(seed)
    exploration, notes, rewards, chances = Exploration(1.0, 0, 5), [], [], []
    for row in range(n):
        chance = rng.beta(2, 8, 5)
        _, draw = exploration.draw(ITEMS, rng) or ([], None)
        assert draw is not None
        columns = {
            "buy.buy": np.clip(chance + rng.normal(0, 0.02, 5), 0, 1),
            "click.click": rng.random(5),
            "item.price": np.array([1.0, np.nan, 2.0, 3.0, 4.0]),
        }
        notes.append(note_of(f"r{row}", f"u{row % 700}", "", row, draw, columns, version="v", value_version=1, scenario=""))
        rewards.append(float(rng.random() < chance[draw.chosen]))
        chances.append(chance)
    return notes, rewards, np.array(chances)


KNOWN = ["buy.buy", "click.click", "item.price"]


@pytest.mark.parametrize("method", ["ips", "snips", "dr"])
@pytest.mark.parametrize("text", ["buy", "click", "buy*item.price"])
def test_estimates_hold_the_true_value_of_an_order_that_nobody_saw(method: Any, text: str) -> None:
    hit = []
    for seed in range(6):
        notes, rewards, chances = world(400, seed)
        value = Value.parse(text, KNOWN)
        places = [int(np.argmax(value.of({name: np.array([np.nan if x is None else x for x in v]) for name, v in n.about["columns"].items()}))) for n in notes]
        truth = chances[np.arange(len(notes)), places].mean()
        found = estimate(logged(notes, rewards, value, "buy.buy"), method)
        hit.append(found.low <= truth <= found.high)
    assert np.mean(hit) >= 0.66


def test_the_doubly_robust_interval_is_narrower_where_predictions_are_good() -> None:
    notes, rewards, _ = world(2_000)
    found = {each: estimate(logged(notes, rewards, Value.parse("buy", KNOWN), "buy.buy"), each) for each in ("ips", "dr")}  # type: ignore[arg-type]
    assert found["dr"].high - found["dr"].low < found["ips"].high - found["ips"].low


def test_a_better_order_is_told_from_the_one_in_force_by_paired_draws() -> None:
    notes, rewards, _ = world(2_000)
    new, now = (logged(notes, rewards, Value.parse(text, KNOWN), "buy.buy") for text in ("buy", "click"))
    found = preview(new, now, "dr")
    assert found.low > 0
    assert found.gain == pytest.approx(found.new.mean - found.now.mean)
    assert 0.2 < found.changed < 0.5  # of the draws that either would have made
    same = preview(new, new)
    assert (same.gain, same.low, same.high, same.changed) == (0, 0, 0, 0)


def draws(n: int = 2_000, **other: Any) -> Logged:
    rng = np.random.default_rng(3)
    found = Logged((rng.random(n) < 0.3).astype(float), np.full(n, 0.25), (rng.random(n) < 0.25).astype(float), np.ones(n))
    return replace(found, **other)


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"reach": np.full(2_000, 0.9)}, "could not have been drawn"),
    ({"target": (np.arange(2_000) < 40).astype(float)}, "40 of 2,000 draws match"),
    ({"probability": np.where(np.arange(2_000) == 5, 1e-9, 0.25), "target": np.ones(2_000)}, "worth 1 of equal weight"),
    ({"reward": np.zeros(2_000)}, "Only 0 of the"),
    ({"probability": np.full(2_000, 0.1)}, "average 2.*and not 1"),
]


@pytest.mark.parametrize("method", ["ips", "snips", "dr"])
@pytest.mark.parametrize(("spoilt", "says"), REFUSED)
def test_without_support_an_estimate_is_refused(spoilt: dict[str, Any], says: str, method: Any) -> None:
    guess = {"predicted": np.zeros(2_000), "expected": np.zeros(2_000)}
    assert estimate(draws(**guess), method).draws == 2_000
    with pytest.raises(ConfigError, match=says):
        estimate(draws(**guess, **spoilt), method)


@pytest.mark.parametrize("wrong", [0.0, -0.1, 1.5, float("nan")])
def test_a_probability_that_is_none_is_an_error(wrong: float) -> None:
    with pytest.raises(DataError, match="Draw 8"):
        estimate(draws(probability=np.where(np.arange(2_000) == 7, wrong, 0.25)))


def test_no_draws_and_missing_predictions_are_errors() -> None:
    with pytest.raises(ConfigError, match="no draws"):
        estimate(Logged(*[np.zeros(0)] * 4))
    with pytest.raises(ConfigError, match="doubly robust"):
        estimate(draws(), "dr")
    notes, rewards, _ = world(3)
    with pytest.raises(DataError, match="no number 'cart'"):
        logged(notes, rewards, Value.parse("buy", KNOWN), "cart")


def test_draws_of_one_user_do_not_count_as_independent() -> None:
    one = draws(group=np.arange(2_000))
    twice = Logged(*[np.repeat(getattr(one, name), 2) for name in ("reward", "probability", "target", "reach")], group=np.repeat(np.arange(2_000), 2))
    a, b = estimate(one), estimate(twice)
    assert (a.low, a.high) == (pytest.approx(b.low), pytest.approx(b.high))


def test_the_journal_keeps_draws_and_tells_what_came_of_them(tmp_path: Path) -> None:
    journal = journal_at(tmp_path)
    notes, _, _ = world(4)
    journal.note("draws", notes)
    shown = [note.about["items"][note.about["chosen"]] for note in notes]
    journal.append(
        [
            Event("a", "u0", shown[0], "buy", 2),
            Event("b", "u1", "another item", "buy", 3),
            Event("c", "u2", shown[2], "view", 4),
            Event("d", "u3", shown[3], "buy", 500),  # after the span
        ]
    )
    found, rewards = settled(journal, Outcome(("buy",), within=100), now=103)
    assert [note.id for note in found] == ["r0", "r1", "r2", "r3"]
    assert found == notes
    assert rewards == [1.0, 0.0, 0.0, 0.0]
    assert [note.id for note in settled(journal, Outcome(("buy",), within=100), now=102)[0]] == ["r0", "r1", "r2"]  # the others' time is not over
    assert [note.id for note in settled(journal, Outcome(("buy",), within=100), now=103, most=2)[0]] == ["r2", "r3"]
    journal.close()


def impressions(policy: str, campaign: str) -> pl.DataFrame:
    if "BANYAN_DATA" not in os.environ:
        pytest.skip("BANYAN_DATA names no folder of public data")
    path = Path(os.environ["BANYAN_DATA"]) / "open_bandit" / f"{policy}_{campaign}.parquet"
    if not path.exists():
        pytest.skip(f"{path} is not there")
    return pl.read_parquet(path).select("item_id", "position", "click", "propensity_score")


def shares(log: pl.DataFrame, items: int, values: pl.Series | None = None) -> np.ndarray:
    """(items, 3) sums at each position."""
    found = np.zeros((items, 3))
    np.add.at(found, (log["item_id"].to_numpy(), log["position"].to_numpy() - 1), 1.0 if values is None else values.to_numpy())
    return found


@pytest.mark.parametrize("campaign", ["all", "men", "women"])
@pytest.mark.parametrize(("source", "target"), [("bts", "random"), ("random", "bts")])
def test_one_policy_is_judged_by_the_log_of_another_on_a_real_shop(campaign: str, source: str, target: str) -> None:
    """Open Bandit (Saito et al., 2021): 10,000 impressions each of a random policy and of Thompson sampling, with the probabilities that were used."""
    log, truth = impressions(source, campaign), impressions(target, campaign)
    items = 1 + int(max(log["item_id"].max(), truth["item_id"].max()))  # type: ignore[type-var]
    policy = np.full((items, 3), 1 / items) if target == "random" else shares(truth, items) / shares(truth, items).sum(0)
    guess = (shares(log, items, log["click"]) + 200 * log["click"].mean()) / (shares(log, items) + 200)
    item, place = log["item_id"].to_numpy(), log["position"].to_numpy() - 1
    seen = Logged(
        log["click"].to_numpy().astype(float),
        log["propensity_score"].to_numpy(),
        policy[item, place],
        np.ones(len(log)),
        predicted=guess[item, place],
        expected=(policy * guess).sum(0)[place],
    )
    if (campaign, source) == ("women", "bts"):  # one impression had a chance of one in a million, and would outweigh all others
        with pytest.raises(ConfigError, match="do not carry"):
            estimate(seen)
        return
    mean = float(truth["click"].mean())  # type: ignore[arg-type]
    error = 1.96 * np.sqrt(mean * (1 - mean) / len(truth))  # the mean that was measured is uncertain itself
    for method in ("ips", "snips", "dr"):
        found = estimate(seen, method)  # type: ignore[arg-type]
        half = (found.high - found.low) / 2
        assert abs(found.mean - mean) <= np.hypot(half, error), method
        if method != "ips":
            assert found.low <= mean <= found.high, method
    assert feedback.LEAST_EFFECTIVE <= estimate(seen).effective < len(log)
