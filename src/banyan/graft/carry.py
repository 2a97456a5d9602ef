"""Copies what two networks have in common, entry by entry, and says what moved, what is new and what was left behind."""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field

import numpy as np
import polars as pl
import torch
from torch import Tensor

from banyan import parts
from banyan.errors import ConfigError
from banyan.features.plan import Plan
from banyan.features.vocabulary import EMPTY, FIRST, UNSEEN
from banyan.graft.alike import Alike
from banyan.graft.names import CONTEXT, Described, named, numbers, things
from banyan.graft.probe import Axes, Labels
from banyan.types import Array

EMBEDDINGS = "embeddings.weight"


@dataclass
class Move:
    """What became of one part of the new network."""

    part: str
    moved: int = 0  # numbers that begin as the bundle's
    new: int = 0  # numbers that begin as training would start them
    why: str = ""

    def row(self) -> tuple[str, int, int, str]:
        """As a line of a table."""
        return self.part, self.moved, self.new, self.why


@dataclass
class Carried:
    """The masks of what moved (weight -> True at the entries that begin as the bundle's), and the lines that say so."""

    masks: dict[str, Tensor] = field(default_factory=dict)
    moves: list[Move] = field(default_factory=list)


def carry(new: Described, old: Described, alike: Alike) -> Carried:
    """Give the new network what the bundle's has of the same things. Raises ConfigError where nothing can move."""
    if new.spec.width != old.spec.width:
        raise ConfigError(
            f"model.width is {new.spec.width} and the bundle's is {old.spec.width}: vectors of two lengths have nothing in common. "
            f"Train with --set model.width={old.spec.width}, or without --start-from."
        )
    found = Carried()
    with torch.no_grad():
        _dense(found, new, old, alike)
        _embeddings(found, new, old, alike)
    if not any(move.moved for move in found.moves):
        raise ConfigError("Nothing of the bundle has a place in this store's model: no feature, no layer and no task is common to both.")
    return found


def _dense(found: Carried, new: Described, old: Described, alike: Alike) -> None:
    here = named(new, alike.renamed, _paired(new, old))
    there = named(old)
    state, theirs = new.network.state_dict(), old.network.state_dict()
    by_name = {name: key for key, name in there.names.items()}
    lines: dict[str, Move] = {}
    for key, name in here.names.items():
        line = lines.setdefault(part_of(key), Move(part_of(key)))
        value, source = state[key], by_name.get(name)
        mask = torch.zeros(value.shape, dtype=torch.bool)
        if source is None:
            line.why = line.why or _absent(name, new, old)
        else:
            places = _places(here, key, there, source, value.shape, theirs[source].shape)
            if isinstance(places, str):
                line.why = line.why or places
            else:
                _copy(value, theirs[source].to(value.device), places, mask)
                if mask.numel() and not mask.any():
                    line.why = line.why or "what it reads, or answers, stands otherwise there"
        found.masks[key] = mask.to(value.device)
        line.moved += int(mask.sum())
        line.new += int(mask.numel() - mask.sum())
    found.moves += lines.values()
    gone = sorted({part_of(key) for key, name in there.names.items() if name not in set(here.names.values())} - {line.part for line in lines.values()})
    found.moves += [Move(part, 0, 0, "left behind: this store's model has no such part") for part in gone]


def _paired(new: Described, old: Described) -> list[int]:
    """For each trunk, the bundle's that serves most of the same tasks."""
    shared = [[len(set(mine) & set(theirs)) for theirs in old.network.groups] for mine in new.network.groups]
    return [int(np.argmax(each)) for each in shared]


def _places(here: Axes, key: str, there: Axes, source: str, shape: torch.Size, other: torch.Size) -> list[tuple[Array, Array]] | str:
    """For each axis (places here, places there) of what both have; or why nothing can be told to be the same."""
    if len(shape) != len(other):
        return "another shape there"
    found = []
    for axis, (mine, theirs) in enumerate(zip(here.labels[key], there.labels[source], strict=True)):
        if mine is None or theirs is None:
            if shape[axis] != other[axis]:
                return f"size {shape[axis]} here, {other[axis]} there"
            found.append((np.arange(shape[axis]), np.arange(shape[axis])))
        else:
            found.append(_common(mine, theirs))
    return found


def _common(mine: Labels, theirs: Labels) -> tuple[Array, Array]:
    place = {label: i for i, label in enumerate(theirs)}
    both = [(i, place[label]) for i, label in enumerate(mine) if label in place]
    return np.array([a for a, _ in both], np.int64), np.array([b for _, b in both], np.int64)


def _copy(value: Tensor, source: Tensor, places: list[tuple[Array, Array]], mask: Tensor) -> None:
    if not places:  # a single number
        value.copy_(source)
        mask.fill_(True)
        return
    to = np.ix_(*(a for a, _ in places))
    of = np.ix_(*(b for _, b in places))
    if all(len(a) for a, _ in places):
        value[tuple(torch.from_numpy(each) for each in to)] = source[tuple(torch.from_numpy(each) for each in of)].to(value.dtype)
        mask[tuple(torch.from_numpy(each) for each in to)] = True


