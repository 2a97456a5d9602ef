"""The labelled tables of the planted store, each label drawn from its planted score."""

from dataclasses import dataclass, field

import numpy as np
import polars as pl

from banyan.store.world.log import DAY, MINUTE, START, Views
from banyan.store.world.scores import Score, grades, sigmoid
from banyan.store.world.truth import OFFERS, PAGE_TASTES, PAGES, K, Truth
from banyan.store.world.words import CATEGORIES
from banyan.types import TEST, TRAIN, VALID, Array

WIDE = K + 1
STAGES = ("student", "single", "couple", "family", "retired")
INTERESTS = ("art", "cooking", "travel", "games", "nature", "fashion")
STAGE_CUTS = np.array([-2.4, -0.8, 0.8, 2.4])
GRADE_CUTS = np.array([-1.0, 0.6, 2.2, 3.8])
NOTE = 0.4  # standard deviation of the log of the money spent, given the user
SCORED = 4.0 / 3.0  # weight of the sum over tastes in `keeps` and `returns`


@dataclass(frozen=True)
class Question:
    """One planted score with the label that was drawn from it."""

    score: Score
    label: Array  # (n,)
    link: str  # "logistic", "ordered" or "gaussian"
    cuts: Array | None = None
    noise: float = 1.0
    seen: Array | None = None  # (n,) bool: where the label says something about the score; everywhere unless given


@dataclass(frozen=True)
class Table:
    """A samples table: its columns, the part of each row, and what was asked of it."""

    frame: pl.DataFrame
    part: Array  # (n,) TRAIN, VALID or TEST
    time: Array | None  # (n,) microseconds
    questions: dict[str, Question] = field(default_factory=dict)
    rates: Array | None = None  # demand: (n,) true rates, units a day


@dataclass(frozen=True)
class Calendar:
    """Where the parts of the time split meet, in microseconds."""

    days: int
    valid: int
    test: int
    end: int

    def part(self, time: Array) -> Array:
        """(n,) TRAIN, VALID or TEST."""
        return np.where(time < self.valid, TRAIN, np.where(time < self.test, VALID, TEST)).astype(np.int8)


@dataclass(frozen=True)
class Draw:
    """What every table is drawn with."""

    rng: np.random.Generator
    truth: Truth
    calendar: Calendar
    null: bool

    @property
    def latents(self) -> dict[str, Array]:
        """The true latents of every side."""
        return {"user": self.truth.users.latent, "item": self.truth.items.latent, "query": self.truth.queries.latent}

    def scored(self, score: Score, scale: float = 2.0) -> tuple[Score, Array]:
        """The score itself; in the null world one of a cue of the row's own, and nothing else. Returns (score, cue)."""
        if not self.null:
            return score, np.zeros(len(score))
        cue = self.rng.standard_normal(len(score))
        return Score(score.left, score.left_row, np.zeros_like(score.weights), float(score.offset.mean()) + scale * cue, score.right, score.right_row), cue

    def yes(self, score: Score, seen: Array | None = None) -> Question:
        """A yes-or-no label of a score."""
        label = self.rng.random(len(score)) < sigmoid(score.mean(self.latents))
        return Question(score, (label if seen is None else label & seen).astype(np.int64), "logistic", seen=seen)

    def ordered(self, score: Score, cuts: Array) -> Question:
        """An ordered label of a score."""
        below = np.cumsum(grades(score.mean(self.latents), cuts), axis=1)[:, :-1]
        return Question(score, (self.rng.random(len(score))[:, None] >= below).sum(1), "ordered", cuts)


def _wide(weights: Array | float, n: int, last: float = 0.0) -> Array:
    """(n, K + 1) weights from (K,), (n, K) or a number, with the weight of the last coordinate."""
    return np.column_stack([np.broadcast_to(np.asarray(weights, float), (n, K)), np.full(n, last)])


