"""A trunk: tokens of every source, and from a row's tokens one view for each answer. Knows neither heads nor losses.

A network has one, or one a group of tasks. Every part comes from its family by name.
"""

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from itertools import accumulate
from typing import cast

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from banyan import parts
from banyan.auxiliary import OfEvents, OfThings, Seen
from banyan.encoders._lookup import lookup
from banyan.errors import ConfigError
from banyan.features.columns import ID
from banyan.features.plan import Plan, readers
from banyan.features.stock import ITEM
from banyan.store.schema import ModelSpec
from banyan.trunk import newest, products
from banyan.trunk.gathered import gathered
from banyan.trunk.names import safe
from banyan.trunk.newest import Newest
from banyan.trunk.products import Products
from banyan.trunk.sources import Source
from banyan.types import Batch, Past, Sizes, Step, Stretch, Things, Windows
from banyan.wide import Pieces, Wide

PAIR_TOKENS = 2


@dataclass(frozen=True)
class Encoded:
    """What a step's rows share."""

    embedded: Mapping[int, Tensor]  # where a block, bag or past begins among the step's ids -> its embeddings, flat
    tokens: Mapping[str, Tensor]  # entity -> (n, S, D) tokens of its distinct rows; the missing entity's are the first
    summary: Tensor | None  # (items, D): one vector an item, for histories and their targets
    hidden: Mapping[str, Mapping[str, Tensor]] = field(default_factory=dict)  # entity -> feature -> (n, 1) which rows go without it in this step
    others: tuple["Encoded", ...] = ()  # the same from the further copies of the embedding tables; rankings compare with the first