def _absent(name: Hashable, new: Described, old: Described) -> str:
    at = name[0] if isinstance(name, tuple) else None
    if isinstance(at, tuple) and at[0] == "task":
        task, kind = at[1], at[2]
        if task in old.tasks and old.tasks[task].kind != kind:
            return f"{kind} here, {old.tasks[task].kind} there"
        return "no such task there" if task not in old.tasks else "built otherwise there"
    if isinstance(at, tuple) and isinstance(at[0], tuple):
        family, part = at[1], at[2]
        theirs = getattr(old.spec, family)
        other = None if theirs is None else parts.spec(theirs)[0]
        return f"{family} {part} here, {other or 'none'} there" if other != part else "no such task there"
    return "nothing of the kind there"


def part_of(key: str) -> str:
    """The part of a network, in people's words, that a weight belongs to."""
    words = key.split(".")
    if words[0] != "trunks":
        return {"tasks": f"head of {words[1].rstrip('·')}", "item_vector": "item vectors", "embeddings": "embeddings"}.get(words[0], words[0])
    place = "" if words[1] == "0" else f" (trunk {int(words[1]) + 1})"
    if words[2] == "sources":
        return f"encoders of {words[3].rstrip('·')}{place}"
    return {"summary": "history", "newest": "history", "pair": "pair features", "no_pair": "pair features", "meets": "products", "wide": "linear path"}.get(
        words[2], words[2]
    ) + place


def _embeddings(found: Carried, new: Described, old: Described, alike: Alike) -> None:
    """Rows by value, bin or bucket."""
    weight, theirs = new.network.embeddings.weight, old.network.embeddings.weight.to(new.network.embeddings.weight.device)
    mask = torch.zeros(weight.shape, dtype=torch.bool, device=weight.device)
    if weight.shape[1] != theirs.shape[1]:
        why = f"{weight.shape[1]} numbers a row here, {theirs.shape[1]} there: groups or copies of the tables differ"
        found.moves.append(Move("embeddings", 0, weight.numel(), why))
        found.masks[EMBEDDINGS] = mask
        return
    done: Array = np.zeros(len(weight), bool)
    for name, book in new.plan.books.items():
        other = old.plan.books[alike.books[name]] if name in alike.books else None
        if other is None:
            found.moves.append(Move(f"values of {name}", 0, len(book.values), "new: no such feature there"))
            continue
        pairs = _values(book.values, other.values) if alike.ids.get(name, True) else (np.zeros(0, np.int64),) * 2
        here = np.concatenate([[EMPTY, UNSEEN], FIRST + pairs[0]]) + book.offset
        weight[torch.from_numpy(here)] = theirs[torch.from_numpy(np.concatenate([[EMPTY, UNSEEN], FIRST + pairs[1]]) + other.offset)]
        fresh = np.setdiff1d(np.arange(len(book)) + book.offset, here)
        weight[torch.from_numpy(fresh)] += theirs[other.unseen]  # drawn as training starts them, around what the bundle answers strangers by
        done[here] = True
        gone = len(other.values) - len(pairs[0])
        found.moves.append(Move(f"values of {name}", len(pairs[0]), len(fresh), f"{gone:,} known to the bundle alone" if gone else ""))
    for mine, start in _runs(new.plan, old.plan, alike):
        weight[mine.start : mine.stop] = theirs[start : start + mine.stop - mine.start]
        done[mine.start : mine.stop] = True
    mask[torch.from_numpy(done)] = True
    found.masks[EMBEDDINGS] = mask
    loose = done.sum() - sum(move.moved for move in found.moves if move.part.startswith("values of ")) - 2 * len(alike.books)
    found.moves.append(Move("bins of numbers and hashed words", int(max(loose, 0)), _loose(new.plan) - int(max(loose, 0))))


def _values(mine: list[str], theirs: list[str]) -> tuple[Array, Array]:
    """(Places here, places there) of the values that both know."""
    here, there = (pl.DataFrame({"value": pl.Series(each, dtype=pl.String)}).with_row_index(name) for name, each in (("here", mine), ("there", theirs)))
    both = here.join(there, on="value", maintain_order="left")
    return both["here"].to_numpy().astype(np.int64), both["there"].to_numpy().astype(np.int64)


def _loose(plan: Plan) -> int:
    """Rows that are no value of a vocabulary."""
    return plan.rows - sum(len(book) for book in plan.books.values())


def _runs(new: Plan, old: Plan, alike: Alike) -> list[tuple[slice, int]]:
    """(Rows here, where they begin there) of bins and hashed n-grams that mean the same in both."""
    found = []
    others = {**old.entities, CONTEXT: old.context}
    for slot, layout in {**new.entities, CONTEXT: new.context}.items():
        theirs = {each.name: each for each in others[slot].numbers} if slot in others else {}
        for thing, number in zip(numbers(slot, layout), layout.numbers, strict=True):
            if thing in alike.kept:
                found.append((slice(number.offset, number.offset + len(number.edges) + 1), theirs[number.name].offset))
        for thing in things(slot, layout):
            if thing[1] == "text" and thing in alike.renamed:
                offset, buckets = layout.texts[thing[2]]
                found.append((slice(offset, offset + buckets), others[slot].texts[alike.renamed[thing][2]][0]))
    return found


def table(moves: list[Move]) -> list[Mapping[str, object]]:
    """The moves as JSON-able rows."""
    return [{"part": m.part, "moved": m.moved, "new": m.new, "why": m.why} for m in moves]
