"""What every weight of a network stands for, axis by axis: tokens, numbers, pair features, views, scenarios, classes."""

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

from banyan import parts
from banyan.features.columns import Layout
from banyan.features.plan import Plan
from banyan.graft.probe import Axes, Labels, Probe, axes
from banyan.model import Network
from banyan.store.schema import ModelSpec, TaskSpec
from banyan.trunk import Trunk
from banyan.trunk.names import safe
from banyan.types import Sizes, Target

CONTEXT = "context"
Thing = tuple[str, str, str]  # slot, kind, feature
Renamed = Mapping[Thing, Thing]  # of the new store -> of the bundle


@dataclass(frozen=True)
class Described:
    """A network with the store's words for it."""

    network: Network
    spec: ModelSpec
    tasks: Mapping[str, TaskSpec]

    @property
    def plan(self) -> Plan:
        """What it was fitted with."""
        return self.network.plan


def things(slot: str, layout: Layout) -> list[Thing]:
    """The tokens of a source, in their order."""
    kinds = dict.fromkeys(layout.categories, "category") | {"numbers": "numbers"} | dict.fromkeys(layout.tags, "tags") | dict.fromkeys(layout.texts, "text")
    kinds |= {key: kind for key, (kind, _) in layout.dense.items()}
    return [(slot, kinds[key], key) for key in layout.tokens]


def numbers(slot: str, layout: Layout) -> list[Thing]:
    """The numbers that one token of a source is made of."""
    return [(slot, "number", each.name) for each in layout.numbers]


def named(described: Described, renamed: Renamed | None = None, trunks: Sequence[int] | None = None) -> Axes:
    """The axes of everything that a network keeps but its embeddings. `renamed` calls things as the bundle calls them, `trunks` numbers trunks as it does."""
    found, network = Axes(), described.network
    for number in range(len(network.trunks)):
        _of_trunk(found, described, number, renamed or {}, number if trunks is None else trunks[number])
    for name, spec in described.tasks.items():
        if name in network.views:
            _put(found, f"tasks.{safe(name)}.", _head(network, name, spec), ("task", name, spec.kind))
    state = network.state_dict()
    for key, tensor in state.items():
        if not key.startswith(("embeddings.", "auxiliary.")) and key not in found.names:
            found.names[key], found.labels[key] = tuple(key.split(".")), (None,) * tensor.ndim
    if network.ranked:
        tokens = [_called(t, renamed or {}) for t in things("item", described.plan.entities["item"])]
        found.labels["item_vector.weight"] = (None, _spread(tokens, network.width))
    found.names = {key: name for key, name in found.names.items() if key in state}
    return found


def _put(found: Axes, prefix: str, more: Axes, at: Hashable) -> None:
    for key, name in more.names.items():
        found.names[prefix + key] = (at, name)
        found.labels[prefix + key] = more.labels[key]


def _spread(of: list[Any], unit: int) -> Labels:
    return tuple((0, each, place) for each in of for place in range(unit))


def _called(thing: Thing, renamed: Renamed) -> Thing:
    return renamed.get(thing, thing)


def _of_trunk(found: Axes, described: Described, number: int, renamed: Renamed, called: int) -> None:
    trunk, plan, spec = described.network.trunk(number), described.plan, described.spec
    group = described.network.groups[number]
    prefix, at, width = f"trunks.{number}.", ("trunk", called), trunk.width
    layouts = {**plan.entities, CONTEXT: plan.context}
    tokens = {slot: [_called(t, renamed) for t in things(slot, layout)] for slot, layout in layouts.items() if layout.tokens}
    _sources(found, trunk, layouts, renamed, prefix, at)
    views = [(name, stage) for name in group for stage in described.tasks[name].stages or [""]]
    item = _spread(tokens.get("item", []), width)
    pair = _pairs(trunk, plan)
    known = [_called(t, renamed) for t in numbers(CONTEXT, plan.context)]
    explicit: dict[str, tuple[Labels | None, ...]] = {
        "summary.weight": (None, item),
        "newest.item.weight": (None, item),
        "pair.0.weight": (None, pair if trunk.lengths.get("pair") and trunk.pieces is not None else tuple(pair[: len(plan.pair)])),
        "wide.numbers": (tuple(views), tuple(("known" if i else "value", n) for i in (0, 1) for n in known), None),
        "wide.past": (tuple(views), pair, None),
        "wide.met": (tuple(views), None, None),
    }
    if trunk.meets is not None:
        explicit["meets.scale"] = (tuple(tuple(sorted(pair)) for pair in trunk.meets.pairs), None)
        explicit |= {f"meets.project.{safe(slot)}.weight": (None, _spread(each, width)) for slot, each in tokens.items()}
    explicit |= {f"compressed.{safe(slot)}.weight": (None, _spread(tokens.get(slot, _plain(slot, trunk)), width)) for slot in spec.compress}
    for key, tensor in trunk.state_dict().items():
        if prefix + key not in found.names and not key.startswith(("cross.", "sharing.")):
            found.names[prefix + key] = (at, tuple(key.split(".")))
            found.labels[prefix + key] = explicit.get(key, (None,) * tensor.ndim)
    row = {slot: [(slot, "compressed", str(i)) for i in range(spec.compress[slot])] if slot in spec.compress else tokens.get(slot, _plain(slot, trunk))
           for slot in trunk.lengths}  # fmt: skip
    _crossed(found, trunk, spec, row, prefix, at)
    scenarios = [("scenario", each) for each in plan.scenarios]
    _put(found, f"{prefix}sharing.", _shared(trunk.sizes, spec, row, views, scenarios), (at, "sharing", parts.spec(spec.sharing)[0]))


