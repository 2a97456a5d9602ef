"""What several stores have in common: features by name, kind and values; ids by what is said of the things; samples and tasks by how they are described."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl

from banyan.errors import ConfigError
from banyan.store.entities import read_entities
from banyan.store.hints import hint
from banyan.store.schema import Feature, Samples, Store, TaskSpec

HALF = 0.5  # of the values of a feature that another knows: enough to be the same under another name
AGREE = 0.5  # of the way from agreement by chance to full agreement, for ids to name the same things
LOOKED_AT = 5_000  # ids named by both whose descriptions are compared
MOST_HELD = 200_000  # things of a store that are held while the others are read: those of some hashes of their ids, the same ones everywhere
MOST_VALUES = 100_000  # of a feature that are compared
Key = tuple[str, str, str]  # store, entity or samples, feature (or samples, or task)


@dataclass
class Found:
    """Under which name each store's things go when the stores are one."""

    features: dict[Key, str] = field(default_factory=dict)  # (store, entity, feature) -> name
    context: dict[Key, str] = field(default_factory=dict)  # (store, samples, feature) -> name
    samples: dict[tuple[str, str], str] = field(default_factory=dict)  # (store, samples) -> name
    tasks: dict[tuple[str, str], str] = field(default_factory=dict)
    shared_ids: dict[str, bool] = field(default_factory=dict)  # entity -> whether its ids are those of all stores
    lines: list[tuple[str, str, str]] = field(default_factory=list)  # (what, store, how it was found)

    def rows(self, stores: Sequence[str]) -> list[list[str]]:
        """For people: what, then for each store how it has it; `yes` where there was nothing to find, nothing where it has none."""
        found: dict[str, dict[str, str]] = {}
        for what, store, how in self.lines:
            found.setdefault(what, {})[store] = how or "yes"
        return [[what, *(cells.get(store, "") for store in stores)] for what, cells in found.items()]


def find(named: Mapping[str, Store], share: Mapping[str, bool]) -> Found:
    """What the stores share. `share` overrules. Raises ConfigError for a feature that no store has."""
    found = Found()
    _known(named, share)
    for entity in dict.fromkeys(e for store in named.values() for e in store.entities):
        _entity(found, entity, {name: store for name, store in named.items() if entity in store.entities}, share)
    _described(found, named)
    _context(found, named)
    return found


def _known(named: Mapping[str, Store], share: Mapping[str, bool]) -> None:
    known = [f"{e}.{key}" for store in named.values() for e, entity in store.entities.items() for key in ("id", *entity.features)]
    if wrong := [key for key in share if key not in known]:
        raise ConfigError(f"--share {wrong[0]}: no store has such a feature.{hint(wrong[0], list(dict.fromkeys(known)))}")


def _entity(found: Found, entity: str, having: Mapping[str, Store], share: Mapping[str, bool]) -> None:
    """Features and ids of one entity; each store is compared with those before it."""
    columns: dict[str, tuple[Feature, set[str]]] = {}  # name -> (as described first, values seen)
    frames: list[pl.DataFrame] = []
    ids: list[tuple[bool, str]] = []
    for name, store in having.items():
        frame = _frame(store, entity)
        spec = store.entities[entity]
        for key, feature in spec.features.items():
            values = _values(frame, key, feature)
            called, how = _called(key, feature, values, columns, name, share.get(f"{entity}.{key}"))
            found.features[name, entity, key] = called
            first = called not in columns
            columns.setdefault(called, (feature, set()))[1].update(values)
            if len(having) > 1:
                found.lines.append((f"{entity}.{called}", name, "" if first and key == called else how))
        renamed = {key: found.features[name, entity, key] for key in spec.features}
        kept = [spec.id, *(key for key, f in spec.features.items() if f.kind == "category")]
        told = frame.select(kept).rename({**{k: v for k, v in renamed.items() if k in kept}, spec.id: "\0id"}).unique("\0id", keep="last").pipe(_some)
        ids += [_same_things(told, other) for other in frames]
        frames.append(told)
    _ids(found, entity, having, ids, share.get(f"{entity}.id"))


def _frame(store: Store, entity: str) -> pl.DataFrame:
    alone = store.model_copy(update={"entities": {entity: store.entities[entity]}})
    return read_entities(alone)[entity].frame


