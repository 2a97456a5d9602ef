"""The page of several stores as one."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from banyan.store.schema import Feature, Store
from banyan.store.several.found import Found
from banyan.store.several.pieces import place

STORE = "store"  # the column, and the scenario, that says whose row it is


def described(named: Mapping[str, Store], found: Found, folder: Path) -> Store:
    """The store that the pieces in `folder` are; model, training and split are the first store's."""
    first = next(iter(named.values()))
    said: dict[str, Any] = {
        "store": " + ".join(named),
        "entities": {entity: _entity(named, entity, found, folder) for entity in found.shared_ids},
        "events": _events(named, folder),
        "samples": _samples(named, found, folder),
        "tasks": _tasks(named, found),
        "auxiliary": {name: each.model_dump() for name, each in first.auxiliary.items()},
        "split": first.split.model_dump(exclude_defaults=True),
        "model": first.model.model_dump(exclude_defaults=True),
        "training": first.training.model_dump(exclude_defaults=True) | {"passes_of": _passes(first, found)},
        "folder": folder,
    }
    return Store.model_validate(said)


def _passes(first: Store, found: Found) -> dict[str, float]:
    names = set(found.samples.values())
    return {key: value for key, value in first.training.passes_of.items() if key in names}


def _source(folder: Path, table: str) -> dict[str, str]:
    return {"path": str(place(folder, table).relative_to(folder) / "*.parquet")}


def _plain(feature: Feature) -> dict[str, Any]:
    """A feature whose column bears its name, as the pieces hold it."""
    said = feature.model_dump(exclude_defaults=True, exclude={"column", "separator", "under"}) | {"kind": feature.kind}
    return said | ({"under": "/"} if feature.kind == "image" else {})


def _entity(named: Mapping[str, Store], entity: str, found: Found, folder: Path) -> dict[str, Any]:
    having = {name: store.entities[entity] for name, store in named.items() if entity in store.entities}
    first = next(iter(having.values()))
    if all(each.table is None for each in having.values()):
        return {"id": "id", "embed_id": first.embed_id, "least": first.least}
    features: dict[str, Any] = {}
    for name, each in having.items():
        for key, feature in each.features.items():
            features.setdefault(found.features[name, entity, key], _plain(feature))
    said = {"table": _source(folder, entity), "id": "id", "features": features, "embed_id": first.embed_id, "least": first.least}
    return said | ({"valid_from": "since"} if any(each.valid_from for each in having.values()) else {})


def _events(named: Mapping[str, Store], folder: Path) -> dict[str, Any] | None:
    having = [store.events for store in named.values() if store.events is not None]
    if not having:
        return None
    said: dict[str, Any] = {"table": _source(folder, "events"), "user": "user", "item": "item", "behaviour": "behaviour", "scenario": STORE}
    said |= {"time": "time"} if having[0].time else {"order": "time"} if having[0].order else {}
    return said | ({"value": "value"} if any(each.value for each in having) else {})


def _samples(named: Mapping[str, Store], found: Found, folder: Path) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for (name, key), called in found.samples.items():
        samples, store = named[name].samples[key], named[name]
        context = {found.context[name, key, own]: _plain(f) for own, f in samples.features.items()}
        if samples.table is not None and samples.scenario:
            context[found.context[name, key, "\0scenario"]] = {"kind": "category"}
        if called in made:
            made[called].setdefault("features", {}).update({k: v for k, v in context.items() if k not in made[called]["features"]})
            continue
        said = samples.model_dump(
            exclude_defaults=True, exclude={"table", "features", "labels", "time", "scenario", "weight", "rate", "split", *samples.entities}
        )
        said |= {"labels": {each: f"label {each}" if samples.table is not None else of for each, of in samples.labels.items()}, "features": context}
        how = samples.split or (store.split if store.split != next(iter(named.values())).split else None)
        if how is not None:
            said["split"] = how.model_dump(exclude_defaults=True) | {"by": how.by} | ({"column": "split"} if how.by == "given" else {})
        if samples.table is not None:
            said |= {"table": _source(folder, f"samples.{called}"), "scenario": STORE, **{e: f"id of {e}" for e in samples.entities}}
            said |= {own: column for own, column in (("time", "time of row"), ("weight", "weight"), ("rate", "rate")) if getattr(samples, own)}
        made[called] = said
    return made


def _tasks(named: Mapping[str, Store], found: Found) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for (name, key), called in found.tasks.items():
        task = named[name].tasks[key]
        made.setdefault(called, task.model_dump(exclude_defaults=True) | {"kind": task.kind, "samples": found.samples[name, task.samples]})
    return made
