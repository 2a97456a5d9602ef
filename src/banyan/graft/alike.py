"""What two stores have in common, found by name and content: features, their values, and the things that ids name."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import polars as pl

from banyan.errors import ConfigError
from banyan.features.columns import ID, Layout
from banyan.features.numbers import Number
from banyan.features.plan import BEHAVIOUR, SCENARIO, Plan
from banyan.features.stock import Stock
from banyan.features.vocabulary import FIRST, Vocabulary
from banyan.graft.names import CONTEXT, Thing, numbers, things
from banyan.store.hints import hint
from banyan.store.shop import EntityFrame, Shop

SOME, HALF = 0.1, 0.5  # shares of a feature's values that the other store knows: enough beside a common name, enough without one
LOOKED_AT = 5_000  # ids named by both whose descriptions are compared
AGREE = 0.5  # of the way from agreement by chance to full agreement


@dataclass
class Alike:
    """What a new store's plan shares with a bundle's."""

    renamed: dict[Thing, Thing] = field(default_factory=dict)  # of the new store -> of the bundle
    books: dict[str, str] = field(default_factory=dict)  # vocabulary of the new store -> of the bundle
    ids: dict[str, bool] = field(default_factory=dict)  # vocabulary of own ids -> whether both stores name the same things by them
    why: dict[str, str] = field(default_factory=dict)  # `slot.feature` -> how it was found, or why not
    kept: set[Thing] = field(default_factory=set)  # numbers that keep the bundle's scale and bins

    def said(self) -> list[tuple[str, str, str]]:
        """(Feature here, feature there, how it was found)."""
        there = {f"{slot}.{key}": f"{of[0]}.{of[2]}" for (slot, _, key), of in self.renamed.items()}
        return [(here, there.get(here, ""), why) for here, why in self.why.items()]


def adapt(plan: Plan, shop: Shop, old: Plan, stock: Stock, share: Mapping[str, bool] | None = None) -> Alike:
    """Find what both have, and let the new plan know what the bundle knows: values, scales and bins. Renumbers the plan's rows.

    `share` (`slot.feature` -> yes or no) overrules what is found. Raises ConfigError for a feature that the store has not.
    """
    found, share = Alike(), dict(share or {})
    layouts, others = {**plan.entities, CONTEXT: plan.context}, {**old.entities, CONTEXT: old.context}
    _known(layouts, share)
    for slot, layout in layouts.items():
        other = others.get(slot, Layout(slot))
        _ids(found, slot, shop, plan, old, stock, share.get(f"{slot}.{ID}"))
        _features(found, slot, (layout, plan.books), (other, old.books), share)
        for number in layout.numbers:
            _number(found, slot, number, other, share.get(f"{slot}.{number.name}"))
        _ages(found, slot, layout, other)
    if BEHAVIOUR in plan.books and BEHAVIOUR in old.books:
        found.books[BEHAVIOUR] = BEHAVIOUR
    for name, theirs in found.books.items():
        if name not in (SCENARIO, BEHAVIOUR):
            _widen(plan.books[name], old.books[theirs], shop, found.ids.get(name))
    _anchors(plan)
    plan.number_rows()
    return found


def edges(plan: Plan, old: Plan) -> list[list[float]]:
    """The edges of the new plan's pair features: the bundle's where it has a feature of the name, so that its pieces mean what they meant."""
    known = dict(zip(old.pair, old.pair_edges, strict=True))
    return [known.get(name, own) for name, own in zip(plan.pair, plan.pair_edges, strict=True)]


def _known(layouts: Mapping[str, Layout], share: Mapping[str, bool]) -> None:
    names = [f"{slot}.{key}" for slot, each in layouts.items() for _, kind, key in (*things(slot, each), *numbers(slot, each)) if kind != "numbers"]
    if wrong := [name for name in share if name not in names]:
        raise ConfigError(f"--share {wrong[0]}: the store has no such feature.{hint(wrong[0], names)}")


def _features(
    found: Alike, slot: str, here: tuple[Layout, Mapping[str, Vocabulary]], there: tuple[Layout, Mapping[str, Vocabulary]], share: dict[str, bool]
) -> None:
    """Pair the tokens of one slot; numbers, which are one token together, meet one by one."""
    mine = [t for t in things(slot, here[0]) if t[1] != "numbers" and t[2] != ID]
    free = [t for t in things(slot, there[0]) if t[1] != "numbers" and t[2] != ID]
    if here[0].numbers and there[0].numbers:
        found.renamed[slot, "numbers", "numbers"] = (slot, "numbers", "numbers")
    ranked = sorted(
        ((_likeness(a, b, here, there), a, b) for a in mine for b in free if a[1] == b[1] and share.get(f"{slot}.{a[2]}") is not False),
        key=lambda each: (-each[0][0], mine.index(each[1]), free.index(each[2])),
    )
    for (score, why), a, b in ranked:
        wanted = share.get(f"{slot}.{a[2]}")
        if a in found.renamed or b in found.renamed.values() or (score <= 0 and not (wanted and a[2] == b[2])):
            continue
        found.renamed[a] = b
        found.why[f"{slot}.{a[2]}"] = "shared as asked" if wanted else why
        if (book := _book(here[0], a)) and (other := _book(there[0], b)):
            found.books.setdefault(book, other)
    for a in mine:
        if a not in found.renamed:
            found.why[f"{slot}.{a[2]}"] = _without(a, free, here[0], there[0], share.get(f"{slot}.{a[2]}"))


def _likeness(a: Thing, b: Thing, here: tuple[Layout, Mapping[str, Vocabulary]], there: tuple[Layout, Mapping[str, Vocabulary]]) -> tuple[float, str]:
    """(How much two features of a kind are one, 0 for not at all; in words)."""
    same = a[2] == b[2]
    book, other = _book(here[0], a), _book(there[0], b)
    if book and other:
        values = here[1][book].values
        known = len(_common(values, there[1][other].values)) / len(values) if values else 0.0
        said = f"{known:.0%} of its values known"
        if same:
            return (2.0 + known, f"by name, {said}") if known >= SOME else (0.5 + known, f"by name alone, {said}")
        return (1.0 + known, f"by content as {b[2]}, {said}") if known >= HALF else (0.0, "")
    if not same or _size(here[0], a) != _size(there[0], b):
        return 0.0, ""
    return 3.0, "by name and kind"


def _without(a: Thing, free: Sequence[Thing], here: Layout, there: Layout, wanted: bool | None) -> str:
    if wanted is False:
        return "left apart as asked"
    named = next((b for b in free if b[2] == a[2]), None)
    if named is None:
        return "new: the bundle knows no such feature"
    if named[1] != a[1]:
        return f"new: a {a[1]} here, a {named[1]} there"
    if _size(here, a) != _size(there, named):
        return f"new: {_size(here, a)} entries here, {_size(there, named)} there"
    return "new: the bundle's feature of this name is another one's"


def _book(layout: Layout, thing: Thing) -> str | None:
    return layout.categories.get(thing[2]) if thing[1] == "category" else layout.tags.get(thing[2]) if thing[1] == "tags" else None


def _size(layout: Layout, thing: Thing) -> int:
    return layout.texts[thing[2]][1] if thing[2] in layout.texts else layout.dense[thing[2]][1] if thing[2] in layout.dense else 0


def _ids(found: Alike, slot: str, shop: Shop, plan: Plan, old: Plan, stock: Stock, wanted: bool | None) -> None:
    """Whether an entity's own ids name the same things in both."""
    if slot not in plan.entities or ID not in plan.entities[slot].categories:
        return
    book, thing = plan.entities[slot].categories[ID], (slot, "category", ID)
    if slot not in old.entities or ID not in old.entities[slot].categories:
        found.why[f"{slot}.{ID}"] = "new: the bundle has no such ids"
        return
    found.renamed[thing], found.books[book] = thing, old.entities[slot].categories[ID]
    if wanted is None:
        found.ids[book], found.why[f"{slot}.{ID}"] = _same_things(slot, shop.entities[slot], old, stock)
    else:
        found.ids[book], found.why[f"{slot}.{ID}"] = wanted, "shared as asked" if wanted else "left apart as asked"