def _some(told: pl.DataFrame) -> pl.DataFrame:
    """At most about `MOST_HELD` things: a power of two parts them, so that the fewer of one store are among the more of another."""
    parts = 1 << max(told.height // MOST_HELD, 0).bit_length()
    return told if parts == 1 else told.filter(pl.col("\0id").hash(seed=0) % parts == 0)


def _values(frame: pl.DataFrame, key: str, feature: Feature) -> set[str]:
    if feature.kind not in ("category", "tags"):
        return set()
    column = frame[key].explode(empty_as_null=True, keep_nulls=True) if feature.kind == "tags" else frame[key]
    return set(column.drop_nulls().unique().sort().head(MOST_VALUES).to_list())


def _called(key: str, feature: Feature, values: set[str], columns: Mapping[str, tuple[Feature, set[str]]], store: str, wanted: bool | None) -> tuple[str, str]:
    """(The name under which a feature goes, how that was found)."""
    apart = f"{key}.{store}"
    if key in columns:
        same = columns[key][0].kind == feature.kind and _alike(columns[key][0], feature)
        if wanted is False:
            return apart, "left apart as asked"
        if not same:
            return apart, f"another kind: {feature.kind} here, {columns[key][0].kind} before"
        return key, f"by name, {_share_of(values, columns[key][1]):.0%} of its values known" if values else "by name and kind"
    if values and wanted is not False:
        ranked = sorted(((_share_of(values, seen), name) for name, (spec, seen) in columns.items() if spec.kind == feature.kind), reverse=True)
        if ranked and ranked[0][0] >= HALF:
            return ranked[0][1], f"by content: {key} there, {ranked[0][0]:.0%} of its values known"
    return key, "only here"


def _share_of(values: set[str], seen: set[str]) -> float:
    return len(values & seen) / len(values) if values else 0.0


def _alike(one: Feature, other: Feature) -> bool:
    """Whether two columns of a kind can lie in one: texts that are read in one way, pictures by one network."""
    return all(getattr(one, key) == getattr(other, key) for key in ("encoder", "buckets", "letters", "network", "pixels", "frames", "views"))


def _same_things(told: pl.DataFrame, other: pl.DataFrame) -> tuple[bool, str]:
    both = told.join(other, on="\0id", suffix="\0").sort("\0id").head(LOOKED_AT)
    if not both.height:
        return False, "no id in common"
    agree = [each for key in told.columns if key + "\0" in both.columns and (each := _beyond_chance(both[key], both[key + "\0"])) is not None]
    if not agree:
        return False, f"{both.height:,} ids in common, and no category tells whether they are the same things"
    level = float(np.mean(agree))
    return level >= AGREE, f"{both.height:,} ids in common; what is said of them agrees {level:.0%} beyond chance"


def _beyond_chance(one: pl.Series, other: pl.Series) -> float | None:
    there = pl.DataFrame({"a": one, "b": other}).drop_nulls()
    if there.height < 10:
        return None
    counts = [there[c].value_counts(name="n").rename({c: "v"}) for c in ("a", "b")]
    chance = float((counts[0].join(counts[1], on="v", suffix="2").select((pl.col("n") * pl.col("n2")).sum()).item() or 0) / there.height**2)
    return None if chance > 0.9 else (int((there["a"] == there["b"]).sum()) / there.height - chance) / (1 - chance)


def _ids(found: Found, entity: str, having: Mapping[str, Store], ids: Sequence[tuple[bool, str]], wanted: bool | None) -> None:
    shared = bool(ids) and all(same for same, _ in ids)
    found.shared_ids[entity] = shared if wanted is None else wanted
    if len(having) > 1:
        how = (
            ("shared" if wanted else "left apart") + " as asked"
            if wanted is not None
            else ("the same things: " if shared else "each store's own: ") + ids[0][1]
        )
        found.lines += [(f"{entity}.id", name, how) for name in having]


def _described(found: Found, named: Mapping[str, Store]) -> None:
    """Samples and tasks are one where they bear one name and are described alike."""
    samples: dict[str, Any] = {}
    tasks: dict[str, Any] = {}
    for name, store in named.items():
        for key, each in store.samples.items():
            said = _samples(each, store)
            found.samples[name, key] = key if samples.setdefault(key, said) == said else f"{key}.{name}"
            found.lines.append((f"samples.{found.samples[name, key]}", name, "" if found.samples[name, key] == key else "described otherwise than before"))
        for key, task in store.tasks.items():
            told = _task(task) | {"samples": found.samples[name, task.samples]}
            found.tasks[name, key] = key if tasks.setdefault(key, told) == told else f"{key}.{name}"
            found.lines.append((f"tasks.{found.tasks[name, key]}", name, "" if found.tasks[name, key] == key else "described otherwise than before"))


def _samples(samples: Samples, store: Store) -> dict[str, Any]:
    """How samples are made, columns' names aside."""
    keys = ("recipe", "window", "after", "within", "negatives", "plausible", "every", "behaviours", "most", "sequences", "of", "by", "ahead", "total", "lags")
    said = {key: getattr(samples, key) for key in keys}
    how = samples.split or store.split
    said |= {"labels": sorted(samples.labels) if samples.table is not None else samples.labels, "split": (how.by, how.valid, how.test, how.of)}
    said |= {"entities": sorted(samples.entities), "time": samples.time is not None, "weight": samples.weight is not None, "rate": samples.rate is not None}
    return said


def _task(task: TaskSpec) -> dict[str, Any]:
    found: dict[str, Any] = task.model_dump(exclude={"samples"})
    return found


def _context(found: Found, named: Mapping[str, Store]) -> None:
    """Context features by name; one of another kind, and a row's own scenario, under a name of their own."""
    kinds: dict[str, str] = {}
    for name, store in named.items():
        for samples, each in store.samples.items():
            for key, feature in each.features.items():
                called = key if kinds.setdefault(key, feature.kind) == feature.kind else f"{key}.{name}"
                found.context[name, samples, key] = called
            if each.table is not None and each.scenario:
                column = "own scenario" if each.scenario in ("scenario", "store") else each.scenario
                found.context[name, samples, "\0scenario"] = column if kinds.setdefault(column, "category") == "category" else f"own {column}"
