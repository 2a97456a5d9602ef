"""From a query to candidates in stated steps: by its words, mended words, any word, words asked for alike, vectors, and what is popular.

Each step is tried where those before it found nothing; the answer says which one found something. Vectors of texts and pictures join whatever words find.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from banyan.retrieval import candidates
from banyan.serving import wording
from banyan.serving.asking import Ask, EngineOptions
from banyan.serving.finding import Finding, Listed
from banyan.serving.nearby import Nearby, Sight
from banyan.serving.texts import Texts
from banyan.serving.visit import Visit
from banyan.serving.wording import Wording
from banyan.types import Array

STEPS = ("words", "spelling", "any", "synonyms", "vectors", "popular")  # of words; what a picture alone finds is found in the step "picture"
WORDS, VECTORS, PICTURE, POPULAR = "words", "vectors", "picture", "popular"
COUNTS = {WORDS: 0.7, VECTORS: 0.3, PICTURE: 1.2}  # how much each says of how well an item fits what was asked


@dataclass(frozen=True)
class Worded:
    """What the words of a query find."""

    query: str
    step: str  # "" where they find nothing
    scores: Array  # (rows,) float32; 0 for what is not allowed
    matched: Array  # rows that the step holds to
    alike: tuple[str, ...] = ()


@dataclass(frozen=True)
class Result:
    """Candidates, and what is told of the whole search."""

    listed: Listed
    query: str
    step: str
    rows: Array  # of everything that was found, of which the candidates are the best
    alike: tuple[str, ...]


class Searching:
    """Searches of one bundle."""

    def __init__(self, finding: Finding, texts: Texts, options: EngineOptions) -> None:
        self.finding, self.texts, self.options = finding, texts, options
        self.nearby = Nearby(finding.ground)

    def result(self, ask: Ask, visit: Visit) -> Result:
        """What is found, at most `options.candidates` of it as candidates. Raises DataError for a picture that cannot be searched with."""
        allowed, most = self.finding.allowed(ask, visit), self.options.candidates
        worded = self._worded(ask.query, allowed)
        seen = self.nearby.of_picture(ask.picture, most, allowed) if ask.picture else []
        near = self.nearby.of_text(worded.query, most, allowed) if ask.query.strip() else []
        sources = {WORDS: self._best(worded, ask.k), VECTORS: _nearest(near, most), PICTURE: _nearest(seen, most)}
        sources = {name: rows for name, rows in sources.items() if len(rows)}
        step = worded.step or next(iter(sources), "")
        if not sources and ask.popular and len(popular := candidates.only(self.finding.popular, allowed, most)):
            sources, step = {POPULAR: popular}, POPULAR
        rows, brought = candidates.fused(sources, most)
        parts = _parts(rows, worded.scores, near, seen)
        listed = Listed(rows, brought, list(sources), parts.get(WORDS, np.zeros(len(rows))), parts)
        return Result(listed, worded.query, step, np.union1d(worded.matched, rows), worded.alike)

    def _worded(self, query: str, allowed: Array) -> Worded:
        """The first step of those by words that finds anything."""
        terms = self.texts.terms
        read = wording.read(query, self.texts)
        step, matched = WORDS, self._all(read, allowed)
        if not len(matched) and (mended := wording.mended(read, self.texts)):
            read = wording.read(mended, self.texts)
            step, matched = "spelling", self._all(read, allowed)
        own = np.where(allowed, terms.scores(read.scored), np.float32(0))
        scores = own + np.where(allowed, terms.scores(read.wider), np.float32(0)) if read.wider else own
        if not len(matched):
            step, matched = ("any" if own.any() else "synonyms"), np.flatnonzero(scores > 0)
        return Worded(read.text or query, step if len(matched) else "", scores, matched, tuple(read.alike))

    def _all(self, read: Wording, allowed: Array) -> Array:
        found = wording.holding_all(read, self.texts.terms)
        return np.asarray(found[allowed[found]])

    def _best(self, worded: Worded, k: int) -> Array:
        """The best that the words found; where less than a page holds them all, what holds only some of them fills it."""
        most = self.options.candidates
        found = worded.matched[candidates.leading(worded.scores[worded.matched], most, -1.0)]
        if len(found) >= min(k, most) or not worded.step:
            return np.asarray(found, np.int64)
        others = worded.scores.copy()
        others[worded.matched] = 0
        return np.concatenate([found, candidates.leading(others, k - len(found))]).astype(np.int64)


def _nearest(sights: list[Sight], most: int) -> Array:
    """What is nearest in any of the spaces."""
    rows, _ = candidates.fused({str(i): each.near.rows for i, each in enumerate(sights)}, most)
    return rows


def _parts(rows: Array, scores: Array, near: list[Sight], seen: list[Sight]) -> dict[str, Array]:
    """Part -> (K,) float64 in [0, 1], of the parts that found anything."""
    found = {}
    if len(rows) and scores[rows].max() > 0:
        found[WORDS] = scores[rows].astype(np.float64) / float(scores[rows].max())
    for name, sights in ((VECTORS, near), (PICTURE, seen)):
        shares = [each.share(rows) for each in sights if len(each.near.rows)]
        if shares:
            found[name] = np.max(shares, axis=0)
    return found


def stretched(values: Array) -> Array:
    """Values between 0 for the least and 1 for the largest."""
    low, high = values.min(initial=np.inf), values.max(initial=-np.inf)
    return np.asarray((values - low) / (high - low if high > low else 1.0))


def whole(parts: Mapping[str, Array], worth: Array, share: float | None) -> dict[str, Array]:
    """The parts of a score with the user's behaviour, which is what the others leave of it."""
    told = weights([*parts], share)
    if not told["behaviour"]:
        return dict(parts)
    others = np.sum([each * parts[name] for name, each in told.items() if name != "behaviour"], axis=0) if len(told) > 1 else np.zeros(len(worth))
    return {**parts, "behaviour": np.clip((worth - others) / told["behaviour"], 0.0, 1.0)}


def weights(parts: Sequence[str], share: float | None) -> dict[str, float]:
    """Part of the score -> how much it counts, 1 in all: `share` for what was asked, by words, vectors and a picture; the rest for what the network says."""
    asked = {name: count for name, count in COUNTS.items() if name in parts}
    judged = "relevance" in parts
    share = (0.4 if judged and PICTURE not in parts else 0.7) if share is None else share
    share = share if asked else 0.0
    told = {name: share * count / sum(asked.values()) for name, count in asked.items()}
    rest = {"relevance": 2.0, "behaviour": 1.0} if judged else {"behaviour": 1.0}
    told |= {name: (1 - share) * count / sum(rest.values()) for name, count in rest.items()}
    return {name: round(each, 6) for name, each in told.items()}
