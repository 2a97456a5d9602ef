"""ONE ROW, MANY ITEMS -> VIEWS, as `Trunk.views` gives them, for answers only: what the row brings is multiplied once, what an item brings, ahead.

Most sharing architectures begin with a linear layer over a row's tokens side by side, W x = sum over slots of W_slot x_slot. Of a question about many
items the user, the context and the newest events are the same in each row, and an item's tokens are the same in each question; for each pair of both there
remain the past as the item sees it, the pair features and the products.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from banyan.features.stock import ITEM
from banyan.trunk import Encoded, Trunk
from banyan.trunk.names import safe
from banyan.types import Batch, Past

HISTORY, PAIR, PRODUCTS = "history", "pair", "products"
Known = dict[tuple[int, str, int], Tensor]  # (trunk, slot, what it was made of) -> tokens
Read = tuple[Tensor, Tensor, Tensor]  # tokens (1, L, D) of the past's events, gaps and mask (1, L)


@dataclass(frozen=True)
class Brought:
    """What a row brings, whatever the item."""

    entry: Float[Tensor, "1 R"]  # its share of the first layer's values
    past: Read | None  # its events, where they are read as the item sees them
    token: Float[Tensor, "1 D"] | None  # in their place where there are none
    meets: Float[Tensor, "1 M"] | None  # what the products multiply an item's side with
    met: Float[Tensor, "1 M"] | None  # what its own things make of each other
    fixed: Float[Tensor, "1 V H"] | None  # what the linear path makes of its context


class About:
    """Rows of one table about many items, read by one trunk for some of its views."""

    def __init__(self, trunk: Trunk, table: str, views: Sequence[int], entry: tuple[Tensor, Tensor], *, aimed: bool) -> None:
        """`entry` of the trunk's sharing architecture for these views; `aimed`: whether a past may be read as the item sees it. Use `about`, which says
        when this cannot be.
        """
        self.trunk, self.table, self.views = trunk, table, list(views)
        columns, self.bias = self._columns(*entry)
        self.aimed = aimed and HISTORY in columns and trunk.history.aimed
        self.straight = trunk.wide.weights(views) if trunk.wide is not None else None
        self.still = [name for name in columns if name not in (ITEM, PAIR, PRODUCTS)]  # slots that are the same in each row
        width = trunk.width
        kept = {name: each[:, width:] if name == HISTORY and self.aimed else each for name, each in columns.items()}
        moving = [*([columns[HISTORY][:, :width]] if self.aimed else []), *(columns[name] for name in (PAIR, PRODUCTS) if name in columns)]
        self.of_row = torch.cat([kept[name] for name in self.still], 1).T.contiguous() if self.still else None
        self.of_both = torch.cat(moving, 1).T.contiguous() if moving else None
        self.of_item, self.item_bias, self.widths = self._of_item(columns[ITEM])

    def _columns(self, weight: Tensor, bias: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        """(Slot -> what its tokens are multiplied with before they are compressed, the bias)."""
        trunk, found, place = self.trunk, dict[str, Tensor](), 0
        for slot, length in trunk.lengths.items():
            part = weight[:, place : place + length * trunk.width]
            place += length * trunk.width
            if slot in trunk.squeezed:
                small = cast(nn.Linear, trunk.compressed[safe(slot)])
                bias, part = bias + part @ small.bias, part @ small.weight
            found[slot] = part
        return found, bias

    def _of_item(self, entry: Tensor) -> tuple[Tensor, Tensor, list[int]]:
        """All that is linear in an item's tokens, one below the other: its share of the first layer, its side of the products, its summary."""
        trunk = self.trunk
        parts = [(entry, entry.new_zeros(len(entry)))]
        if trunk.meets is not None and safe(ITEM) in trunk.meets.project:
            project = cast(nn.Linear, trunk.meets.project[safe(ITEM)])
            parts.append((project.weight, project.bias))
        if ITEM in trunk.plan.tables[self.table].entities and trunk.nameless(ITEM, self.table):
            seen = torch.arange(entry.shape[1], device=entry.device) >= trunk.width
            parts = [(weight * seen, bias) for weight, bias in parts]
        if self.aimed:
            parts.append((trunk.summary.weight, trunk.summary.bias))
        weights, biases = zip(*parts, strict=True)
        return torch.cat(weights).T.contiguous(), torch.cat(biases), [len(each) for each in biases]

    def of_items(self, tokens: Float[Tensor, "n S D"]) -> Float[Tensor, "n W"]:
        """What items bring, from their tokens."""
        return torch.addmm(self.item_bias, tokens.flatten(1), self.of_item)

    def brought(self, batch: Batch, encoded: Encoded, known: Known) -> Brought:
        """What a table's one row brings. `known`: tokens that other tables' rows of the same question have in common with it; what is new joins them."""
        trunk = self.trunk
        slots = {name: trunk.entity(name, batch, encoded) for name in encoded.tokens if name != ITEM}
        if "context" in trunk.sources:
            slots["context"] = self._once(known, "context", batch.context, lambda: trunk.context(batch, encoded))
        past, token = None, None
        if HISTORY in trunk.lengths:
            newest = self._once(known, "newest", batch.past, lambda: trunk.latest(batch, encoded))
            past = trunk.events(batch.past, encoded) if self.aimed and isinstance(batch.past, Past) else None
            token = None if past is not None else trunk.past(batch, encoded)
            slots[HISTORY] = newest if self.aimed or token is None else torch.cat([token.unsqueeze(1), newest], 1)
        entry = self.bias.unsqueeze(0)
        if self.of_row is not None:
            entry = torch.addmm(entry, torch.cat([slots[name].flatten(1) for name in self.still], 1), self.of_row)
        meets, met = trunk.meets.apart(slots, batch, ITEM) if PRODUCTS in trunk.lengths and trunk.meets is not None else (None, None)
        fixed = None if trunk.wide is None else trunk.wide.fixed(batch, self.views)
        return Brought(entry, past, token if self.aimed else None, meets, met, None if fixed is None else fixed.transpose(0, 1))

    def _once(self, known: Known, slot: str, of: object, make: Callable[[], Tensor]) -> Tensor:
        key = id(self.trunk), slot, id(of)
        if key not in known:
            known[key] = make()
        return known[key]

    def __call__(self, row: Brought, batch: Batch, things: Float[Tensor, "K W"]) -> Float[Tensor, "V K H"]:
        """The views of a row about K items: `batch` is `Batch.about` them, `things` what they bring."""
        trunk, n = self.trunk, len(things)
        out, *rest = torch.split(things, self.widths, 1)
        moving = []
        if self.aimed:
            moving.append(self._past(row, rest[-1], n))
        if PAIR in trunk.lengths:
            moving.append(trunk.no_pair.flatten().expand(n, -1) if batch.pair is None else trunk.paired(batch.pair).flatten(1))
        met = None
        if trunk.meets is not None and row.meets is not None and row.met is not None:
            met = torch.addcmul(row.met, row.meets, rest[0]) if safe(ITEM) in trunk.meets.project else row.met.expand(n, -1)
            moving.append(met)
        fresh = self.of_both is not None
        if self.of_both is not None:
            out = torch.addmm(out, torch.cat(moving, 1), self.of_both)
        found: Tensor = trunk.sharing.entered(out.add_(row.entry) if fresh else out + row.entry, batch.scenario, self.views)
        return found if self.straight is None else self._linear(found, row, batch.pair, met)

    def _linear(self, found: Tensor, row: Brought, pair: Tensor | None, met: Tensor | None) -> Float[Tensor, "V K H"]:
        """The views with what the linear path adds to them."""
        wide, straight = self.trunk.wide, self.straight
        assert wide is not None
        assert straight is not None
        own, by_row = len(straight) - wide.met.shape[1], found.transpose(0, 1)
        inputs = [pair, wide.pieces(pair)] if wide.pairs and pair is not None else []
        weights = straight if inputs else straight[own:]
        if met is not None:
            inputs.append(met)
        elif inputs:
            weights = straight[:own]
        if inputs:
            by_row = by_row + (torch.cat(inputs, 1) @ weights).view(len(by_row), len(self.views), -1)
        return (by_row if row.fixed is None else by_row + row.fixed).transpose(0, 1)

    def _past(self, row: Brought, summary: Tensor, n: int) -> Float[Tensor, "K D"]:
        if row.past is None:
            assert row.token is not None
            return row.token.expand(n, -1)
        tokens, gaps, mask = row.past
        token: Tensor = self.trunk.history(tokens.expand(n, -1, -1), gaps.expand(n, -1), mask.expand(n, -1), summary)
        return token


def about(trunk: Trunk, table: str, views: Sequence[int], *, aimed: bool = True) -> About | None:
    """None where a row cannot be taken apart: where slots are crossed, the embeddings have copies, or the sharing architecture names no entry."""
    if trunk.cross is not None or trunk.copies > 1 or ITEM not in trunk.lengths:
        return None
    entry = trunk.sharing.entry(views)
    return None if entry is None else About(trunk, table, views, entry, aimed=aimed)