def _of_user(user: Array, direction: Array, offset: float | Array) -> Score:
    n = len(user)
    return Score("user", user, _wide(direction, n), np.broadcast_to(np.asarray(offset, float), (n,)).copy())


def _with_item(user: Array, item: Array, weights: Array | float, offset: float | Array, popular: float) -> Score:
    n = len(user)
    return Score("user", user, _wide(weights, n, popular), np.broadcast_to(np.asarray(offset, float), (n,)).copy(), "item", item)


def _frame(draw: Draw, columns: dict[str, object], cues: dict[str, Array]) -> pl.DataFrame:
    frame = pl.DataFrame(columns).with_row_index("row")
    return frame.with_columns(pl.Series(f"cue_{name}", cue.round(6)) for name, cue in cues.items()) if draw.null else frame


def stamps(time: Array) -> pl.Series:
    """Microseconds as a column of times."""
    return pl.Series(np.asarray(time, np.int64)).cast(pl.Datetime("us"))


def names(letter: str, codes: Array) -> pl.Series:
    """Ids of entities: `u00012`."""
    return pl.select(pl.lit(letter) + pl.Series(codes).cast(pl.String).str.zfill(5)).to_series()


def viewed(draw: Draw, views: Views) -> Table:
    """One row a view: was the item put in the cart, and was it bought. What counts depends on the page."""
    cart_score, cart_cue = draw.scored(_with_item(views.user, views.item, 0.9 * PAGE_TASTES[views.page], np.array([-3.2, -2.8, -2.4])[views.page], 0.5))
    cart = draw.yes(cart_score)
    buy_score, buy_cue = draw.scored(_with_item(views.user, views.item, 0.7, -2.2, 0.3))
    buy = draw.yes(buy_score, seen=cart.label == 1)
    columns: dict[str, object] = {
        "user_id": names("u", views.user),
        "item_id": names("i", views.item),
        "ts": stamps(views.time),
        "page": pl.Series([PAGES[p] for p in views.page]),
        "cart": cart.label,
        "buy": buy.label,
    }
    return Table(_frame(draw, columns, {"cart": cart_cue, "buy": buy_cue}), draw.calendar.part(views.time), views.time, {"cart": cart, "buy": buy})


