"""What travels through the house, and the alphabet of its shapes.

B rows, S tokens, D width of a token, V views, H width of a view, L length of a history, K candidates.
The same letters stand in every annotation. M, C, E, P count numbers, categories, vector entries and pair features.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

Array = np.ndarray[Any, np.dtype[Any]]

MISSING = 0  # the row number of "no such entity", in every entity's columns
TRAIN, VALID, TEST, DROPPED = 0, 1, 2, -1  # the part of the split that a row belongs to
PARTS = {"train": TRAIN, "valid": VALID, "test": TEST, "dropped": DROPPED}


@dataclass(frozen=True)
class Sizes:
    """What the house tells a sharing architecture about its input and output."""

    slots: Mapping[str, slice]  # slot -> its run of tokens
    width: int  # D, all copies side by side
    views: int  # V
    parents: tuple[int | None, ...] = ()  # for each view: the view of the stage before it in its funnel; () means no view has one
    scenarios: int = 1
    copies: int = 1  # of the embedding tables: copy c makes the entries c * D / copies : (c + 1) * D / copies of every token

    @property
    def tokens(self) -> int:
        """S, the number of tokens of a row."""
        return max((s.stop for s in self.slots.values()), default=0)

    @property
    def flat(self) -> int:
        """S * D, the width of `x.flatten(1)`."""
        return self.tokens * self.width

    def parent(self, view: int) -> int | None:
        """The view of the funnel stage before this one, or None."""
        return self.parents[view] if self.parents else None


@dataclass(frozen=True)
class Anchor:
    """A number of the row's context from which a task's answer starts: a forecast that the model corrects."""

    column: str
    place: int  # among the context's numbers
    log: bool  # as the context has it: the signed log1p, less `mean`, over `scale`
    mean: float
    scale: float
    floor: float  # what is added to it: what was not sold lately may be sold again


@dataclass(frozen=True)
class Target:
    """What one task predicts, as fitted on training rows."""

    names: tuple[str, ...]  # label columns: one for each stage of a funnel, one for each period ahead of a count, else one
    classes: tuple[str, ...] = ()  # names of the classes, tags or grades, in the order of their codes
    prior: tuple[float, ...] = ()  # training mean of each label (or share of each class): where a head's bias starts; of an amount: (mean, share above 0)
    side: int = 0  # F, how many side scores each candidate of a ranking comes with
    anchor: Anchor | None = None  # of a count


@dataclass(frozen=True)
class Candidates:
    """The items that a ranking task scores for every row of a batch."""

    vectors: Float[Tensor, "K H"]
    log_q: Float[Tensor, " K"]  # log probability of having been sampled; 0 where every item is a candidate
    side: "Float[Tensor, 'B K F'] | Side | None" = None  # pair features and snapshot scores of (row, candidate)


@dataclass(frozen=True)
class Column:
    """One feature's values for n rows, as its encoder gets them; what a feature does not have is None."""

    embedded: Float[Tensor, "n K D"] | None = None  # rows of the fused table for the feature's ids
    mask: Bool[Tensor, "n K"] | None = None  # which of the K count
    numbers: Float[Tensor, "n M"] | None = None  # standardised numbers, or the entries of a vector; 0 where missing
    known: Bool[Tensor, "n M"] | None = None  # which numbers were there


@dataclass
class Label:
    """One task's labels in a batch. A label that is not seen counts for nothing; its value is 0."""

    value: Tensor  # (B, V) floats; (B,) codes for classes; (B, C) for tags; (B, A) for counts; (B, T) places among the candidates, -1 padded, for ranking
    seen: Bool[Tensor, "B N"]  # N is V, or the number of answers of a count, else 1
    weight: Float[Tensor, " B"]  # row weight: the shop's own divided by the sampling rate
    present: tuple[bool, ...]  # (N,) whether any row of the batch shows this label
    maturity: Float[Tensor, "B V"] | None = None  # share of what happens that has by the cut, 1 in settled rows; None where all are


@dataclass
class Bag:
    """Many ids a row, padded: where they lie among the step's embeddings, and which count."""

    start: int
    mask: Bool[Tensor, "n K"]


@dataclass
class Block:
    """All features of n rows of one source (an entity's distinct rows of the step, or the context of a table's rows)."""

    rows: int
    start: int  # where the (n * C) category ids begin among the step's embeddings
    numbers: Float[Tensor, "n M"]
    known: Bool[Tensor, "n M"]
    bags: dict[str, Bag] = field(default_factory=dict)
    dense: dict[str, Float[Tensor, "n E"]] = field(default_factory=dict)


@dataclass
class Past:
    """The events before each row, newest last, padded in front."""

    items: Int[Tensor, "B L"]  # places in the step's item block
    behaviours: int  # where the (B * L) behaviour ids begin among the step's embeddings
    gaps: Float[Tensor, "B L"]  # days from the event to the row, log1p; 0 without time
    mask: Bool[Tensor, "B L"]


@dataclass
class Windows:
    """Stretches of users' events, each read once for all rows that stand in it; those of about one length together, so that little is padding."""

    parts: list[Past]  # windows for rows, and days to the window's last event as gaps
    at: Int[Tensor, " B"]  # each row's newest event, as a place among the events of all parts, flat; -1 without events
    items: Int[Tensor, " B"]  # the place of its item in the step's item block; 0 without events
    gaps: Float[Tensor, " B"]  # days from it to the row, log1p