def _same_things(slot: str, mine: EntityFrame, old: Plan, stock: Stock) -> tuple[bool, str]:
    """By what is said of ids that both know: the same category far oftener than by chance."""
    theirs = pl.DataFrame({"id": pl.Series(stock.ids[slot], dtype=pl.String), "there": np.arange(1, len(stock.ids[slot]) + 1)}).unique("id", keep="last")
    ids = pl.DataFrame({"id": pl.Series(mine.ids, dtype=pl.String), "here": np.arange(len(mine.ids))}).unique("id", keep="last")
    both = ids.join(theirs, on="id").sort("id").head(LOOKED_AT)
    if not len(both):
        return False, "no id of the one is known to the other"
    layout = old.entities[slot]
    named = [key for key in layout.categories if key != ID and key in mine.frame.columns and mine.frame[key].dtype == pl.String]
    found = [each for key in named if (each := _agreement(mine.frame[key], both, layout.categories[key], old, stock, slot, key)) is not None]
    if not found:
        return False, f"{len(both):,} ids are named by both, and no feature tells whether they are the same things; --share {slot}.{ID}=yes where they are"
    agree = float(np.mean(found))
    said = f"{len(both):,} ids named by both; what is said of them agrees {agree:.0%} beyond chance"
    return agree >= AGREE, said if agree >= AGREE else f"other things: {said}"


