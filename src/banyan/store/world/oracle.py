"""Three answers to every planted question, aligned to the rows: popularity, `bayes` and `full`.

popularity: the training mean of the label, by item or series where the row has one.
bayes: the expectation under the posterior of what a model may see (`posterior.py`): observed features, the log before the row's
week, the labels of training rows. Null in training rows, where it would have seen the answer.
full: the true probability, rate or expected amount.
"""

from dataclasses import dataclass

import numpy as np
import polars as pl

from banyan.store.world import labels, log, posterior
from banyan.store.world.labels import Calendar, Draw, Question, Table
from banyan.store.world.posterior import Posterior
from banyan.store.world.scores import Evidence, Score, grades, probability
from banyan.store.world.truth import K
from banyan.types import TRAIN, Array

WEEK = 7 * log.DAY
LEVELS = ("popularity", "bayes", "full")


@dataclass
class Seer:
    """Posteriors at the boundaries from which held-out rows are answered: a row reads the last one not after its time."""

    draw: Draw
    views: log.Views
    tables: dict[str, Table]
    boundaries: Array
    posteriors: list[Posterior]

    def when(self, table: Table) -> Array:
        """(n,) which posterior answers each row; the first one where rows have no time."""
        if table.time is None:
            return np.zeros(len(table.part), np.int64)
        return np.maximum(np.searchsorted(self.boundaries, table.time, side="right") - 1, 0)

    def moments(self, table: Table, score: Score) -> tuple[Array, Array]:
        """(mean, variance), both (n,), of a score in held-out rows; nan in training rows."""
        mean, variance = np.full(len(score), np.nan), np.full(len(score), np.nan)
        when = np.where(table.part == TRAIN, -1, self.when(table))
        for at, known in enumerate(self.posteriors):
            rows = np.flatnonzero(when == at)
            part = score.take(rows)
            mean[rows], variance[rows] = part.mean(known.mean), part.spread(known.mean, known.covariance)
        return mean, variance


def _evidence(question: Question, rows: Array) -> Evidence:
    rows = rows if question.seen is None else rows & question.seen
    return Evidence(question.score.take(rows), question.label[rows], question.link, question.cuts, question.noise)


def see(draw: Draw, views: log.Views, tables: dict[str, Table]) -> Seer:
    """Fit the posterior to the training rows, then let each user's own newer events in at the weekly boundaries.

    Items and queries stay as training left them.
    """
    calendar, truth = draw.calendar, draw.truth
    asked = [(name, each) for name, table in tables.items() for each in table.questions.values()]
    fixed = [_evidence(each, tables[name].part == TRAIN) for name, each in asked if name != "viewed"]
    boundaries = np.array([calendar.valid, calendar.valid + WEEK, calendar.test, calendar.test + WEEK])
    posteriors: list[Posterior] = []
    for at in boundaries:
        before = views.time < at
        seen = [_evidence(each, before) for name, each in asked if name == "viewed"]
        warm_only = posterior.choices(truth, views, before & ~truth.cold[views.item], ~truth.cold, draw.null)
        if not posteriors:
            posteriors.append(posterior.fit(truth, fixed + seen, warm_only))
            continue
        newer = posteriors[0].copy()
        for _ in range(2):
            posterior.update(newer, posterior.prior(truth), "user", fixed + seen, warm_only)
        posteriors.append(newer)
    return Seer(draw, views, tables, boundaries, posteriors)


def answers(seer: Seer) -> dict[str, pl.DataFrame]:
    """Samples table -> one row a row (key `row`), columns `<label>.<level>`."""
    made = {name: _plain(seer, table) for name, table in seer.tables.items() if name not in ("till", "demand")}
    made["viewed"] = made["viewed"].with_columns((pl.col(f"buy.{x}") * pl.col(f"cart.{x}")).alias(f"buy.{x}") for x in ("bayes", "full"))
    made["till"], made["demand"] = _till(seer), _demand(seer)
    made["campaign"] = made["campaign"].hstack(_uplift(seer))
    made["next"] = _next(seer)
    return made


def _columns(columns: dict[str, Array]) -> pl.DataFrame:
    return pl.DataFrame(columns).with_columns(pl.all().fill_nan(None)).with_row_index("row")


def _answer(question: Question, mean: Array, variance: Array | float, name: str, level: str) -> dict[str, Array]:
    if question.cuts is None:
        return {f"{name}.{level}": probability(mean, variance)}
    chances = grades(mean, question.cuts, variance)
    return {f"{name}.{code}.{level}": chances[:, code] for code in range(chances.shape[1])}