@dataclass
class Side:
    """Side scores of B rows with K candidates, F figures each: some stand whole, of others only what is not 0."""

    shape: tuple[int, int, int]  # B, K, F
    columns: list[int]  # the figures that stand whole
    dense: Float[Tensor, "B K Fd"]
    pieces: list[tuple[int, Tensor, Tensor]]  # (figure, (N,) row * K + candidate, (N,) values)

    def added(self, raw: Float[Tensor, "B K"], weights: Float[Tensor, " F"]) -> Float[Tensor, "B K"]:
        """`raw` and the sum over figures of weight times score; nothing of size (B, K, F) is made of what is mostly 0."""
        found = raw + self.dense @ weights[self.columns] if self.columns else raw
        if not self.pieces:
            return found
        places = torch.cat([each for _, each, _ in self.pieces])
        values = torch.cat([each * weights[figure] for figure, _, each in self.pieces])
        return found.reshape(-1).index_add(0, places, values.to(found.dtype)).view(found.shape)

    def without(self, candidates: Bool[Tensor, " K"], figures: Sequence[int]) -> "Side":
        """The same with 0 for some figures of some candidates."""
        gone = [place for place, figure in enumerate(self.columns) if figure in figures]
        dense = self.dense.clone()
        dense[:, candidates.nonzero(), torch.tensor(gone, dtype=torch.long)] = 0.0
        pieces = []
        for figure, places, values in self.pieces:
            kept = ~candidates[places % self.shape[1]] if figure in figures else torch.ones_like(places, dtype=torch.bool)
            pieces.append((figure, places[kept], values[kept]))
        return Side(self.shape, self.columns, dense, pieces)

    def whole(self) -> Float[Tensor, "B K F"]:
        """Every figure of every pair."""
        found = self.dense.new_zeros(self.shape)
        found[..., self.columns] = self.dense
        for figure, places, values in self.pieces:
            found.view(-1, self.shape[2])[places, figure] = values
        return found


@dataclass
class Choice:
    """The candidates of a ranking task in a batch."""

    items: Int[Tensor, " K"]  # places in the step's item block
    log_q: Float[Tensor, " K"]
    side: Side | None


@dataclass
class Batch:
    """Rows of one samples table: a few contiguous arrays and no object per row."""

    table: str
    rows: int
    entities: dict[str, Int[Tensor, " #B"]]  # places in the step's block of that entity; one place, like a context or a past of one row, is that of all rows
    scenario: Int[Tensor, " B"]
    context: Block
    past: Past | Windows | None
    pair: Float[Tensor, "B P"] | None
    labels: dict[str, Label]
    choices: dict[str, Choice]
    row: Array = field(default_factory=lambda: np.zeros(0, np.int64))  # row numbers in the table

    def about(self, entity: str, places: Int[Tensor, " K"], pair: Float[Tensor, "K P"] | None) -> "Batch":
        """The one row of this batch, asked about K things of an entity; what the row brings beside them is read once for all."""
        scenario = self.scenario.expand(len(places))
        return replace(self, rows=len(places), entities={**self.entities, entity: places}, scenario=scenario, pair=pair, labels={}, choices={})


@dataclass
class Stretch:
    """Stretches of users' training events as one auxiliary task reads them: no labels, no rows of a table."""

    pasts: list[Past]  # one or more views of the same n stretches
    hidden: list[Bool[Tensor, "n L"]]  # of each view: events whose item is not shown; its place in the step's item block is the missing item's
    asked: Int[Tensor, "n T"] | None = None  # which events of the first view are to be named, -1 padded; None where the event lies outside of it
    choice: Choice | None = None  # the items among which those lie
    places: Int[Tensor, "n T"] | None = None  # of the right items among the candidates, -1 padded


@dataclass
class Things:
    """Things of one entity as one auxiliary task reads them, whether or not anything happened to them."""

    entity: str
    places: Int[Tensor, " n"]  # in the step's block of that entity
    told: Int[Tensor, "n F"]  # what each says in each feature asked about, alike where two say the same; 0 where one says nothing


@dataclass
class Step:
    """What one training step, or one question, reads: batches of several tables over shared entities and embedding rows."""

    batches: list[Batch]
    entities: dict[str, Block]
    distinct: Int[Tensor, " U"]  # rows of the fused table, each once
    inverse: Int[Tensor, " N"]  # for each id of the step, its place in `distinct`
    order: Int[Tensor, " N"]  # sorts `inverse`, stably
    starts: Int[Tensor, " U"]  # where the places of each row of `distinct` begin in `order`
    lengths: list[int]  # how many ids each block, bag and past brought, in the order of their `start`; they add up to N
    stretches: dict[str, Stretch] = field(default_factory=dict)  # auxiliary task -> what it reads
    things: dict[str, Things] = field(default_factory=dict)  # the same of those that ask about things

    def to(self, device: torch.device | str) -> "Step":
        """The same step with every tensor on `device`."""
        moved: Step = _moved(self, torch.device(device))
        return moved


def _moved(value: Any, device: torch.device) -> Any:
    if isinstance(value, Tensor):
        return value.to(device, non_blocking=True)
    if isinstance(value, dict):
        return {key: _moved(each, device) for key, each in value.items()}
    if isinstance(value, list):
        return [_moved(each, device) for each in value]
    if isinstance(value, tuple):
        return tuple(_moved(each, device) for each in value)
    if isinstance(value, (Step, Batch, Block, Bag, Past, Windows, Choice, Side, Label, Stretch, Things)):
        return type(value)(**{name: _moved(each, device) for name, each in vars(value).items()})
    return value
