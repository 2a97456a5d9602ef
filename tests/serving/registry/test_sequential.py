"""An interval that may be looked at any time leaves out the truth, at any moment, in at most one of twenty experiments; and it finds what is there."""

import math

import numpy as np
import pytest

from banyan.errors import ConfigError
from banyan.serving import sequential
from banyan.serving.sequential import LEAST_OUTCOMES, LEAST_USERS, Sums, difference, evenness

WORLDS = {
    "one in ten": lambda rng, shape: (rng.random(shape) < 0.1).astype(float),
    "one in a hundred": lambda rng, shape: (rng.random(shape) < 0.01).astype(float),
    "money": lambda rng, shape: np.where(rng.random(shape) < 0.03, rng.lognormal(3, 1, shape), 0.0),
    "heavy": lambda rng, shape: np.where(rng.random(shape) < 0.05, rng.pareto(2.5, shape) + 1, 0.0),
    "normal": lambda rng, shape: rng.normal(size=shape),
}


def false_alarms(world: str, share: float, runs: int, users: int, *, effect: float = 0.0, every: int = 1, seed: int = 0) -> float:
    """The share of runs in which the interval leaves out the truth at any of the looks; the formula of `difference`, on cumulated sums of all runs at once."""
    rng = np.random.default_rng(seed)
    x, arm = WORLDS[world](rng, (runs, users)), rng.random((runs, users)) < share
    x = x + effect * arm

    def sums(mask: np.ndarray) -> list[np.ndarray]:
        return [np.cumsum(np.where(mask, each, 0.0), 1)[:, ::every] for each in (np.ones_like(x), x, x * x, np.abs(x))]

    (n, sn, qn, an), (m, sm, qm, am) = sums(~arm), sums(arm)
    with np.errstate(all="ignore"):
        variances = [q / k - (s / k) ** 2 for k, s, q in ((n, sn, qn), (m, sm, qm), (n + m, sn + sm, qn + qm))]
        spread = np.sqrt(np.maximum(variances[0] / n + variances[1] / m, variances[2] * (1 / n + 1 / m)))
        radius = spread * sequential.width(sequential._rho(0.05, 10_000) * n * m / (n + m), 0.05)
        said = (np.minimum(n, m) >= LEAST_USERS) & ((an + am) ** 2 / (qn + qm) >= LEAST_OUTCOMES)
        return float((said & (np.abs(sm / m - sn / n - effect) > radius)).any(1).mean())


@pytest.mark.parametrize("share", [0.5, 0.1])
@pytest.mark.parametrize("world", WORLDS)
def test_looking_at_every_user_raises_no_more_false_alarms_than_stated(world: str, share: float) -> None:
    assert false_alarms(world, share, 200, 4_000) <= 0.05 + 1.65 * math.sqrt(0.05 * 0.95 / 200)


@pytest.mark.slow
@pytest.mark.parametrize("effect", [0.0, 0.02])
@pytest.mark.parametrize("world", WORLDS)
def test_so_do_many_long_experiments(world: str, effect: float) -> None:
    alarms = np.mean([false_alarms(world, 0.5, 100, 20_000, effect=effect, seed=seed) for seed in range(10)])
    assert alarms <= 0.05


def test_the_simulated_formula_is_that_of_the_function() -> None:
    rng = np.random.default_rng(1)
    x, arm = rng.random(5_000) < 0.1, rng.random(5_000) < 0.3
    found = difference(Sums.of(x[~arm].astype(float)), Sums.of(x[arm].astype(float)))
    n, m = (~arm).sum(), arm.sum()
    each = max(x[~arm].var() / n + x[arm].var() / m, x.var() * (1 / n + 1 / m))
    half = math.sqrt(each) * sequential.width(sequential._rho(0.05, 10_000) * n * m / (n + m), 0.05)
    assert (found.low, found.high) == (pytest.approx(found.estimate - half), pytest.approx(found.estimate + half))


def test_a_fixed_test_that_is_looked_at_all_the_time_would_be_wrong_far_more_often() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 4_000)) * np.where(rng.random((200, 4_000)) < 0.5, 1.0, -1.0)
    z = np.abs(np.cumsum(x, 1)[:, LEAST_USERS:]) / np.sqrt(np.arange(LEAST_USERS + 1, 4_001))
    assert (z > 1.96).any(1).mean() > 0.25


def test_a_real_difference_is_found_and_its_size_lies_in_the_interval() -> None:
    rng = np.random.default_rng(2)
    control, candidate = (rng.random(10_000) < 0.05).astype(float), (rng.random(10_000) < 0.07).astype(float)
    found = difference(Sums.of(control), Sums.of(candidate))
    assert found.verdict == "better"
    assert found.low < 0.02 < found.high
    assert found.p < 0.01
    assert difference(Sums.of(candidate), Sums.of(control)).verdict == "worse"
    assert found.relative == pytest.approx(found.estimate / control.mean())


def test_an_arm_that_sells_nothing_is_found_although_its_variance_is_nothing() -> None:
    control = (np.arange(4_000) % 20 == 0).astype(float)
    assert difference(Sums.of(control), Sums.of(np.zeros(4_000))).verdict == "worse"


def test_p_is_the_level_whose_interval_just_leaves_out_nothing() -> None:
    rng = np.random.default_rng(4)
    sums = Sums.of(rng.normal(0, 1, 3_000)), Sums.of(rng.normal(0.12, 1, 3_000))
    found = difference(*sums)
    spread = (found.high - found.low) / 2 / sequential.width(information := sequential._rho(0.05, 10_000) * 1_500, 0.05)
    assert abs(found.estimate) == pytest.approx(spread * sequential.width(information, found.p), rel=1e-6)


def test_little_is_too_early_and_nothing_is_no_error() -> None:
    few = difference(Sums.of(np.ones(99)), Sums.of(np.zeros(5_000)))
    assert (few.verdict, few.low, few.p) == ("too early", -math.inf, 1.0)
    rare = difference(Sums.of(np.eye(1, 5_000)[0]), Sums.of(np.zeros(5_000)))
    assert rare.verdict == "too early"
    assert difference(Sums(), Sums()).verdict == "too early"
    for options in ({"level": 0.0}, {"level": 1.0}, {"planned": 0}):
        with pytest.raises(ConfigError):
            difference(Sums(), Sums(), **options)


def test_sums_add_up() -> None:
    x = np.random.default_rng(0).normal(size=100)
    assert (Sums.of(x[:30]) + Sums.of(x[30:])).variance == pytest.approx(x.var())


def test_an_uneven_split_is_found_and_an_even_one_is_not() -> None:
    rng = np.random.default_rng(5)
    assert evenness(50_000, 50_000, 0.5) == 1.0
    assert evenness(51_500, 48_500, 0.5) < 0.001
    assert evenness(90_000, 9_000, 0.1) < 0.001
    counts = np.cumsum(rng.random((100, 6_000)) < 0.1, 1)[:, 99::100]
    alarms = [any(evenness(int(total - c), int(c), 0.1) < 0.05 for c, total in zip(row, range(100, 6_001, 100), strict=True)) for row in counts]
    assert np.mean(alarms) <= 0.05 + 1.65 * math.sqrt(0.05 * 0.95 / 100)
    with pytest.raises(ConfigError):
        evenness(1, 1, 1.0)