def _plain(seer: Seer, table: Table) -> pl.DataFrame:
    columns: dict[str, Array] = {}
    for name, question in table.questions.items():
        columns |= _popular(table, question, name)
        columns |= _answer(question, *seer.moments(table, question.score), name, "bayes")
        columns |= _answer(question, question.score.mean(seer.draw.latents), 0.0, name, "full")
    return _columns(columns)


def _popular(table: Table, question: Question, name: str) -> dict[str, Array]:
    """Training means, by item where there is one, drawn towards the mean of all as by ten rows more."""
    train = table.part == TRAIN
    group = np.zeros(len(train), np.int64) if question.score.right_row is None else question.score.right_row
    if question.cuts is None:
        return {f"{name}.popularity": _smoothed(group, question.label, train)}
    return {f"{name}.{code}.popularity": _smoothed(group, question.label == code, train) for code in range(len(question.cuts) + 1)}


def _smoothed(group: Array, label: Array, train: Array, strength: float = 10.0) -> Array:
    overall = float(label[train].mean())
    count = np.bincount(group[train], minlength=int(group.max()) + 1)
    total = np.bincount(group[train], label[train].astype(float), minlength=len(count))
    return np.asarray(((total + strength * overall) / (count + strength))[group])


def _till(seer: Seer) -> pl.DataFrame:
    """Expected money: P(visit) * exp(mean + variance / 2), with the spread of the note itself."""
    table = seer.tables["till"]
    visit, purse = table.questions["visit"], table.questions["purse"]
    spend = table.frame["spend"].to_numpy()
    chance, money = seer.moments(table, visit.score), seer.moments(table, purse.score)
    columns = {
        "spend.popularity": np.full(len(spend), spend[table.part == TRAIN].mean()),
        "spend.bayes": probability(*chance) * np.exp(money[0] + (money[1] + labels.NOTE**2) / 2),
        "spend.full": probability(visit.score.mean(seer.draw.latents)) * np.exp(purse.score.mean(seer.draw.latents) + labels.NOTE**2 / 2),
    }
    return _columns(columns)


def _uplift(seer: Seer) -> pl.DataFrame:
    """What sending the offer changes: P(redeem | sent) - P(redeem | withheld)."""
    table, draw = seer.tables["campaign"], seer.draw
    score = table.questions["redeemed"].score
    offer = table.frame["offer_id"].str.slice(1).cast(pl.Int64).to_numpy()
    effect = {level: np.zeros(len(score)) for level in ("bayes", "full")}
    if not draw.null:
        for treated, sign in ((1, 1.0), (0, -1.0)):
            other = labels.sent(draw, score.left_row, offer, np.full(len(score), treated))
            effect["bayes"] += sign * probability(*seer.moments(table, other))
            effect["full"] += sign * probability(other.mean(draw.latents))
    return pl.DataFrame({f"uplift.{level}": values for level, values in effect.items()}).with_columns(pl.all().fill_nan(None))


def _demand(seer: Seer) -> pl.DataFrame:
    """bayes: the Poisson regression of the true form, fitted to the training days by Newton steps under the planted prior's scale."""
    table = seer.tables["demand"]
    frame, train = table.frame, table.part == TRAIN
    series = (frame["category"] + "|" + frame["page"]).rank("dense").to_numpy().astype(np.int64) - 1
    kind = frame["category"].rank("dense").to_numpy().astype(np.int64) - 1
    day = (frame["day"].cast(pl.Int64).to_numpy() - log.START) // log.DAY
    units = frame["units"].to_numpy()
    slope = np.eye(kind.max() + 1)[kind] * ((day - seer.draw.calendar.days / 2) / 100)[:, None]
    design = np.concatenate([np.eye(series.max() + 1)[series], np.eye(7 * (kind.max() + 1))[kind * 7 + day % 7], slope], axis=1)
    start = np.concatenate([np.full(series.max() + 1, np.log(units[train].mean())), np.zeros(design.shape[1] - series.max() - 1)])
    precision = np.concatenate([np.full(series.max() + 1, 1 / 0.34), np.full(7 * (kind.max() + 1), 1 / 0.16), np.full(kind.max() + 1, 1 / 0.16)])
    found, x, y = start.copy(), design[train], units[train]
    for _ in range(20):
        rate = np.exp(x @ found)
        curvature = (x * rate[:, None]).T @ x + np.diag(precision)
        found = found + np.clip(np.linalg.solve(curvature, x.T @ (y - rate) + precision * (start - found)), -1, 1)
    variance = ((design @ np.linalg.inv(curvature)) * design).sum(1)
    bayes = np.where(train, np.nan, np.exp(design @ found + variance / 2))
    return _columns({"units.popularity": _smoothed(series, units, train, 0.0), "units.bayes": bayes, "units.full": np.asarray(table.rates)})


