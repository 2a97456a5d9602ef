"""Reads a bundle back: every file checked first, nothing unpickled, no code from outside unless the caller lends it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from pydantic import ValidationError
from safetensors.torch import load_file

from banyan import hub, parts
from banyan.bundle import arrays, folder, lexis
from banyan.bundle.saving import CALIBRATION, FACTS, LOG, NEEDED, PLAN, SIGNALS, STATISTICS, STORE, VECTORS, WEIGHTS
from banyan.errors import BundleError, ConfigError
from banyan.features.plan import Plan
from banyan.features.stock import ITEM, USER, Stock
from banyan.model import Network
from banyan.store.schema import TUNED, Store
from banyan.types import Array


def read(path: Path, *, lent: bool = False) -> tuple[Network, Store, Stock, dict[str, Any], Array | None]:
    """(network, store, stock, facts, item vectors) of the bundle folder `path`; the stock has one row more of each entity, for strangers.

    `lent` lets parts written as `package.module:Class` be imported; a bundle from elsewhere could otherwise name any code.
    Raises BundleError that names the file and says what is wrong with it.
    """
    manifest = folder.check(path, NEEDED)
    with folder.reading(path / FACTS):
        facts = {**folder.read_json(path / FACTS), "digest": manifest["digest"]}
    store = _store(path / STORE, lent)
    with folder.reading(path / PLAN):
        plan = Plan.from_json(folder.read_json(path / PLAN))
    with folder.reading(path / FACTS):
        stock = _stock(path, manifest, plan, store, facts)
        vectors = folder.read_arrays(_listed(path, VECTORS, manifest))["vectors"] if facts["vectors"] else None
    for model in sorted({str(f.model) for layout in plan.entities.values() for f in layout.features.values() if f.kind == "text" and f.way == TUNED}):
        _at_hand(path, model, plan.models)
    network = _network(path / WEIGHTS, plan, store, facts)
    if CALIBRATION in manifest["files"]:
        _calibrated(path / CALIBRATION, network, store)
    return network, store, stock, facts, vectors


def _at_hand(path: Path, model: str, expected: Mapping[str, str]) -> None:
    """Refuse to go on without the very language model that the bundle's deltas are deltas of."""
    try:
        hub.same(model, expected)
    except ConfigError as error:
        raise BundleError(f"{path}: the bundle holds what was learned on top of a language model. {error}") from error


def _calibrated(path: Path, network: Network, store: Store) -> None:
    """Give the network the maps of its tasks' answers."""
    with folder.reading(path):
        for name, state in folder.read_json(path).items():
            network.calibration[name] = parts.build("calibration", store.tasks[name].calibration or "none", network.task(name).answers)
            network.calibration[name].load(state)


def _store(path: Path, lent: bool) -> Store:
    found = folder.read_json(path)
    with folder.reading(path):
        model, tasks = found["model"], found["tasks"]
        if ":" in _part(model["balancing"]):
            model["balancing"] = "fixed"  # an answer needs no balancer
        if any(":" in str(each.get("kind")) for each in found.get("auxiliary", {}).values()):
            found["auxiliary"], found["training"]["pretrain"] = {}, 0  # nor questions that only training asks
        named = [model["sharing"], model.get("history"), model.get("cross"), *model["encoders"].values(), *model.get("signals", {}).values()]
        named += [each for task in tasks.values() for each in (task["kind"], task.get("calibration"), task.get("delayed"))]
        outside = [each for each in map(_part, named) if ":" in each]
    if outside and not lent:
        raise BundleError(f"{path}: the bundle uses the part {outside[0]!r} from outside of banyan. If you trust it, load with lent=True.")
    try:
        return Store(**found)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(each) for each in first["loc"])
        raise BundleError(f"{path}: {where}: {first['msg']}. The bundle may come from another version of banyan.") from error


def _part(value: Any) -> str:
    return str(value.get("part", "") if isinstance(value, Mapping) else value or "")


def _listed(path: Path, name: str, manifest: Mapping[str, Any]) -> Path:
    if name not in manifest["files"]:
        raise BundleError(f"{path / name} is not listed in the manifest, and {FACTS} speaks of it; fetch or save the bundle anew.")
    return path / name


def _stock(path: Path, manifest: Mapping[str, Any], plan: Plan, store: Store, facts: Mapping[str, Any]) -> Stock:
    stock = Stock(plan, {}, {}, length=store.model.length, pair_last=store.model.pair_last)
    for name, file in facts["entities"].items():
        table = _listed(path, f"{file}.ids.parquet", manifest)
        with folder.reading(table):
            stock.ids[name] = _ids(table)
        found = folder.read_arrays(_listed(path, f"{file}.safetensors", manifest))
        if (since := found.pop("since", None)) is not None:
            stock.since[name] = since
        values = arrays.to_values(found)
        if len(values) != len(stock.ids[name]) + 1:
            raise BundleError(f"{path / file}.safetensors has {len(values)} rows for {len(stock.ids[name])} ids of {name}; save the bundle anew.")
        if name == ITEM and lexis.WORDS in manifest["files"]:
            stock.lexis = lexis.load(_listed(path, lexis.TOKENS, manifest).parent, len(values))
        stock.entities[name] = arrays.joined(values, arrays.strangers(values, plan, name, 1))
    if plan.clock != "none" or plan.behaviours:
        file = _listed(path, LOG, manifest)
        with folder.reading(file):
            stock.log = arrays.to_log(folder.read_arrays(file), plan)
        stock.log.start = np.append(stock.log.start, stock.log.start[-1])
        if len(stock.log.start) != len(stock.entities[USER]) + 1:
            raise BundleError(f"{file} is of {len(stock.log.start) - 3} users and the bundle has {len(stock.ids[USER])}; save it anew.")
        stock.narrow(store.model.behaviours)
        if facts["statistics"]:
            found = folder.read_arrays(_listed(path, STATISTICS, manifest))
            stock.snapshots = arrays.to_snapshots(found, facts["statistics"], stock.log)
        if facts["signals"]:
            found = folder.read_arrays(_listed(path, SIGNALS, manifest))
            stock.signals = arrays.to_signals(found, facts["signals"], store.model.signals, plan)
    return stock


def _ids(path: Path) -> Array:
    try:
        return pl.read_parquet(path)["id"].to_numpy()
    except pl.exceptions.PolarsError as error:
        raise ValueError(str(error)) from error


def _network(path: Path, plan: Plan, store: Store, facts: Mapping[str, Any]) -> Network:
    with folder.reading(path):
        tasks = {name: store.tasks[name] for name in facts["tasks"]}
        with torch.random.fork_rng(devices=[]):  # loading a bundle leaves the caller's random numbers alone
            network = Network(plan, store.model, tasks)
        network.load_state_dict(load_file(path))
        network.requires_grad_(False)
        return network.eval()