def _agreement(values: pl.Series, both: pl.DataFrame, book: str, old: Plan, stock: Stock, slot: str, key: str) -> float | None:
    codes = stock.entities[slot].ids[both["there"].to_numpy(), list(old.entities[slot].categories).index(key)]
    here = old.books[book].rows(values.gather(both["here"]))
    known = (codes >= old.books[book].offset + FIRST) & (here >= old.books[book].offset + FIRST)
    if known.sum() < 10:
        return None
    a, b = codes[known] - old.books[book].offset, here[known] - old.books[book].offset
    size = len(old.books[book])
    chance = float((np.bincount(a, minlength=size) / len(a)) @ (np.bincount(b, minlength=size) / len(b)))
    return None if chance > 0.9 else (float((a == b).mean()) - chance) / (1 - chance)


def _number(found: Alike, slot: str, number: Number, other: Layout, wanted: bool | None) -> None:
    """A number of the same name; its scale and bins are the bundle's where its values are."""
    here, name = (slot, "number", number.name), f"{slot}.{number.name}"
    theirs = next((each for each in other.numbers if each.name == number.name), None)
    if theirs is None or wanted is False:
        found.why[name] = "left apart as asked" if wanted is False else "new: the bundle knows no such number"
        return
    found.renamed[here] = here
    inside = _inside(number, theirs)
    if inside or wanted:
        found.kept.add(here)
        number.log, number.mean, number.scale, number.edges = theirs.log, theirs.mean, theirs.scale, list(theirs.edges)
        number.low, number.high = theirs.low, theirs.high
    found.why[name] = "by name, with the bundle's scale" if inside or wanted else "by name, with a scale of its own: its values lie elsewhere"


def _inside(mine: Number, theirs: Number) -> bool:
    """Whether the middle of the new values, one deviation to both sides, lies inside what the bundle saw."""
    if mine.high < mine.low:
        return theirs.high >= theirs.low  # no value yet: those to come are read as the bundle reads them
    span = np.array([max(mine.mean - mine.scale, mine.low), min(mine.mean + mine.scale, mine.high)])
    raw = np.sign(span) * np.expm1(np.abs(span)) if mine.log else span
    then = np.sign(raw) * np.log1p(np.abs(raw)) if theirs.log else raw
    room = 0.05 * max(theirs.high - theirs.low, 1e-9)
    return bool(then[0] >= theirs.low - room and then[1] <= theirs.high + room)


def _ages(found: Alike, slot: str, layout: Layout, other: Layout) -> None:
    """A moment keeps the bundle's scale of ages where its own middle lies within three deviations of it."""
    for key, (mean, _) in list(layout.ages.items()):
        if (slot, "time", key) in found.renamed and key in other.ages:
            theirs, scale = other.ages[key]
            if abs(mean - theirs) <= 3 * scale:
                layout.ages[key], layout.seasons[key] = (theirs, scale), other.seasons[key] or layout.seasons[key]


def _common(values: Sequence[str], others: Sequence[str]) -> list[str]:
    frames = [pl.DataFrame({"value": pl.Series(each, dtype=pl.String)}) for each in (values, others)]
    return frames[0].join(frames[1], on="value", how="semi")["value"].to_list()


def _widen(book: Vocabulary, other: Vocabulary, shop: Shop, same: bool | None) -> None:
    """Let a vocabulary know the bundle's values, too; of own ids only those that the store has."""
    if same is False:
        return
    more = pl.DataFrame({"value": pl.Series(other.values, dtype=pl.String)})
    if same:
        mine = pl.DataFrame({"value": pl.Series(shop.entities[book.name.rpartition(".")[0]].ids, dtype=pl.String)})
        more = more.join(mine, on="value", how="semi", maintain_order="left")
    known = pl.DataFrame({"value": pl.Series(book.values, dtype=pl.String)})
    book.values += more.join(known, on="value", how="anti", maintain_order="left")["value"].to_list()
    book._lookup = None


def _anchors(plan: Plan) -> None:
    """A forecast that a count starts from is read in the scale that the context has now."""
    for task, target in plan.targets.items():
        if target.anchor is not None:
            number = plan.context.numbers[target.anchor.place]
            plan.targets[task] = replace(target, anchor=replace(target.anchor, log=number.log, mean=number.mean, scale=number.scale))


def asked(pairs: Sequence[str]) -> dict[str, bool]:
    """`item.brand=no` -> {"item.brand": False}. Raises ConfigError."""
    found = {}
    for each in pairs:
        name, sign, answer = each.partition("=")
        if not sign or answer not in ("yes", "no"):
            raise ConfigError(f"--share {each!r}: write a feature and yes or no, such as item.brand=no.")
        found[name.strip()] = answer == "yes"
    return found
