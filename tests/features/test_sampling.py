"""Promises of the candidates of a ranking: what log_q says is how often an item stands among them."""

import numpy as np
import pytest

from banyan.features.sampling import Negatives

COUNTS = np.array([0, 50, 30, 10, 5, 5, 0, 0, 0, 0, 0, 0], float)


@pytest.mark.parametrize("sampling", ["in_batch", "uniform", "popularity"])
def test_log_q_is_the_log_of_the_share_of_steps_that_hold_an_item(sampling: str) -> None:
    rng, negatives = np.random.default_rng(0), Negatives(COUNTS, sampling=sampling, negatives=4)
    steps, held, said = 4000, np.zeros(len(COUNTS)), np.zeros(len(COUNTS))
    for _ in range(steps):
        items, log_q = negatives.draw(rng.choice(len(COUNTS), 3, p=COUNTS / COUNTS.sum()), rng)
        held[items] += 1
        said[items] = np.exp(log_q)
    share = held / steps
    assert not held[0]
    assert np.all(np.abs(share - said) < 4 * np.sqrt(0.25 / steps)), (share, said)


def test_targets_are_always_candidates_each_item_once() -> None:
    rng = np.random.default_rng(0)
    for sampling in ("in_batch", "uniform", "popularity", "full"):
        items, log_q = Negatives(COUNTS, sampling=sampling, negatives=3).draw(np.array([11, 2, 2]), rng)
        assert {2, 11} <= set(items.tolist())
        assert (np.diff(items) > 0).all()
        assert items[0] > 0
        assert np.isfinite(log_q).all()
        assert (log_q <= 0).all()


@pytest.mark.parametrize(("sampling", "negatives"), [("full", 2), ("uniform", 11), ("popularity", 500)])
def test_full_is_the_catalogue_without_a_correction(sampling: str, negatives: int) -> None:
    items, log_q = Negatives(COUNTS, sampling=sampling, negatives=negatives).draw(np.array([3]), np.random.default_rng(0))
    assert items.tolist() == list(range(1, 12))
    assert not log_q.any()


def test_a_knob_is_written_once_so_here_it_has_no_default() -> None:
    with pytest.raises(TypeError):
        Negatives(COUNTS)  # type: ignore[call-arg]


@pytest.mark.parametrize("sampling", ["uniform", "popularity", "full"])
def test_items_that_training_does_not_know_are_no_candidates(sampling: str) -> None:
    """Listed after the cut, they would be learned as what nobody wants. An item that is asked for stands there all the same."""
    rng, known = np.random.default_rng(0), np.arange(len(COUNTS)) < 8
    negatives = Negatives(COUNTS, sampling=sampling, negatives=5, known=known)
    drawn = np.unique(np.concatenate([negatives.draw(np.array([3]), rng)[0] for _ in range(200)]))
    assert drawn.tolist() == list(range(1, 6 if sampling == "popularity" else 8))
    items, log_q = negatives.draw(np.array([3, 11]), rng)
    assert {3, 11} <= set(items.tolist())
    assert np.isfinite(log_q).all()


def test_where_all_are_known_the_draw_is_as_it_was() -> None:
    one, other = (Negatives(COUNTS, sampling="uniform", negatives=5, known=known) for known in (None, np.ones(len(COUNTS), bool)))
    for seed in range(5):
        mine, theirs = (each.draw(np.array([3]), np.random.default_rng(seed)) for each in (one, other))
        assert all(np.array_equal(a, b) for a, b in zip(mine, theirs, strict=True))