def trials(draw: Draw) -> Table:
    """Two tasks that fight: they agree on tastes 1 and 2, and want the opposite of tastes 3 and 4."""
    rng, n = draw.rng, 10 * len(draw.truth.users)
    user = rng.integers(0, len(draw.truth.users), n)
    time = np.sort(START + rng.integers(7 * DAY // MINUTE, draw.calendar.days * DAY // MINUTE, n) * MINUTE)
    warm = np.flatnonzero(~draw.truth.cold)
    item = np.where(time >= draw.calendar.test, rng.integers(0, len(draw.truth.items), n), warm[rng.integers(0, len(warm), n)])
    questions, cues = {}, {}
    for name, sign in (("keeps", 1.0), ("returns", -1.0)):
        score, cues[name] = draw.scored(_with_item(user, item, SCORED * np.array([1, 1, sign, sign]), -0.5, 0.0))
        questions[name] = draw.yes(score)
    columns: dict[str, object] = {"user_id": names("u", user), "item_id": names("i", item), "ts": stamps(time)}
    columns |= {name: each.label for name, each in questions.items()}
    return Table(_frame(draw, columns, cues), draw.calendar.part(time), time, questions)


def _thirds(rng: np.random.Generator, n: int, train: int, valid: int) -> Array:
    """Parts of n rows: so many for training and validation, in random order, the rest for the test."""
    part = np.full(n, TEST, np.int8)
    part[:train], part[train : train + valid] = TRAIN, VALID
    return rng.permutation(part)


def _split(part: Array) -> pl.Series:
    return pl.Series(np.array(["train", "valid", "test"])[part])


def people(draw: Draw) -> Table:
    """One row a user, with its own split: a yes or no, an ordered class, and tags."""
    n = len(draw.truth.users)
    user, part = np.arange(n), _thirds(draw.rng, n, int(0.6 * n), int(0.1 * n))
    loyal, cue = draw.scored(_of_user(user, draw.truth.loyal, -0.3))
    stage, stage_cue = draw.scored(_of_user(user, draw.truth.stage, 0.0))
    questions, cues = {"loyal": draw.yes(loyal), "lifestage": draw.ordered(stage, STAGE_CUTS)}, {"loyal": cue, "lifestage": stage_cue}
    for name, direction in zip(INTERESTS, draw.truth.interests, strict=True):
        score, cues[name] = draw.scored(_of_user(user, direction, -0.8))
        questions[name] = draw.yes(score)
    tags = np.column_stack([questions[name].label for name in INTERESTS])
    columns: dict[str, object] = {
        "user_id": names("u", user),
        "asof": stamps(np.full(n, draw.calendar.valid - MINUTE)),
        "split": _split(part),
        "loyal": questions["loyal"].label,
        "lifestage": pl.Series([STAGES[c] for c in questions["lifestage"].label]),
        "interests": pl.Series([[INTERESTS[t] for t in np.flatnonzero(row)] for row in tags], dtype=pl.List(pl.String)),
    }
    return Table(_frame(draw, columns, cues), part, None, questions)


def club(draw: Draw) -> Table:
    """The task with few labels that agrees with `loyal`: 6 % of the users train it (300 of 5,000)."""
    n = len(draw.truth.users)
    few = max(40, int(0.06 * n))
    user = np.sort(draw.rng.choice(n, min(n, 2 * few + max(100, int(0.4 * n))), replace=False))
    part = _thirds(draw.rng, len(user), few, few)
    score, cue = draw.scored(_of_user(user, draw.truth.loyal, 0.2))
    vip = draw.yes(score)
    asof = stamps(np.full(len(user), draw.calendar.valid - MINUTE))
    columns: dict[str, object] = {"user_id": names("u", user), "asof": asof, "split": _split(part), "vip": vip.label}
    return Table(_frame(draw, columns, {"vip": cue}), part, None, {"vip": vip})


def till(draw: Draw) -> Table:
    """Money spent at the shop's till in the next 13 days, one row a user and fortnight: zero, or log-normal."""
    n, calendar = len(draw.truth.users), draw.calendar
    origins = np.arange(calendar.valid, START + 7 * DAY, -14 * DAY)[:0:-1]
    origins = np.concatenate([origins, [calendar.valid, calendar.test]])
    user, time = np.tile(np.arange(n), len(origins)), np.repeat(origins, n)
    visit_score, visit_cue = draw.scored(_of_user(user, draw.truth.visit, -0.4))
    visit = draw.yes(visit_score)
    purse_score, purse_cue = draw.scored(_of_user(user, draw.truth.purse, 3.0), scale=0.6)
    note = purse_score.mean(draw.latents) + NOTE * draw.rng.standard_normal(len(user))
    spend = np.where(visit.label == 1, np.exp(note), 0.0).round(2)
    questions = {"visit": visit, "purse": Question(purse_score, note, "gaussian", noise=NOTE, seen=visit.label == 1)}
    columns: dict[str, object] = {"user_id": names("u", user), "ts": stamps(time), "spend": spend}
    return Table(_frame(draw, columns, {"visit": visit_cue, "purse": purse_cue}), calendar.part(time), time, questions)


def judged(draw: Draw) -> Table:
    """How well an item answers a query, in five grades: category, word, and the tastes of query and item."""
    rng, truth = draw.rng, draw.truth
    query = np.repeat(np.arange(len(truth.queries)), 80)
    category, order = truth.items.codes["category"], np.argsort(truth.items.codes["category"], kind="stable")
    edges = np.searchsorted(category[order], np.arange(len(CATEGORIES) + 1))
    asked = truth.queries.codes["category"][query]
    size = np.maximum(edges[asked + 1] - edges[asked], 1)
    near = order[np.minimum(edges[asked] + (rng.random(len(query)) * size).astype(np.int64), len(order) - 1)]
    item = np.where(rng.random(len(query)) < 0.5, near, rng.integers(0, len(truth.items), len(query)))
    match = 1.5 * (category[item] == asked) + 1.0 * (truth.items.codes["adjective"][item] == truth.queries.codes["adjective"][query])
    score, cue = draw.scored(Score("query", query, _wide(0.6, len(query)), match, "item", item))
    part = _thirds(rng, len(query), int(0.7 * len(query)), int(0.1 * len(query)))
    grade = draw.ordered(score, GRADE_CUTS)
    columns: dict[str, object] = {"query_id": names("q", query), "item_id": names("i", item), "split": _split(part), "grade": grade.label}
    return Table(_frame(draw, columns, {"grade": cue}), part, None, {"grade": grade})


def campaign(draw: Draw) -> Table:
    """Offers sent or withheld by the toss of a coin. The effect of sending is the offer's discount and how it meets the user's tastes."""
    rng, truth, n = draw.rng, draw.truth, 4 * len(draw.truth.users)
    user, offer = rng.integers(0, len(truth.users), n), rng.integers(0, OFFERS, n)
    time = np.sort(START + rng.integers(7 * DAY // MINUTE, draw.calendar.days * DAY // MINUTE, n) * MINUTE)
    treated = rng.integers(0, 2, n)
    score, cue = draw.scored(sent(draw, user, offer, treated))
    redeemed = draw.yes(score)
    columns: dict[str, object] = {"user_id": names("u", user), "offer_id": names("o", offer), "ts": stamps(time), "treated": treated}
    columns["redeemed"] = redeemed.label
    return Table(_frame(draw, columns, {"redeemed": cue}), draw.calendar.part(time), time, {"redeemed": redeemed})


def sent(draw: Draw, user: Array, offer: Array, treated: Array) -> Score:
    """The score of redeeming an offer, sent (1) or withheld (0)."""
    truth = draw.truth
    weights = truth.redeem + treated[:, None] * truth.offers["direction"][offer]
    return _of_user(user, weights, -1.6 + treated * (0.4 + 2 * truth.offers["discount"][offer]))


def demand(draw: Draw) -> Table:
    """Units a day by category and page: Poisson, with a true rate that has a weekday pattern and a trend for each category."""
    truth, days = draw.truth.demand, draw.calendar.days
    category, page, day = (grid.ravel() for grid in np.meshgrid(np.arange(len(CATEGORIES)), np.arange(len(PAGES)), np.arange(days), indexing="ij"))
    rate = np.exp(truth["base"][category, page] + truth["weekday"][category, day % 7] + truth["trend"][category] * (day - days / 2))
    units = draw.rng.poisson(rate).reshape(-1, days)
    time = START + day * DAY
    before = np.cumsum(np.pad(units, ((0, 0), (1, 0))), axis=1)[:, :-1]  # units before each day
    at = np.arange(days)
    past = {f"mean_{w}": ((before - before[:, np.maximum(at - w, 0)]) / np.minimum(w, np.maximum(at, 1))).ravel() for w in (7, 28)}
    keep = day >= 7
    columns: dict[str, object] = {
        "category": pl.Series([CATEGORIES[c] for c in category[keep]]),
        "page": pl.Series([PAGES[p] for p in page[keep]]),
        "day": stamps(time[keep]),
        "lag_1": units[:, np.maximum(at - 1, 0)].ravel()[keep],
        "lag_7": units[:, np.maximum(at - 7, 0)].ravel()[keep],
        **{name: values[keep].round(6) for name, values in past.items()},
        "units": units.ravel()[keep],
    }
    frame = pl.DataFrame(columns).with_row_index("row")
    return Table(frame, draw.calendar.part(time[keep]), time[keep], rates=rate[keep])
