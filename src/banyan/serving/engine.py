"""BUNDLE + LIVE EVENTS -> ANSWERS. Recommends, searches, ranks, explains; knows no HTTP and keeps no events.

Every answer is made by the feature code and the network of training. An engine never changes; several threads may ask it at once.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from banyan.bundle import Bundle
from banyan.errors import ConfigError, DataError
from banyan.features.stock import ITEM
from banyan.retrieval import candidates
from banyan.serving import people, reasons
from banyan.serving.answering import Answering, Question
from banyan.serving.asking import Ask, EngineOptions, Happened, Placed, Profile, Ranked, Reason, Searched, Worth
from banyan.serving.company import Company, Lately, nothing_since
from banyan.serving.diversity import spread
from banyan.serving.finding import Finding, Listed
from banyan.serving.kept import Kept
from banyan.serving.likeness import Likeness
from banyan.serving.pasts import Ground, Naming, Past, laid
from banyan.serving.relevance import Relevance
from banyan.serving.searching import POPULAR, WORDS, Result, Searching, stretched, weights, whole
from banyan.serving.shelf import Shelf
from banyan.serving.texts import Texts
from banyan.serving.visit import Basket, Visit
from banyan.store.hints import hint
from banyan.types import Array

Recent = Callable[[str], Sequence[Happened]]
POOL = 5  # for each item of a spread list, how many of the best are looked at


def nobody(user: str) -> Sequence[Happened]:
    """No live events."""
    return ()


class Engine:
    """A bundle that answers about users as they are now."""

    def __init__(self, bundle: Bundle, recent: Recent = nobody, options: EngineOptions | None = None, lately: Lately = nothing_since) -> None:
        """`recent` gives a user's events that the bundle's own log does not hold, in order of time; `lately` the newest of everybody's, each with whose it is.

        Raises ConfigError for options that name what the bundle does not know.
        """
        self.bundle, self.recent, self.options = bundle, recent, options or EngineOptions()
        self._check()
        if ITEM not in bundle.stock.entities:
            raise ConfigError("The bundle has no items, so there is nothing that could be recommended; ask it by `Bundle.predict`.")
        self.ground = Ground.of(bundle, self.options.spare, self.options.reads)
        self.answering = Answering(self.ground, self.options.tokens)
        self.shelf = Shelf(self.ground)
        ranked = [name for name in bundle.network.ranked if name in bundle.served]
        self.ranking = self.options.task or (ranked[0] if ranked else "")
        self.pointwise = self.answering.pointwise
        self.users: Kept[tuple[Past, Naming]] = Kept(self.options.users)
        self.questions: Kept[Question] = Kept(self.options.questions)
        self.finding = Finding(self.answering, self.shelf, self.ranking, self.options)
        self.company = Company(self.ground, lately)
        self.likeness = Likeness(self.answering, lambda row: self.company.near(row))
        self.searching = Searching(self.finding, Texts(self.ground, self.shelf, self.options.alike), self.options)
        self.relevance = Relevance(self.answering, self.options.relevant)

    def _check(self) -> None:
        known = self.bundle.plan.behaviours
        for name in (*self.options.reads.values(), *([self.options.basket] if self.options.basket else [])):
            if name not in known:
                raise ConfigError(f"The bundle knows no behaviour {name!r}.{hint(name, known)}")
        ranked = [name for name in self.bundle.network.ranked if name in self.bundle.served]
        if self.options.task and self.options.task not in ranked:
            raise ConfigError(f"The bundle has no ranking task {self.options.task!r}.{hint(self.options.task, ranked)}")

    @property
    def names(self) -> list[str]:
        """Every name that a value model may use: `task.column`, `task` of a ranking, `words` of a search, `item.feature`."""
        columns = [f"{task}.{column}" for task in self.pointwise for column in self.bundle.network.task(task).columns()]
        return [*([self.ranking] if self.ranking else []), *columns, WORDS, *(f"item.{feature}" for feature in self.shelf.numbers)]

    def close(self) -> None:
        """Let go of what was kept."""
        self.users, self.questions = Kept(0), Kept(0)

    # --- questions about items

    def recommend(self, ask: Ask, value: Worth | None = None) -> Ranked:
        """Items for a user, a session or a basket, best first by `value`; by the ranking's own score without one.

        Candidates come from the item vectors, the user's own past, what goes with it, and popularity; `ask.filters` and the ranking's own
        `leave_out` hold for all. Fewer than k where fewer are left. Raises ConfigError for an unknown feature, behaviour or name in `value`.
        """
        _positive(ask.k)
        visit = self.visit(ask)
        return self._ranked(ask, visit, self.finding.candidates(ask, visit), value)

    def search(self, ask: Ask, value: Worth | None = None) -> Ranked:
        """Items for `ask.query`, for `ask.picture`, or for both, best first; filters hold. `Ranked.searched` says how they were found.

        Without a value model the order is that of the parts of the score, each stretched to [0, 1]: how well words and vectors fit, what the task about
        queries and items says, and what the user's behaviour says; a value model may read `words` itself. Nothing found: an empty answer, or with
        `ask.popular` what is asked for most. Raises ConfigError as `recommend` does, DataError for a picture that cannot be searched with.
        """
        _positive(ask.k)
        if not ask.query.strip() and not ask.picture:
            raise ConfigError("search needs a query with a word in it, or a picture.")
        visit = self.visit(ask)
        result = self.searching.result(ask, visit)
        listed = self._judged(visit, result)
        found = self._ranked(ask, visit, listed, value)
        told = weights([*listed.parts], self.options.relevance) if value is None else {}
        searched = Searched(ask.query, result.query, result.step, len(result.rows), result.alike, told, self.shelf.bands(result.rows))
        return replace(found, facets=self.shelf.facets(result.rows), searched=searched)

    def _judged(self, visit: Visit, result: Result) -> Listed:
        """The candidates with what the task about queries and items says of them."""
        listed = result.listed
        question = self.relevance.question(visit, result.query) if len(listed.rows) and result.query.strip() and result.step != POPULAR else None
        if question is None:
            return listed
        answers = self.relevance.answers(question, listed.rows)
        return replace(listed, answers=answers, parts={**listed.parts, "relevance": stretched([*answers.values()][-1])})

    def rank(self, ask: Ask, value: Worth | None = None) -> Ranked:
        """The caller's own `ask.items`, best first, each once; filters hold. An item that the bundle does not know is a new one without features."""
        _positive(ask.k)
        if ask.items is None:
            raise ConfigError("rank orders the items that it is given; `items` is missing.")
        visit = self.visit(ask)
        named: dict[int, list[str]] = {}  # beyond the spare rows, unknown items share one
        for item in dict.fromkeys(ask.items):
            named.setdefault(visit.naming.row(item), []).append(item)
        rows = np.array(list(named), np.int64)
        rows = rows[self.finding.matching(ask, visit, rows)]
        found = self._ranked(ask, visit, Listed(rows, np.ones((len(rows), 1), bool), ["asked"]), value)
        shared = {visit.naming.id(row): items for row, items in named.items() if len(items) > 1}
        if not shared:
            return found
        whole = [replace(placed, item=item) for placed in found.items for item in shared.get(placed.item, [placed.item])]
        return replace(found, items=whole[: ask.k])

    def explain(self, ask: Ask, value: Worth | None = None) -> Placed:
        """The one item of `ask.items` with its score, and what moved it, the largest first. Raises ConfigError for another number of items."""
        if ask.items is None or len(ask.items) != 1:
            raise ConfigError(f"explain is about one item; found {len(ask.items or ())}.")
        visit = self.visit(ask)
        rows = np.array([visit.naming.row(ask.items[0])], np.int64)
        listed = Listed(rows, np.ones((1, 1), bool), ["asked"])
        worth, columns = self._worth(visit, listed, value)
        return self._placed(visit, listed, np.zeros(1, np.int64), worth, columns, value, explain=True)[0]

    def similar(self, item: str, k: int = 20, by: str = "taste") -> Ranked:
        """Items like one item, best first. `by`: "taste" (vectors that learned from behaviour), "together" (what goes with it by the bundle's signals,
        else what is met with it in one visit, which may be fewer than k; as "taste" where nothing is), "text" or "photo" (what the network reads in the
        features of that kind; nothing for an item without any), "words" (as "text", or "content" where items have no texts), "content" (all features).

        Raises DataError for an item that the bundle does not know, ConfigError for another word, and for a kind of feature that the items do not have.
        """
        _positive(k)
        row = self.ground.items.row(item)
        if not row:
            raise DataError(f"The bundle has no item {item!r}; new items join with `Bundle.with_entities`.")
        near = self.likeness.near(row, by)[: self.shelf.known + 1].copy()
        near[~self.shelf.offered[: len(near)]] = -np.inf
        near[[row, int(self.ground.current_item[row])]] = -np.inf
        best = candidates.leading(near, k, -np.inf)
        ids = self.bundle.stock.ids[ITEM]
        return Ranked([Placed(str(ids[i - 1]), float(near[i]), sources=(by,)) for i in best.tolist()], {by: len(best)})

    # --- questions about users, and rows of tables

    def profile(self, user: str, now: int | None = None) -> Profile:
        """What is known of a user, what every task about users answers, and what the past holds."""
        return people.profile(self.visit(Ask(user, now=now)), self.shelf, user)

    def predict(self, table: str, rows: Sequence[people.Row], tasks: Sequence[str] | None = None) -> list[dict[str, float]]:
        """For each row of a samples table `task.column` -> answer, as `Bundle.predict` says once it was handed the users' live events.

        Raises ConfigError for an unknown table or task, DataError that names the column and the row.
        """
        events = {user: tuple(self.recent(user)) for user in people.users_of(self.ground, table, rows)}
        return people.predict(self.ground, events, table, rows, tasks).to_dicts()

    def forecast(self, table: str = "", rows: Sequence[people.Row] = ()) -> tuple[str, list[tuple[dict[str, Any], dict[str, float]]]]:
        """(The table, for each row its words and ids, and the periods ahead) of a table with a task of counts; rows bring its columns."""
        return people.forecast(self.bundle, self.predict, table, rows)

    def offers(self, table: str = "", rows: Sequence[people.Row] = (), k: int = 100) -> tuple[str, list[tuple[int, float, dict[str, float]]]]:
        """(The table, the k best rows: place, score, answers) of a table about users and offers, by its first task that answers a chance."""
        _positive(k)
        return people.offers(self.bundle, self.predict, table, rows, k)

    def numbers(self, items: Sequence[str]) -> dict[str, list[float]]:
        """`item.feature` -> the number of each item, nan where it is missing or the item is not known."""
        rows = self.ground.items.numbered(items)
        return {f"item.{feature}": self.shelf.column(feature, rows).tolist() for feature in self.shelf.numbers}

    def item(self, item: str) -> dict[str, Any] | None:
        """What is known of an item, by feature; None for one that the bundle does not know."""
        row = self.ground.items.row(item)
        return self.shelf.features(row) if row else None

    # --- how

    def visit(self, ask: Ask) -> Visit:
        """Whose past is asked about, laid over the bundle's log, and when."""
        user = ask.user or ask.session
        events = tuple(self.recent(user)) if user else ()
        user = user if events or self.ground.users.rows(user) else ""  # all of whom nothing is known are one, who is read and kept once
        if ask.basket:
            past, naming, now = self._with_basket(user, events, ask)
        else:
            stamp: tuple[Any, ...] = (len(events), events[0].id, events[-1].id) if events else ()
            past, naming = self.users.get(user, stamp, lambda: self._laid(user, events))
            naming = naming.again()
            now = past.newest if ask.now is None else ask.now
        self._whole(now)
        scenario = self.ground.scenarios.get(ask.scenario, 0)
        visit = Visit(self.answering, past, naming, user, scenario, now, self.pointwise, self.ranking)
        if ask.basket:
            return visit
        return replace(visit, kept=lambda: self.questions.get((user, scenario), (*stamp, now), visit.read))

    def _laid(self, user: str, events: Sequence[Happened]) -> tuple[Past, Naming]:
        naming = Naming(self.ground)
        return laid(self.ground, [user], {user: events}, naming), naming

    def _with_basket(self, user: str, events: Sequence[Happened], ask: Ask) -> tuple[Past, Naming, int]:
        """A basket is what was done just before the question."""
        newest = max([self.bundle.now, *(event.time + 1 for event in events[-1:])])
        now = newest + 1 if ask.now is None else ask.now
        behaviour = self.options.basket or next(iter(self.bundle.plan.behaviours), "")
        held = [Basket(f"basket {i}", item, behaviour, now - 1, ask.scenario) for i, item in enumerate(ask.basket)]
        past, naming = self._laid(user, [*events, *held])
        return past, naming, now

    def _whole(self, now: int) -> None:
        since = self.bundle.facts["since"]
        if since is not None and now < since:
            raise DataError(f"The question's moment is {now}, and the bundle holds whole pasts from {since} on only. Ask for a later moment.")

    def _worth(self, visit: Visit, listed: Listed, value: Worth | None, question: Any = None) -> tuple[Array, dict[str, Array]]:
        """((K,) what each item is worth, the columns that it was made of)."""
        rows = listed.rows
        names = self._default() if value is None else list(value.names)
        columns = visit.columns(rows, names, question)
        columns |= {name: self.shelf.column(name[5:], rows) for name in names if name.startswith("item.")}
        columns |= {name: each for name, each in listed.answers.items() if name not in columns}
        if WORDS in names or listed.words is not None:
            columns[WORDS] = np.zeros(len(rows)) if listed.words is None else listed.words
        if missing := [name for name in names if name not in columns and len(rows)]:
            raise ConfigError(f"The value model names {missing[0]!r}, which this bundle does not answer.{hint(missing[0], self.names)}")
        if value is not None and len(rows):
            return np.asarray(value.of(columns), np.float64), columns
        worth = np.sum([columns[name] for name in names], axis=0) if names and len(rows) else np.zeros(len(rows))
        return (worth if listed.words is None else self._fitting(listed, worth)), columns

    def _fitting(self, listed: Listed, worth: Array) -> Array:
        told = weights([*listed.parts], self.options.relevance)
        parts = {**listed.parts, "behaviour": stretched(worth)}
        return np.asarray(np.sum([share * parts[name] for name, share in told.items()], axis=0))

    def _default(self) -> list[str]:
        """Without a value model items stand by the ranking's score; without a ranking by the sum of all pointwise answers' last columns."""
        if self.ranking:
            return [self.ranking]
        return [f"{task}.{list(self.bundle.network.task(task).columns())[-1]}" for task in self.pointwise]

    def _ranked(self, ask: Ask, visit: Visit, listed: Listed, value: Worth | None) -> Ranked:
        worth, columns = self._worth(visit, listed, value)
        order = np.lexsort((listed.rows, -worth))
        pool = order[: POOL * ask.k]
        if ask.diversity and len(pool):
            vectors = self.likeness.vectors("taste")
            pool = pool[spread(worth[pool], vectors[np.minimum(listed.rows[pool], len(vectors) - 1)], ask.k, ask.diversity)]
        listed = listed if listed.words is None or value is not None else replace(listed, parts=whole(listed.parts, worth, self.options.relevance))
        counts = {source: int(listed.brought[:, i].sum()) for i, source in enumerate(listed.sources)}
        placed = self._placed(visit, listed, pool[: ask.k], worth, columns, value, explain=ask.explain)
        return Ranked(placed, counts, self.shelf.facets(listed.rows))

    def _placed(
        self, visit: Visit, listed: Listed, chosen: Array, worth: Array, made: dict[str, Array], value: Worth | None, *, explain: bool
    ) -> list[Placed]:  # fmt: skip
        """The chosen candidates with all that the tasks say of them; what was `made` of all candidates is not asked again."""
        rows = listed.rows[chosen]
        columns = {name: each[chosen] for name, each in made.items() if not name.startswith("item.")}
        columns |= visit.columns(rows, [name for name in self.names if name not in columns])
        why: list[list[Reason]] = [[] for _ in rows]
        if explain and len(rows):
            few = listed.take(chosen)
            moved = reasons.changes(visit, rows, lambda question: self._worth(visit, few, value, question)[0])
            like = reasons.kindred(visit, rows, self.likeness.vectors("taste"))
            why = [[*a, *b] for a, b in zip(moved, like, strict=True)]
        found = []
        for i, (place, row) in enumerate(zip(chosen.tolist(), rows.tolist(), strict=True)):
            answers = {name: float(each[i]) for name, each in columns.items()}
            sources = tuple(source for source, hit in zip(listed.sources, listed.brought[place], strict=True) if hit)
            parts = {name: float(each[place]) for name, each in listed.parts.items()}
            found.append(Placed(visit.naming.id(row), float(worth[place]), answers, sources, tuple(why[i]), parts))
        return found


def _positive(k: int) -> None:
    if k < 1:
        raise ConfigError(f"k is {k}; ask for at least one item.")