def scores(seer: Seer, rows: Array, level: str, at: int = 0) -> Array:
    """(n, items) float32 log scores of every item as the next view of the given rows of the log; -inf where not listed."""
    truth, views = seer.draw.truth, seer.views
    user, category, sharp = views.user[rows], truth.items.codes["category"], log.taste(truth, seer.draw.null)
    if level == "popularity":
        train = views.time < seer.draw.calendar.valid
        return np.broadcast_to(np.log1p(np.bincount(views.item[train], minlength=len(truth.items))), (len(rows), len(truth.items))).astype(np.float32)
    hop = np.zeros_like(truth.hop) if seer.draw.null else truth.hop
    known = seer.draw.latents if level == "full" else seer.posteriors[at].mean
    groups = np.eye(len(truth.hop))[views.last[rows]]
    left = [sharp * known["user"][user][:, :K], np.ones((len(rows), 1)), groups]
    right = [known["item"][:, :K], known["item"][:, K:], hop[:, category].T]
    if level == "bayes":
        unsure = _unsure(seer.posteriors[at], user, sharp)
        left, right = left + [unsure[0]], right + [unsure[1]]
    score = np.hstack(left).astype(np.float32) @ np.hstack(right).astype(np.float32).T
    score[np.ix_(views.time[rows] < seer.draw.calendar.test, truth.cold)] = -np.inf
    return np.asarray(score)


def _unsure(known: Posterior, user: Array, sharp: float) -> tuple[Array, Array]:
    """Factors (n, F) and (items, F) of log E[exp(score)] - E[score], which is half the variance of a Gaussian score."""
    mean_user, mean_item = known.mean["user"][user][:, :K], known.mean["item"][:, :K]
    outer_user = (mean_user[:, :, None] * mean_user[:, None, :]).reshape(len(user), -1)
    outer_item = (mean_item[:, :, None] * mean_item[:, None, :]).reshape(len(mean_item), -1)
    spread_user = known.covariance["user"][user][:, :K, :K].reshape(len(user), -1)
    spread_item = known.covariance["item"][:, :K, :K].reshape(len(mean_item), -1)
    half = 0.5 * sharp**2
    left = np.hstack([half * outer_user, half * spread_user, np.ones((len(user), 1))])
    return left, np.hstack([spread_item, outer_item + spread_item, 0.5 * known.covariance["item"][:, K:, K]])


def _next(seer: Seer, chunk: int = 2000) -> pl.DataFrame:
    """Rank, from 1, of the item that was viewed, among all items; one row for each held-out view, keyed by user and time."""
    views, calendar = seer.views, seer.draw.calendar
    held = np.flatnonzero(views.time >= calendar.valid)
    when = np.searchsorted(seer.boundaries, views.time[held], side="right") - 1
    ranks = {level: np.zeros(len(held)) for level in LEVELS}
    ranks["popularity"] = _rank(scores(seer, held[:1], "popularity"), np.arange(len(seer.draw.truth.items)))[views.item[held]]
    for at in range(len(seer.boundaries)):
        places = np.flatnonzero(when == at)
        for low in range(0, len(places), chunk):
            some = places[low : low + chunk]
            for level in ("bayes", "full"):
                ranks[level][some] = _rank(scores(seer, held[some], level, at), views.item[held[some]])
    keys = {"user_id": labels.names("u", views.user[held]), "ts": labels.stamps(views.time[held]), "item_id": labels.names("i", views.item[held])}
    return pl.DataFrame(keys | {f"rank.{level}": values for level, values in ranks.items()})


def _rank(score: Array, item: Array) -> Array:
    """(n,) rank of one item in each row of scores (one row of scores may serve them all); equal scores share the middle rank."""
    own = np.broadcast_to(score, (len(item), score.shape[1]))[np.arange(len(item)), item][:, None]
    return np.asarray(1 + np.count_nonzero(score > own, axis=1) + 0.5 * (np.count_nonzero(score == own, axis=1) - 1))


def calendar(days: int) -> Calendar:
    """The last 14 days are the test, the 14 before them validation."""
    end = log.START + days * log.DAY
    return Calendar(days, end - 28 * log.DAY, end - 14 * log.DAY, end)
