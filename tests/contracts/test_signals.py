"""What every signal promises: finite scores of the past alone, an own contribution that is taken out exactly, the same after a bundle."""

from typing import Any

import numpy as np
import pytest
from scipy import sparse

from banyan import parts
from banyan.errors import ConfigError
from banyan.signals import Flat, Own, Signal, World
from banyan.types import Array

ITEMS, USERS = 30, 40
NAMES = parts.names("signals")
NEEDED: dict[str, dict[str, Any]] = {"rate": {"of": "buy", "per": "view"}}  # options without a default


TOLD = sparse.random_array((ITEMS, 12), density=0.3, rng=np.random.default_rng(9), format="csr", dtype=np.float32).ceil()  # what items' features say


def flat(seed: int, users: int = USERS) -> Flat:
    rng = np.random.default_rng(seed)
    owner = np.repeat(np.arange(users), rng.integers(2, 9, users))
    return Flat(users, owner, rng.integers(1, ITEMS, len(owner)), rng.integers(0, 2, len(owner)))


def without(events: Flat, user: int) -> Flat:
    return events.only(events.owner != user)


def made(name: str, events: Flat, ordered: bool = True, **options: object) -> Signal:
    signal: Signal = parts.build("signals", {"part": name, **NEEDED.get(name, {}), **options}, World(ITEMS, ("view", "buy"), ordered, TOLD))
    signal.fit(events)
    return signal


def dense(scores: sparse.csr_array | Array) -> Array:
    return scores if isinstance(scores, np.ndarray) else scores.toarray()


@pytest.mark.parametrize("ordered", [True, False])
@pytest.mark.parametrize("name", [name for name in NAMES if parts.find("signals", name).apart and parts.find("signals", name).learns])
def test_a_row_reads_what_the_others_did_and_nothing_of_its_own(name: str, ordered: bool) -> None:
    """Taking a user out of the fit is the same as never having seen that user."""
    events = flat(0)
    user = int(np.argmax(np.bincount(events.owner)))
    mine = events.only(events.owner == user)
    past = Flat(1, np.zeros(len(mine.item) - 1, np.int64), mine.item[:-1], mine.behaviour[:-1])
    own = Own(Flat(1, np.zeros(len(mine.item), np.int64), mine.item, mine.behaviour), np.zeros(1, np.int64))
    signal, other = made(name, events, ordered), made(name, without(events, user), ordered)
    if hasattr(other, "often"):
        other.often = signal.often  # how often items occur stays as it was: only what stood together is taken out
        other.fit_pairs(without(events, user))
    left, right = dense(signal.scores(past, own)), dense(other.scores(past))
    assert np.abs(left).max() > 0
    assert np.allclose(left, right, atol=2e-4)
    assert not np.allclose(dense(signal.scores(past)), right, atol=2e-4)  # and it is not nothing that is taken out


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_taken_from_a_row_that_was_not_fitted(name: str) -> None:
    signal, pasts = made(name, flat(0)), flat(1, 5)
    nobody = Own(flat(2, 1), np.full(5, -1))
    assert np.allclose(dense(signal.scores(pasts, nobody)), dense(signal.scores(pasts)), atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_rows_do_not_see_each_other(name: str) -> None:
    signal, pasts = made(name, flat(0)), flat(1, 6)
    whole = dense(signal.scores(pasts))
    one = pasts.only(pasts.owner == 3)
    alone = dense(signal.scores(Flat(1, np.zeros(len(one.item), np.int64), one.item, one.behaviour)))
    assert np.isfinite(whole).all()
    assert np.allclose(whole[3], alone[0], atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_a_past_without_events_and_a_fit_without_events_score_nothing(name: str) -> None:
    nothing = Flat(2, np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.int64))
    for signal in (made(name, flat(0)), made(name, nothing)):
        found = dense(signal.scores(nothing))
        assert found.shape == (2, ITEMS)
        assert not found.any()
    assert np.isfinite(dense(made(name, nothing).scores(flat(1, 3)))).all()


@pytest.mark.parametrize("name", NAMES)
def test_a_bundle_answers_as_what_was_fitted(name: str) -> None:
    signal, pasts = made(name, flat(0)), flat(1, 6)
    again: Signal = parts.build("signals", {"part": name, **NEEDED.get(name, {})}, World(ITEMS, ("view", "buy"), True))
    again.load(signal.arrays())
    assert np.array_equal(dense(again.scores(pasts)), dense(signal.scores(pasts)))


@pytest.mark.parametrize("name", [name for name in NAMES if "behaviours" in parts.options("signals", name)])
def test_a_behaviour_of_weight_0_is_not_there(name: str) -> None:
    events, pasts = flat(0), flat(1, 6)
    one = made(name, events, behaviours={"buy": 1.0})
    only = made(name, events.only(events.behaviour == 1))
    assert np.allclose(dense(one.scores(pasts)), dense(only.scores(pasts.only(pasts.behaviour == 1))), atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_what_is_read_by_rows_lies_by_rows(name: str) -> None:
    """Else a product with a few pasts first copies all of it: of 12,000 items 570 MB a block of users."""
    for key, each in made(name, flat(0)).arrays().items():
        assert each.flags.c_contiguous, key


@pytest.mark.parametrize("name", [name for name in NAMES if not parts.find("signals", name).learns])
def test_what_learns_nothing_from_events_is_the_same_whatever_happened(name: str) -> None:
    pasts = flat(1, 6)
    assert np.array_equal(dense(made(name, flat(0)).scores(pasts)), dense(made(name, flat(7)).scores(pasts)))


def test_alike_is_the_cosine_by_hand() -> None:
    """Items 1 and 2 share a brand that half of the items have; a tag that all have says nothing."""
    told = sparse.csr_array(np.array([[0, 0, 0], [1, 1, 0], [1, 1, 0], [0, 1, 1]], np.float32))
    signal: Signal = parts.build("signals", {"part": "alike", "decay": 0.5, "floor": 0.1, "common": 0.6}, World(4, ("view",), True, told))
    signal.fit(Flat(0, *(np.zeros(0, np.int64) for _ in range(3))))
    found = dense(signal.scores(Flat(1, np.zeros(2, np.int64), np.array([1, 3]), np.zeros(2, np.int64))))
    assert found[0] == pytest.approx([0, np.log1p(0.5 / 0.1), np.log1p(0.5 / 0.1), np.log1p(1 / 0.1)])


def test_alike_without_a_word_about_items_is_refused() -> None:
    with pytest.raises(ConfigError, match="compares items by their categories, tags and words"):
        parts.build("signals", "alike", World(4, ("view",), True)).fit(flat(0))
