"""What was fitted on training rows: vocabularies, layouts, targets. All that the network's shape and the feature code need, and no data."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from banyan.features import columns
from banyan.features.columns import Layout
from banyan.features.vocabulary import Vocabulary
from banyan.types import Anchor, Target

SCENARIO, BEHAVIOUR, TIME = "scenario", "behaviour", "time"
SIGNAL = "signal:"  # begins the name of a signal's figure
NEAR = "nearness"  # the figure that compares sentence vectors
_AS_THEY_ARE = ("behaviours", "scenarios", "clock", "pair_keys", "pair", "pair_edges", "side", "signals", "words", "idf", "rows")
LITTLE = 0.1  # share of the rows that name an entity, under which a table may only read ids


@dataclass
class TablePlan:
    """What the rows of one samples table bring."""

    entities: list[str]
    context: list[str]  # its own context features
    tasks: list[str]
    past: bool = False  # rows have a history
    pair: bool = False  # rows name an item, and a user with a log or a thing with words to compare
    ranking: bool = False  # rows ask for items: the item and pair slots are empty
    sequences: bool = False  # rows of one user train together, from one reading of the history
    strangers: list[str] = field(default_factory=list)  # entities whose held-out rows name ids that no training row of the table names
    named: dict[str, int] = field(default_factory=dict)  # entity -> training rows that name one
    distinct: dict[str, int] = field(default_factory=dict)  # entity -> how many different ones those rows name
    tells: float = 1.0  # how many yes-or-no answers the label of a row is worth


def readers(tables: Mapping[str, TablePlan], width: int) -> dict[str, set[str]]:
    """Table -> the entities whose ids its rows read without moving them, when a model trains on all of `tables`.

    These are ids that its held-out rows do not name again, and ids about which it says little where other tables say much: under a tenth of
    all rows that name such a thing, and fewer yes-or-no answers an id than twice the `width` numbers of its vector. A few labels would be learned by
    heart there, at the cost of what the many rows of other tables teach. A table that trains by itself moves every id that it can.
    """
    total: dict[str, int] = {}
    for table in tables.values():
        for entity, rows in table.named.items():
            total[entity] = total.get(entity, 0) + rows
    return {name: {e for e in t.entities if e in t.strangers or _little(t, e, total.get(e, 0), width)} for name, t in tables.items()}


def _little(table: TablePlan, entity: str, total: int, width: int) -> bool:
    rows = table.named.get(entity, 0)
    return rows < LITTLE * total and rows * table.tells < 2 * width * table.distinct.get(entity, 0)


@dataclass
class Plan:
    """Everything fitted. Written to a bundle as JSON."""

    books: dict[str, Vocabulary] = field(default_factory=dict)
    entities: dict[str, Layout] = field(default_factory=dict)
    context: Layout = field(default_factory=lambda: Layout("context"))
    targets: dict[str, Target] = field(default_factory=dict)
    tables: dict[str, TablePlan] = field(default_factory=dict)
    behaviours: tuple[str, ...] = ()
    scenarios: tuple[str, ...] = ("",)
    clock: str = "none"
    pair_keys: list[str] = field(default_factory=list)  # item features whose counts pairs hold, the item itself first
    pair: list[str] = field(default_factory=list)  # names of the P pair features
    pair_edges: list[list[float]] = field(default_factory=list)  # of each pair feature, the edges of its pieces, rising
    side: list[str] = field(default_factory=list)  # names of the F side scores of a ranking's candidates
    signals: list[str] = field(default_factory=list)  # the last side scores: names of the signals, then of their products with what a past holds
    words: list[tuple[str, str, str]] = field(default_factory=list)  # (entity, its text, the item's text) whose n-grams pairs compare
    idf: dict[str, list[float]] = field(default_factory=dict)  # text of the item -> inverse document frequency of each bucket
    lexicons: dict[str, dict[str, Any]] = field(default_factory=dict)  # text of the item -> what `lexicon` knows of its words
    catalogues: dict[str, int] = field(default_factory=dict)  # text of the item -> how many items had one when the plan was fitted: the first rows
    taught: dict[str, dict[str, Any]] = field(default_factory=dict)  # two texts -> what judged pairs of them teach about words
    near: list[tuple[str, str, str]] = field(default_factory=list)  # (entity, its text, the item's text) whose sentence vectors pairs compare
    models: dict[str, str] = field(default_factory=dict)  # language model that reads texts -> what tells its content
    rows: int = 0  # rows of the fused embedding table

    def number_rows(self) -> None:
        """Give every vocabulary, bin and bucket its place in the fused table."""
        place = 0
        for book in self.books.values():
            book.offset, place = place, place + len(book)
        for layout in (*self.entities.values(), self.context):
            for number in layout.numbers:
                number.offset, place = place, place + len(number.edges) + 1
            for key, (_, buckets) in layout.texts.items():
                layout.texts[key], place = (place, buckets), place + buckets
        self.rows = max(place, 1)

    @property
    def has_past(self) -> bool:
        """Whether any table's rows have a history."""
        return any(t.past for t in self.tables.values())

    def to_json(self) -> dict[str, Any]:
        """JSON-able values; `from_json` reads them."""
        return {
            "books": {key: {"values": b.values, "offset": b.offset} for key, b in self.books.items()},
            "entities": {key: columns.plain(layout) for key, layout in self.entities.items()},
            "context": columns.plain(self.context),
            "targets": {key: asdict(t) for key, t in self.targets.items()},
            "tables": {key: asdict(t) for key, t in self.tables.items()},
            **{key: getattr(self, key) for key in _AS_THEY_ARE},
            "lexicons": self.lexicons,
            "catalogues": self.catalogues,
            "taught": self.taught,
            "near": self.near,
            "models": self.models,
        }

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> "Plan":
        """The plan that `to_json` wrote."""
        return cls(
            {key: Vocabulary(key, list(b["values"]), int(b["offset"])) for key, b in found["books"].items()},
            {key: columns.restored(layout) for key, layout in found["entities"].items()},
            columns.restored(found["context"]),
            {key: _target(t) for key, t in found["targets"].items()},
            {key: TablePlan(**t) for key, t in found["tables"].items()},
            tuple(found["behaviours"]),
            tuple(found["scenarios"]),
            found["clock"],
            list(found["pair_keys"]),
            list(found["pair"]),
            [list(each) for each in found["pair_edges"]],
            list(found["side"]),
            list(found["signals"]),
            [(entity, text, title) for entity, text, title in found["words"]],
            {key: list(each) for key, each in found["idf"].items()},
            dict(found.get("lexicons", {})),
            {key: int(count) for key, count in found.get("catalogues", {}).items()},
            dict(found.get("taught", {})),
            [(entity, text, title) for entity, text, title in found.get("near", [])],
            dict(found.get("models", {})),
            int(found["rows"]),
        )


def _target(found: Mapping[str, Any]) -> Target:
    anchor = found["anchor"]
    return Target(tuple(found["names"]), tuple(found["classes"]), tuple(found["prior"]), int(found["side"]), None if anchor is None else Anchor(**anchor))
