"""What is planted: latent tastes of users, items and queries, and the directions by which each task reads them.

A latent z has K tastes. Half of its variance follows from observed features, half belongs to the id alone:
z = sqrt(1/2) * visible(features) + sqrt(1/2) * hidden, hidden ~ N(0, I). An extra last coordinate holds an item's popularity;
it is 1 for users and 0 for queries, so that every planted score is offset + sum_k weights_k * left_k * right_k.
"""

from dataclasses import dataclass, replace

import numpy as np

from banyan.store.world import words
from banyan.types import Array

K = 4  # tastes
AGES = ("18-24", "25-34", "35-44", "45-54", "55-64", "65+")
CITIES, CHANNELS, BRANDS, OFFERS = 30, 4, 60, 20
PAGES = ("home", "search", "promo")
KINDS = ("percent", "gift", "shipping", "points")
POPULARITY = 0.6  # standard deviation of an item's log popularity
LOOK = 8  # width of an item's picture vector
PAGE_TASTES = np.array([[1.4, 1.4, 0.2, 0.2], [0.2, 0.2, 1.4, 1.4], [0.8, 0.8, 0.8, 0.8]])  # scenario shift: which tastes count where
COLD = 0.08  # share of the items that are listed when the test begins
VIEW_TASTE = 0.6  # how sharply taste chooses what is looked at


@dataclass(frozen=True)
class Side:
    """Users, items or queries: observed features (codes), and latents (n, K + 1) with what their features say of them."""

    codes: dict[str, Array]
    visible: Array  # (n, K + 1): the latents' mean given the features
    latent: Array  # (n, K + 1)

    def __len__(self) -> int:
        return len(self.latent)


@dataclass(frozen=True)
class Truth:
    """Everything that is planted and no model may see."""

    users: Side
    items: Side
    queries: Side
    look: Array  # (items, LOOK) picture vectors
    shown: Array  # (items, K): what they turn, as photos show it
    cold: Array  # (items,) bool: listed when the test part begins
    hop: Array  # (categories + 1, categories): log preference for the next view's category given the last one's; last row: a session begins
    loyal: Array  # (K,) the direction that `loyal` and `vip` agree on
    stage: Array  # (K,) of `lifestage`
    interests: Array  # (6, K)
    visit: Array  # (K,) whether money is spent
    purse: Array  # (K,) how much
    redeem: Array  # (K,) redeeming without the campaign
    offers: dict[str, Array]  # codes and directions (OFFERS, K) of the campaign's effect
    demand: dict[str, Array]  # log rates: base (categories, pages), weekday (categories, 7), trend (categories,) a day


def _mixed(rng: np.random.Generator, effects: list[tuple[Array, Array]], last: Array | float, spread: float = 0.0) -> tuple[Array, Array]:
    """(visible, latent) of a side whose features' effects are (table, code) pairs."""
    total = np.stack([table[code] for table, code in effects]).sum(0) / np.sqrt(len(effects))
    n = len(total)
    seen = np.sqrt(0.5) * total
    hidden = seen + np.sqrt(0.5) * rng.standard_normal((n, K))
    tail = np.broadcast_to(np.asarray(last, float), (n,))
    return np.column_stack([seen, tail]), np.column_stack([hidden, tail + spread * rng.standard_normal(n)])


def _balanced(rng: np.random.Generator, rows: int) -> Array:
    """(rows, K) effects of a feature's values: centred, of unit variance, so that no draw of few values weakens a taste."""
    drawn = rng.standard_normal((rows, K))
    drawn -= drawn.mean(0)
    return np.asarray(drawn / drawn.std(0))


def _unit(rng: np.random.Generator, rows: int) -> Array:
    drawn = rng.standard_normal((rows, K))
    return np.asarray(drawn / np.linalg.norm(drawn, axis=1, keepdims=True))


def _users(rng: np.random.Generator, n: int) -> Side:
    codes = {"age_group": rng.integers(0, len(AGES), n), "city": rng.integers(0, CITIES, n), "channel": rng.integers(0, CHANNELS, n)}
    tables = [_balanced(rng, len(AGES)), _balanced(rng, CITIES), _balanced(rng, CHANNELS)]
    visible, latent = _mixed(rng, list(zip(tables, codes.values(), strict=True)), 1.0)
    return Side(codes, visible, latent)


