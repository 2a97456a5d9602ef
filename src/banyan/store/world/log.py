"""The planted event log: sessions of views, chosen by popularity, taste and the category looked at before.

P(next = j | user u, last category c) is proportional to exp(popularity_j + VIEW_TASTE * u . v_j + hop[c, category_j]) over the items
that are listed. Carts and purchases are drawn in `labels.py`.
"""

from dataclasses import dataclass

import numpy as np

from banyan.store.world.truth import VIEW_TASTE, K, Truth
from banyan.types import Array

DAY, MINUTE, SECOND = 86_400_000_000, 60_000_000, 1_000_000  # microseconds
START = 1_704_067_200_000_000  # 2024-01-01, a Monday, in microseconds since 1970
CHUNK = 1000  # users whose choice probabilities are held at once


@dataclass(frozen=True)
class Views:
    """Every view, sorted by user and time."""

    user: Array  # (n,) int64
    item: Array  # (n,) int64
    last: Array  # (n,) int64 category of the view before in the session; the number of categories where a session begins
    time: Array  # (n,) int64 microseconds
    page: Array  # (n,) int64 scenario code, the same through a session


def taste(truth: Truth, null: bool) -> float:
    """How sharply taste chooses views; 0 in the null world."""
    return 0.0 if null else VIEW_TASTE


def weights(users: Array, items: Array, sharp: float) -> Array:
    """(U, J) unnormalised choice weights, without the hop.

    Rounded to 1e-6 before the exponential, so that another machine's matrix product draws the same log.
    """
    return np.asarray(np.exp(np.round(sharp * (users[:, :K] @ items[:, :K].T) + items[:, K], 6)))


def draw(rng: np.random.Generator, truth: Truth, days: int, launch: int, null: bool) -> Views:
    """Draw the views of all users over `days`; cold items are listed from `launch` (microseconds) on. The log ends with its last day."""
    user, slot, length, page = _sessions(rng, len(truth.users), days)
    row = np.repeat(np.arange(len(user)), length)
    first = np.cumsum(length) - length
    place = np.arange(len(row)) - first[row]
    gap = np.where(place == 0, 0, rng.integers(60, 150, len(row)) * SECOND)
    run = np.cumsum(gap)
    time = START + (slot[row] // 30) * DAY + 8 * 60 * MINUTE + (slot[row] % 30) * 30 * MINUTE + run - run[first[row]]
    time[np.argmax(time)] = START + days * DAY - 1
    opening = place == 0
    item, last = _chain(rng, truth, user[row], time >= launch, opening, null)
    return Views(user[row], item, last, time, page[row])


def _sessions(rng: np.random.Generator, users: int, days: int) -> tuple[Array, Array, Array, Array]:
    """(user, slot, views, page) of each session; a slot is half an hour between 8:00 and 23:00, and a user has it once."""
    count = 1 + rng.poisson(rng.gamma(4.0, 0.25, users) * days / 10)
    user = np.repeat(np.arange(users), count)
    drawn = np.unique(user * (days * 30) + rng.integers(0, days * 30, len(user)))
    user, slot = drawn // (days * 30), drawn % (days * 30)
    return user, slot, np.minimum(1 + rng.poisson(3.5, len(user)), 11), rng.choice(3, len(user), p=[0.45, 0.35, 0.2])


def _chain(rng: np.random.Generator, truth: Truth, user: Array, late: Array, opening: Array, null: bool) -> tuple[Array, Array]:
    """Items and last categories of the views, one step of every user of a chunk at a time."""
    category, groups = truth.items.codes["category"], truth.hop.shape[1]
    order = np.argsort(category, kind="stable")
    bounds = np.searchsorted(category[order], np.arange(groups + 1))
    hop = np.exp(np.zeros_like(truth.hop) if null else truth.hop)
    draws = rng.random((2, len(user)))
    start = np.searchsorted(user, np.arange(len(truth.users) + 1))
    item, last = np.zeros(len(user), np.int64), np.full(len(user), groups)
    for low in range(0, len(truth.users), CHUNK):
        high = min(low + CHUNK, len(truth.users))
        chance = weights(truth.users.latent[low:high], truth.items.latent[order], taste(truth, null))
        running = np.zeros((2, high - low, len(order) + 1))  # before and after the launch
        np.cumsum(chance * ~truth.cold[order], axis=1, out=running[0, :, 1:])
        np.cumsum(chance, axis=1, out=running[1, :, 1:])
        for step in range(int(np.diff(start[low : high + 1]).max())):
            who = np.flatnonzero(start[low:high] + step < start[low + 1 : high + 1])
            at = start[low:high][who] + step
            before = np.where(opening[at], groups, category[item[at - 1]])
            item[at] = order[_pick(running, (late[at].astype(np.int64), who), bounds, hop[before], draws[:, at])]
            last[at] = before
    return item, last


def _pick(running: Array, rows: tuple[Array, Array], bounds: Array, hop: Array, draws: Array) -> Array:
    """First a category, then an item of it: places among the items sorted by category."""
    edges = running[rows[0][:, None], rows[1][:, None], bounds[None, :]]
    mass = np.cumsum(np.diff(edges, axis=1) * hop, axis=1)
    group = (draws[0][:, None] * mass[:, -1:] >= mass).sum(1)
    each = np.arange(len(group))
    low, high = edges[each, group], edges[each, group + 1]
    return _bisect(running, rows, low + draws[1] * (high - low), bounds[group], bounds[group + 1] - 1)


def _bisect(running: Array, rows: tuple[Array, Array], level: Array, low: Array, high: Array) -> Array:
    """For each row the first place in [low, high] at whose end the running sum exceeds `level`: so its weight is above 0."""
    while np.any(low < high):
        middle = (low + high) // 2
        right = running[rows[0], rows[1], middle + 1] <= level
        low, high = np.where(right & (low < high), middle + 1, low), np.where(right, high, middle)
    return low