def _plain(slot: str, trunk: Trunk) -> list[Thing]:
    return [(slot, "token", str(i)) for i in range(trunk.lengths[slot])]


def _sources(found: Axes, trunk: Trunk, layouts: Mapping[str, Layout], renamed: Renamed, prefix: str, at: Hashable) -> None:
    """Encoders: one a feature, and one for all numbers of a source."""
    for slot, layout in layouts.items():
        if not layout.tokens:
            continue
        start = f"sources.{safe(slot)}."
        for thing in things(slot, layout):
            family = {"category": "categories", "numbers": "numbers", "tags": f"bags.{safe(thing[2])}", "text": f"bags.{safe(thing[2])}"}
            begin = start + family.get(thing[1], f"dense.{safe(thing[2])}") + "."
            for key, tensor in trunk.state_dict().items():
                if key.startswith(begin):
                    label = thing if thing[1] not in ("category", "numbers") else (slot, thing[1], thing[1])
                    found.names[prefix + key] = (at, "encoder", _called(label, renamed), key[len(begin) :])
                    found.labels[prefix + key] = (None,) * tensor.ndim
        if layout.numbers:
            _numeric(found, trunk, slot, layout, renamed, prefix)


def _numeric(found: Axes, trunk: Trunk, slot: str, layout: Layout, renamed: Renamed, prefix: str) -> None:
    """The inputs of the encoder of numbers: their values, then which are missing."""
    of = [_called(t, renamed) for t in numbers(slot, layout)]
    source: Any = trunk.sources[safe(slot)]
    for key, tensor in source.numbers.state_dict().items():
        if tensor.ndim == 2 and tensor.shape[1] == 2 * len(of) and key in ("line.weight", "line.0.weight"):
            found.labels[f"{prefix}sources.{safe(slot)}.numbers.{key}"] = (None, tuple((block, each, 0) for block in (0, 1) for each in of))


def _pairs(trunk: Trunk, plan: Plan) -> Labels:
    """Pair features, then the pieces of each."""
    if "pair" not in trunk.lengths:
        return ()
    pieces = [("piece", name, round(low, 6), round(high, 6)) for name, edges in zip(plan.pair, plan.pair_edges, strict=True) for low, high in pairwise(edges)]
    return (*plan.pair, *pieces)


def _crossed(found: Axes, trunk: Trunk, spec: ModelSpec, row: Mapping[str, list[Thing]], prefix: str, at: Hashable) -> None:
    if spec.cross is None:
        return
    tokens = [thing for slot, each in row.items() for thing in each if slot != "cross"]

    chosen = spec.cross

    def build(more: int) -> Callable[[], Any]:
        return lambda: parts.build("cross", chosen, len(tokens) + more, trunk.width)

    crossed = axes(build(0), [Probe(tuple(tokens), build(1), trunk.width)])
    _put(found, f"{prefix}cross.", crossed, (at, "cross", parts.spec(spec.cross)[0]))


def _shared(sizes: Sizes, spec: ModelSpec, row: Mapping[str, list[Thing]], views: list[Any], scenarios: list[Any]) -> Axes:
    """A sharing architecture: one token more in each slot, one view more, one scenario more."""

    def build(larger: Sizes) -> Callable[[], Any]:
        return lambda: parts.build("sharing", spec.sharing, larger)

    unit = sizes.width // sizes.copies if sizes.copies > 1 else sizes.width
    probes = [Probe(tuple(row[slot]), build(_wider(sizes, slot)), unit) for slot in sizes.slots]
    parents = (*sizes.parents, None) if sizes.parents else ()
    copies = sizes.copies  # of the embeddings: more views would want more of them, which is another axis
    probes.append(Probe(tuple(views), build(replace(sizes, views=sizes.views + 1, parents=parents, copies=copies))))
    if len(scenarios) > 1:
        probes.append(Probe(tuple(scenarios), build(replace(sizes, scenarios=sizes.scenarios + 1))))
    return axes(build(sizes), probes)


def _wider(sizes: Sizes, slot: str) -> Sizes:
    slots, more = {}, 0
    for name, each in sizes.slots.items():
        slots[name] = slice(each.start + more, each.stop + more + (name == slot))
        more += name == slot
    return replace(sizes, slots=slots)


def _head(network: Network, name: str, spec: TaskSpec) -> Axes:
    """A head: one class more, one side score more. Stages and periods are told apart by their names."""
    target, height = network.plan.targets[name], network.trunk(0).sharing.width

    def build(larger: Target) -> Callable[[], Any]:
        return lambda: parts.build("tasks", {"part": spec.kind, **spec.options}, height, larger)

    probes = []
    prior = (*target.prior, target.prior[-1]) if target.prior else ()
    if target.classes and not parts.find("tasks", spec.kind).grades:
        probes.append(Probe(target.classes, build(replace(target, classes=(*target.classes, "one more"), prior=prior))))
    elif len(target.names) > 1 or spec.stages:
        probes.append(Probe(target.names, build(replace(target, names=(*target.names, "one more"), prior=prior))))
    if target.side:
        probes.append(Probe(tuple(network.plan.side), build(replace(target, side=target.side + 1))))
    return axes(build(target), probes)