def _items(rng: np.random.Generator, n: int, effects: dict[str, Array]) -> tuple[Side, Array, Array]:
    codes = {
        "category": rng.integers(0, len(words.CATEGORIES), n),
        "adjective": rng.integers(0, len(words.ADJECTIVES), n),
        "brand": np.minimum((rng.random(n) ** 1.5 * BRANDS).astype(np.int64), BRANDS - 1),
        "noun": rng.integers(0, 4, n),
        "shape": rng.integers(0, len(words.SHAPES), n),
        "language": rng.integers(0, 4, n),
    }
    seen = rng.standard_normal((n, K))
    used = [(effects[key], codes[key]) for key in ("category", "adjective", "brand")] + [(seen, np.arange(n))]
    visible, latent = _mixed(rng, used, 0.0, POPULARITY)
    turn = np.linalg.qr(rng.standard_normal((LOOK, LOOK)))[0][:K]
    return Side(codes, visible, latent), seen @ turn, seen


def _queries(rng: np.random.Generator, n: int, effects: dict[str, Array]) -> Side:
    codes = {
        "category": rng.integers(0, len(words.CATEGORIES), n),
        "adjective": rng.integers(0, len(words.ADJECTIVES), n),
        "noun": rng.integers(0, 4, n),
        "language": rng.integers(0, 2, n),
    }
    visible, latent = _mixed(rng, [(effects[key], codes[key]) for key in ("category", "adjective")], 0.0)
    return Side(codes, visible, latent)


def _hops(rng: np.random.Generator) -> Array:
    """A browser tends to stay in a category, or to go on to one of two companions of it."""
    n = len(words.CATEGORIES)
    hop = np.zeros((n + 1, n))
    hop[np.arange(n), np.arange(n)] = 1.6
    ring = rng.permutation(n)
    hop[ring, np.roll(ring, 1)] = 2.2
    hop[ring, np.roll(ring, 3)] = 1.2
    return hop


def draw(rng: np.random.Generator, users: int, items: int, cold: float = COLD) -> Truth:
    """Draw the planted truths of a store with so many users and items, a share of them cold, and a query for every five items."""
    effects = {"category": _balanced(rng, len(words.CATEGORIES)), "adjective": _balanced(rng, len(words.ADJECTIVES)), "brand": _balanced(rng, BRANDS)}
    side, look, shown = _items(rng, items, effects)
    kind = rng.integers(0, len(KINDS), OFFERS)
    directions = np.linalg.qr(rng.standard_normal((K, K)))[0]  # the profile tasks read every taste, none twice
    n = len(words.CATEGORIES)
    return Truth(
        users=_users(rng, users),
        items=side,
        queries=_queries(rng, max(20, items // 5), effects),
        look=look,
        shown=shown,
        cold=rng.random(items) < cold,
        hop=_hops(rng),
        loyal=2.2 * directions[0],
        stage=2.2 * directions[1],
        interests=2.0 * _unit(rng, 6),
        visit=1.4 * directions[2],
        purse=0.6 * directions[3],
        redeem=1.2 * _unit(rng, 1)[0],
        offers={"kind": kind, "discount": rng.integers(1, 9, OFFERS) * 0.05, "direction": 0.9 * _unit(rng, len(KINDS))[kind]},
        demand={
            "base": rng.normal(3.0, 0.5, (n, 1)) + rng.normal(0, 0.3, (n, len(PAGES))),
            "weekday": rng.normal(0, 0.4, (n, 7)),
            "trend": rng.normal(0, 0.004, n),
        },
    )


def part(whole: Truth, number: int, of: int) -> Truth:
    """One of `of` equal stores of a truth: its share of users, items and queries, and everything that they obey."""
    at = _share(len(whole.items), number, of)
    users, items, queries = (_taken(side, _share(len(side), number, of)) for side in (whole.users, whole.items, whole.queries))
    return replace(whole, users=users, items=items, queries=queries, look=whole.look[at], shown=whole.shown[at], cold=whole.cold[at])


def _share(n: int, number: int, of: int) -> slice:
    return slice(n * number // of, n * (number + 1) // of)


def _taken(side: Side, at: slice) -> Side:
    return Side({key: codes[at] for key, codes in side.codes.items()}, side.visible[at], side.latent[at])
