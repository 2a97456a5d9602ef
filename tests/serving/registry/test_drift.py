"""A shift is told when there is one, with what moved, and chance alone raises no alarm; a calibration that went off is told, and one that holds is not."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch

from banyan.bundle import Bundle, save
from banyan.features.build import build, task_options
from banyan.features.step import Feeder
from banyan.model import Network
from banyan.serving.drift import by_chance, calibrated, drift, jensen_shannon, psi, shift
from banyan.serving.state import Event
from banyan.store.shop import Shop

BEGIN, DAY = 1_700_000_000_000_000, 86_400_000_000


@pytest.fixture(scope="module")
def bundle(opened: Callable[..., Shop], described: Callable[[], dict[str, Any]], tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """Weights as they began: drift reads the log and the columns only."""
    page = described()
    page["tasks"] = {"bought": page["tasks"]["bought"]}
    page["samples"] = {"viewed": page["samples"]["viewed"]}
    shop = opened(None, page)
    data = build(shop)
    torch.manual_seed(0)
    network = Network(data.plan, shop.store.model, shop.store.tasks)
    Feeder(data, {name: task_options(shop.store, name) for name in shop.store.tasks}, 0.0)
    return Bundle.load(save(tmp_path_factory.mktemp("bundle") / "bundle", network, data, shop.store, {}), device="cpu")


def events(count: int, items: list[str], seed: int = 0, share: float = 0.5, new: int = 0) -> list[Event]:
    rng = np.random.default_rng(seed)
    behaviours = rng.choice(["view", "cart", "buy"], count, p=[share, 0.8 - share, 0.2])
    times = BEGIN + 41 * DAY + rng.integers(0, 240, count) * 3_600_000_000
    users = [f"u{i}" for i in rng.integers(0, 27, count)]
    found = [Event(str(i), users[i], str(rng.choice(items)), str(behaviours[i]), int(times[i]), ["home", "search"][int(rng.integers(2))]) for i in range(count)]
    return found + [Event(f"new{i}", f"newcomer {i}", f"novelty {i}", "view", BEGIN + 41 * DAY, "home") for i in range(new)]


def test_the_same_traffic_raises_no_alarm_and_another_does(bundle: Bundle) -> None:
    everything = [f"i{i}" for i in range(18)]
    same = drift(bundle, events(3_000, everything))
    assert not [each.feature for each in same.shifts if each.alarm]
    assert (same.now, same.new_users, same.new_items) == (3_000, 0, 0)
    assert {"behaviour", "scenario", "hour", "item.kind", "item.price", "user.city", "user.age"} <= {each.feature for each in same.shifts}

    other = drift(bundle, events(3_000, ["i2", "i3"], share=0.05))
    alarms = {each.feature for each in other.shifts if each.alarm}
    assert {"behaviour", "item.price"} <= alarms
    assert "user.city" not in alarms
    moved = next(each for each in other.shifts if each.feature == "behaviour").moved
    assert moved[0][0] in ("view", "cart")
    assert other.shifts == tuple(sorted(other.shifts, key=lambda each: -each.psi))


def test_newcomers_are_counted_and_nothing_is_no_error(bundle: Bundle) -> None:
    found = drift(bundle, events(300, ["i1"], new=100))
    assert found.new_users == found.new_items == pytest.approx(0.25)
    nothing = drift(bundle, [Event("a", "", "i1", "view", BEGIN, session="s"), Event("b", "u1", None, "view", BEGIN)])
    assert (nothing.now, nothing.shifts) == (0, ())


def test_few_events_raise_no_alarm_by_chance(bundle: Bundle) -> None:
    everything = [f"i{i}" for i in range(18)]
    alarms = [each.feature for seed in range(12) for each in drift(bundle, events(40, everything, seed)).shifts if each.alarm]
    assert len(alarms) <= 2


def test_the_measures_are_what_their_formulae_say() -> None:
    p, q = np.array([50.0, 30.0, 20.0]), np.array([20.0, 30.0, 50.0])
    assert psi(p * 1e6, q * 1e6) == pytest.approx(2 * 0.3 * np.log(2.5), rel=1e-6)
    assert psi(p, p) == 0
    assert jensen_shannon(p, p) == pytest.approx(0, abs=1e-12)
    assert jensen_shannon(np.array([1, 0]), np.array([0, 5])) == pytest.approx(1)
    assert jensen_shannon(p, q) == pytest.approx(jensen_shannon(q, p))
    assert np.isnan(jensen_shannon(p, np.zeros(3)))
    assert np.isfinite(psi(np.zeros(3), p))


def test_chance_stays_under_the_limit_that_is_stated_for_it() -> None:
    rng = np.random.default_rng(0)
    shares = np.full(10, 0.1)
    found = [psi(rng.multinomial(2_000, shares), rng.multinomial(500, shares)) for _ in range(2_000)]
    assert np.mean(np.array(found) > by_chance(10, 2_000.0, 500.0)) < 0.005
    assert np.mean(found) == pytest.approx(9 * (1 / 2_000 + 1 / 500), rel=0.12)


def test_a_value_that_is_new_counts() -> None:
    found = shift("page", {"home": 900.0, "search": 100.0}, {"home": 500.0, "app": 500.0})
    assert found.alarm
    assert found.moved[0] == ("app", 0.0, 0.5)


@dataclass
class Part:
    kind: str = "floats"
    answers: str = "chances"

    def columns(self) -> list[str]:
        return ["cart", "buy"]


@dataclass
class Asked:
    value: np.ndarray
    seen: np.ndarray
    weight: np.ndarray


def test_a_calibration_that_went_off_is_told() -> None:
    rng = np.random.default_rng(0)
    p = rng.beta(2, 8, (6_000, 2))
    value = (rng.random((6_000, 2)) < p * np.array([1.0, 1.5])).astype(float)
    seen = np.ones((6_000, 2), bool)
    seen[:1_000, 1] = False
    cart, buy = calibrated({"bought": p}, {"bought": Part()}, {"bought": Asked(value, seen, np.ones(6_000))})
    assert not cart.alarm
    assert buy.alarm
    assert (cart.rows, buy.rows) == (6_000, 5_000)
    assert buy.observed / buy.predicted == pytest.approx(1.5, abs=0.1)
    assert buy.error > 3 * cart.error
    few = calibrated({"bought": p[:30]}, {"bought": Part()}, {"bought": Asked(value[:30], seen[:30], np.ones(30))})
    assert not any(each.alarm for each in few)