class Trunk(nn.Module):
    """(Rows, embeddings) -> tokens -> views of one group of tasks."""

    def __init__(self, plan: Plan, spec: ModelSpec, parents: Sequence[int | None], tables: Sequence[str], stopped: Set[int] = frozenset()) -> None:
        """`parents`: of each view, the view of the funnel stage before it, or None. `tables`: those that move its embeddings. Views in `stopped` read the
        trunk and move only what they own.

        Draws its weights from torch's global generator.
        """
        super().__init__()
        self.plan, self.width, self.stopped = plan, spec.width, frozenset(stopped)
        self.reads = readers({name: plan.tables[name] for name in tables}, spec.width)
        self.copies = copies_of(spec, len(parents))
        width = spec.width
        layouts = {**plan.entities, "context": plan.context}
        self.sources = nn.ModuleDict({safe(name): Source(layout, width, spec.encoders) for name, layout in layouts.items() if layout.tokens})
        self.lengths = {name: len(layout.tokens) for name, layout in layouts.items() if layout.tokens}
        if not self.lengths:
            raise ConfigError("No entity and no samples table has a feature: there is nothing that a model could read.")
        if plan.has_past and spec.history is not None and ITEM in self.lengths:
            self.summary = nn.Linear(self.lengths[ITEM] * width, width)
            self.history = parts.build("history", spec.history, width)
            if not self.history.causal and (together := [name for name, table in plan.tables.items() if table.sequences]):
                raise ConfigError(f"samples.{together[0]}: `sequences` needs a history that is read event by event, such as model.history: transformer.")
            self.newest = Newest(self.lengths[ITEM] * width, width)
            self.lengths["history"] = 1 + newest.TOKENS
        if any(t.pair for t in plan.tables.values()) and plan.pair:
            self.pieces = Pieces(plan.pair_edges) if spec.pair_pieces else None
            inputs = len(plan.pair) + (0 if self.pieces is None else len(self.pieces.column))
            self.pair = nn.Sequential(nn.Linear(inputs, 4 * width), nn.ReLU(), nn.Linear(4 * width, PAIR_TOKENS * width))
            self.no_pair = nn.Parameter(torch.zeros(PAIR_TOKENS, width))
            self.lengths["pair"] = PAIR_TOKENS
        self.meets = Products(plan, self.lengths, width) if spec.products else None
        if self.meets is not None and self.meets.pairs:
            self.lengths["products"] = products.TOKENS
        self._compress(spec)
        self.cross = parts.build("cross", spec.cross, sum(self.lengths.values()), width) if spec.cross is not None else None
        if self.cross is not None and self.cross.extra:
            self.lengths["cross"] = self.cross.extra
        self.sizes = _sized(plan, self.copies, width, self.lengths, parents)
        self.sharing = parts.build("sharing", spec.sharing, self.sizes)
        height = self.sharing.width
        met = products.TOKENS * width if "products" in self.lengths else 0
        self.wide = Wide(plan, met, len(parents), height, pairs="pair" in self.lengths) if spec.wide else None

    def _compress(self, spec: ModelSpec) -> None:
        self.compressed, self.squeezed = nn.ModuleDict(), list(spec.compress)
        for slot, count in spec.compress.items():
            if slot not in self.lengths:
                raise ConfigError(f"model.compress: there is no slot {slot!r}; slots: {', '.join(self.lengths)}.")
            self.compressed[safe(slot)] = nn.Linear(self.lengths[slot] * self.width, count * self.width)
            self.lengths[slot] = count

    def encode(self, step: Step, leaf: Float[Tensor, "U D"]) -> Encoded:
        """Look all ids up and encode every distinct entity, once a step and copy of the embedding tables; all copies go through the same encoders."""
        first, *others = [self._encoded(step, each) for each in (leaf.chunk(self.copies, 1) if self.copies > 1 else [leaf])]
        return replace(first, others=tuple(others))

    def _encoded(self, step: Step, leaf: Float[Tensor, "U D"]) -> Encoded:
        """From one copy. One split, so that its backward is one concatenation."""
        pieces = torch.split(lookup(leaf, step.inverse, step.order, step.starts), step.lengths)
        embedded = dict(zip(accumulate(step.lengths, initial=0), pieces, strict=False))
        tokens, hidden = {}, {}
        for name, block in step.entities.items():
            if safe(name) in self.sources:
                source = self._source(name)
                hidden[name] = source.hides(block)
                tokens[name] = source(block, embedded, hidden[name])
        summary = self.summary(tokens[ITEM].flatten(1)) if "history" in self.lengths and ITEM in tokens else None
        return Encoded(embedded, tokens, summary, hidden)

    def _source(self, name: str) -> Source:
        return cast(Source, self.sources[safe(name)])  # a ModuleDict does not say what it holds

    def beside(self, encoded: Encoded, entity: str, tokens: Sequence[Float[Tensor, "m S D"]]) -> Encoded:
        """The same with further things of an entity behind those of the step: their tokens from each copy, as an earlier `encode` made them."""
        first, *others = [self._behind(each, entity, more) for each, more in zip((encoded, *encoded.others), tokens, strict=True)]
        return replace(first, others=tuple(others))

    def _behind(self, encoded: Encoded, entity: str, more: Tensor) -> Encoded:
        whole = torch.cat([encoded.tokens[entity], more])
        summary = encoded.summary
        if entity == ITEM and summary is not None:
            summary = torch.cat([summary, self.summary(more.flatten(1))])
        return replace(encoded, tokens={**encoded.tokens, entity: whole}, summary=summary)

    def tokens(self, batch: Batch, encoded: Encoded) -> Float[Tensor, "B S D"]:
        """Every token of every row, the copies of it side by side; a slot that the table lacks holds the tokens of the missing entity."""
        return self._beside(self._slots(batch, each) for each in (encoded, *encoded.others))

    def _beside(self, copies: Iterable[Mapping[str, Tensor]]) -> Float[Tensor, "B S D"]:
        found = [self._joined(slots) for slots in copies]
        return found[0] if len(found) == 1 else torch.cat(found, 2)

    def _slots(self, batch: Batch, encoded: Encoded) -> dict[str, Tensor]:
        """Slot -> (B, its tokens, D)."""
        n = batch.rows
        slots = {name: self.entity(name, batch, encoded).expand(n, -1, -1) for name in encoded.tokens}
        if "context" in self.sources:
            slots["context"] = self.context(batch, encoded).expand(n, -1, -1)
        if "history" in self.lengths:
            slots["history"] = torch.cat([self.past(batch, encoded).expand(n, -1).unsqueeze(1), self.latest(batch, encoded).expand(n, -1, -1)], 1)
        if "pair" in self.lengths:
            slots["pair"] = self.no_pair.expand(n, -1, -1) if batch.pair is None else self.paired(batch.pair)
        if "products" in self.lengths and self.meets is not None:
            slots["products"] = self.meets(slots, batch)
        return slots

    def entity(self, name: str, batch: Batch, encoded: Encoded) -> Float[Tensor, "B S D"]:
        """An entity's tokens in each row; in one, where all rows have the same."""
        each = encoded.tokens[name]
        if name not in batch.entities:
            return each[:1]
        if name in self.reads.get(batch.table, ()) and ID in self.plan.entities[name].categories:
            ids = torch.zeros_like(each[:, :1]) if self.nameless(name, batch.table) else each[:, :1].detach()
            each = torch.cat([ids, each[:, 1:]], 1)
        return gathered(each, batch.entities[name])

    def nameless(self, name: str, table: str) -> bool:
        """Whether a table's rows read zeros as an entity's id: where no table of this network moves ids, random numbers tell rows apart."""
        if name not in self.reads.get(table, ()) or ID not in self.plan.entities[name].categories:
            return False
        return not ((name == ITEM and "history" in self.lengths) or any(name in self.plan.tables[t].named and name not in r for t, r in self.reads.items()))

    def context(self, batch: Batch, encoded: Encoded) -> Float[Tensor, "B S D"]:
        """The context's tokens."""
        found: Tensor = self._source("context")(batch.context, encoded.embedded)
        return found

    def latest(self, batch: Batch, encoded: Encoded) -> Float[Tensor, "B S D"]:
        """The tokens of the newest event; in one row, where all have the same past."""
        rows = 1 if batch.past is None else batch.rows if isinstance(batch.past, Windows) else len(batch.past.items)
        found: Tensor = self.newest(batch.past, encoded.tokens.get(ITEM), rows)
        return found

    def paired(self, pair: Float[Tensor, "B P"]) -> Float[Tensor, "B K D"]:
        """The pair tokens; with `pair_pieces` the numbers are read as they are and as pieces."""
        numbers = pair if self.pieces is None else torch.cat([pair, self.pieces(pair)], 1)
        found: Tensor = self.pair(numbers)
        return found.view(len(pair), PAIR_TOKENS, self.width)

    def _joined(self, slots: Mapping[str, Tensor]) -> Float[Tensor, "B S D"]:
        """The slots side by side, those compressed that shall be, then the cross."""
        small = {name: self.compressed[safe(name)](slots[name].flatten(1)).unflatten(1, (-1, self.width)) for name in self.squeezed}
        slots = {**slots, **small}
        x = torch.cat([slots[name] for name in self.lengths if name in slots], 1) if len(slots) > 1 else next(iter(slots.values()))
        return x if self.cross is None else self.cross(x)

    def past(self, batch: Batch, encoded: Encoded) -> Float[Tensor, "B D"]:
        """The history token; a row without a past is one without events. One for all rows where they share a past that is read without a target."""
        summary = encoded.summary
        assert summary is not None
        if batch.past is None:
            none = summary.new_zeros(1, 1, self.width)
            token: Tensor = self.history(none, none[..., 0], none[..., 0] > 0, None)
            return token
        past = batch.past
        if isinstance(past, Windows):
            return self._positions(past, encoded)
        (tokens, gaps, mask), target = self.events(past, encoded), None
        if self.history.aimed and ITEM in batch.entities:
            target, n = gathered(summary, batch.entities[ITEM]).expand(batch.rows, -1), batch.rows
            tokens, gaps, mask = tokens.expand(n, -1, -1), gaps.expand(n, -1), mask.expand(n, -1)
        seen: Tensor = self.history(tokens, gaps, mask, target)
        return seen

    def events(self, past: Past, encoded: Encoded) -> tuple[Float[Tensor, "B L D"], Float[Tensor, "B L"], Bool[Tensor, "B L"]]:
        """(Tokens, gaps, mask) of the events of pasts."""
        assert encoded.summary is not None
        behaviours = encoded.embedded[past.behaviours].view(*past.items.shape, self.width)
        return gathered(encoded.summary, past.items) + behaviours, past.gaps, past.mask

    def _positions(self, windows: Windows, encoded: Encoded) -> Float[Tensor, "B D"]:
        """The history token of rows that share windows: what is known after each one's newest event."""
        assert encoded.summary is not None
        states = []
        for past in windows.parts:
            behaviours = encoded.embedded[past.behaviours].view(*past.items.shape, self.width)
            states.append(self.history.positions(gathered(encoded.summary, past.items) + behaviours, past.gaps, past.mask).flatten(0, 1))
        return torch.where(windows.at[:, None] >= 0, gathered(torch.cat(states), windows.at.clamp(min=0)), self.history.empty)

    def asked(self, part: OfEvents, stretch: Stretch, encoded: Encoded) -> Float[Tensor, ""]:
        """The loss of an auxiliary task on its stretches, read by this trunk's items and history."""
        assert encoded.summary is not None
        views = []
        for past, hidden in zip(stretch.pasts, stretch.hidden, strict=True):
            behaviours = encoded.embedded[past.behaviours].view(*past.items.shape, self.width)
            views.append(Seen(gathered(encoded.summary, past.items), behaviours, past.gaps, past.mask, hidden))
        candidates = None if stretch.choice is None else gathered(encoded.tokens[ITEM].flatten(1), stretch.choice.items)
        loss: Tensor = part(views, lambda tokens, seen: self.history(tokens, seen.gaps, seen.mask, None), stretch, candidates)
        return loss

    def compared(self, part: OfThings, things: Things, encoded: Encoded) -> Float[Tensor, ""]:
        """The loss of an auxiliary task on things, as this trunk reads them. A feature that a thing goes without in this step says nothing."""
        names, told = self.plan.entities[things.entity].tokens, things.told
        for key, hidden in encoded.hidden[things.entity].items():
            if key in part.features:
                told = told.clone()
                told[:, part.features.index(key)].masked_fill_(hidden[things.places, 0], 0)
        columns = torch.tensor([names.index(feature) for feature in part.features], device=told.device)
        loss: Tensor = part(encoded.tokens[things.entity][things.places[:, None], columns], told)
        return loss

    def views(self, batch: Batch, encoded: Encoded, wanted: Sequence[int]) -> Float[Tensor, "V B H"]:
        """The views asked for, on one batch. Those in `stopped` let no gradient through to the tokens, nor to a parameter that is not their own."""
        copies = [self._slots(batch, each) for each in (encoded, *encoded.others)]
        x, met = self._beside(copies), copies[0].get("products")
        if not (self.stopped and torch.is_grad_enabled()):
            return self.straight(batch, self.sharing(x, batch.scenario, wanted), wanted, met)
        moving, still = ([v for v in wanted if (v in self.stopped) == stop] for stop in (False, True))
        found = dict(zip(moving, self.straight(batch, self.sharing(x, batch.scenario, moving), moving, met), strict=True)) if moving else {}
        if still:
            own = {id(p) for view in still for p in self.sharing.owned(view)}
            weights = {key: p if id(p) in own else p.detach() for key, p in self.sharing.named_parameters()}
            views = torch.func.functional_call(self.sharing, weights, (x.detach(), batch.scenario, still))
            found |= zip(still, self.straight(batch, views, still, None if met is None else met.detach()), strict=True)
        return torch.stack([found[view] for view in wanted])

    def straight(self, batch: Batch, views: Float[Tensor, "V B H"], numbers: Sequence[int], products: Tensor | None) -> Float[Tensor, "V B H"]:
        """The views with what comes past the experts."""
        return views if self.wide is None else views + self.wide(batch, numbers, products)


def copies_of(spec: ModelSpec, views: int) -> int:
    """How many copies of the embedding tables the sharing architecture wants."""
    found: int = parts.find("sharing", parts.spec(spec.sharing)[0]).copies(views)
    return found


def _sized(plan: Plan, copies: int, width: int, lengths: Mapping[str, int], parents: Sequence[int | None]) -> Sizes:
    slots, place = {}, 0
    for name, length in lengths.items():
        slots[name] = slice(place, place + length)
        place += length
    return Sizes(slots, copies * width, len(parents), tuple(parents), len(plan.scenarios), copies)
