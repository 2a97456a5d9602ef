"""Writes a bundle: weights, plan, store, entities, the log cut to what answers need, statistics, item vectors, model card, hashes."""

import json
import math
import platform
import re
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import safetensors.numpy
import safetensors.torch
from torch import Tensor

from banyan import inference
from banyan.bundle import arrays, folder, lexis
from banyan.bundle.card import card
from banyan.errors import BundleError
from banyan.features.data import Data
from banyan.features.step import Feeder
from banyan.features.stock import Stock
from banyan.model import Network
from banyan.store.schema import Store
from banyan.types import PARTS, TEST, Array

WEIGHTS, PLAN, STORE, FACTS, CARD = "weights.safetensors", "plan.json", "store.json", "facts.json", "README.md"
LOG, STATISTICS, SIGNALS, VECTORS = "log.safetensors", "statistics.safetensors", "signals.safetensors", "item_vectors.safetensors"
CALIBRATION = "calibration.json"
HELPERS = "auxiliary."  # begins the names of weights that only training has a use for
NEEDED = (WEIGHTS, PLAN, STORE, FACTS)
SECRET = re.compile(r"(://)[^/\s]*@|([?&]password=)[^&\s]*", re.IGNORECASE)  # up to the last @, since a password may hold one


def save(path: Path, network: Network, data: Data, store: Store, facts: Mapping[str, Any] | None = None, *, since: int | None = None) -> Path:
    """Write the bundle folder `path`; one that stands there is replaced when the new one is whole.

    `facts` are told in the model card and kept: `metrics` (task -> figure -> value), `options`, `notes`, and whatever else is JSON.
    `since` (microseconds since 1970, or the events' order): from that moment on answers are those of the whole log; older events are left
    out where no such answer reads them. Unless given: the first test row's moment, so that the test can be repeated on the bundle.
    Raises BundleError where weights are not finite, or `path` holds something else.
    """
    path = Path(path)
    state = {key: value.detach().cpu().contiguous() for key, value in network.state_dict().items() if not key.startswith(HELPERS)}
    state = {key: value.float() if value.is_floating_point() else value for key, value in state.items()}
    if wrong := [key for key, value in state.items() if value.is_floating_point() and not bool(value.isfinite().all())]:
        raise BundleError(f"The network's {wrong[0]} holds values that are not finite; a bundle of it could not answer. Train again with a lower rate.")
    said = dict(_plain(facts or {}))
    moment = first_moment(data) if since is None else since

    def fill(aside: Path) -> None:
        kept = _stocked(aside, network, data, store, moment)
        safetensors.torch.save_file({key: value.clone() for key, value in state.items()}, aside / WEIGHTS)
        _json(aside / PLAN, network.plan.to_json())
        _json(aside / STORE, described(store))
        if network.calibration:
            _json(aside / CALIBRATION, {name: each.state() for name, each in network.calibration.items()})
        whole = {"versions": versions(), "rows": _rows(data), "tasks": list(network.views), **said, **kept}
        _json(aside / FACTS, whole)
        (aside / CARD).write_text(card(store, network, data, whole), encoding="utf-8")

    return folder.write(path, fill, {"banyan": versions()["banyan"]})


def first_moment(data: Data) -> int:
    """The earliest moment of a test row that reads the log; without one, that after the log's last event."""
    found = [t.moment.time[t.part == TEST] for t in data.tables.values() if t.moment is not None]
    found = [each for each in found if len(each)]
    return min(int(each.min()) for each in found) if found else after(data.stock)


def after(stock: Stock) -> int:
    """The first moment that sees every event of the log; 0 without one."""
    return int(stock.log.time.max()) + 1 if stock.log is not None and len(stock.log.time) else 0


def _stocked(aside: Path, network: Network, data: Data, store: Store, moment: int) -> dict[str, Any]:
    stock, files = data.stock, dict[str, str]()
    facts: dict[str, Any] = {"entities": files, "now": after(data.stock), "since": None, "statistics": None, "signals": None, "vectors": False}
    for number, (name, values) in enumerate(stock.entities.items()):
        file = f"entity-{number}"
        found = arrays.of_values(values) | ({"since": stock.since[name]} if name in stock.since else {})
        _arrays(aside / f"{file}.safetensors", found)
        pl.DataFrame({"id": pl.Series(stock.ids[name], dtype=pl.String)}).write_parquet(aside / f"{file}.ids.parquet")
        files[name] = file
    if stock.log is not None:
        kept = arrays.kept(stock, moment)
        facts["since"] = kept.since
        _arrays(aside / LOG, arrays.of_log(kept.log))
    if stock.snapshots is not None:
        found, facts["statistics"] = arrays.of_snapshots(stock.snapshots, moment)
        _arrays(aside / STATISTICS, found)
    if stock.signals is not None:
        found, facts["signals"] = arrays.of_signals(stock.signals)
        _arrays(aside / SIGNALS, found)
    if stock.lexis is not None:
        lexis.save(aside, stock.lexis)
    if network.ranked:
        vectors: Tensor = inference.vectors(network, Feeder(Data(data.plan, stock, {})))
        _arrays(aside / VECTORS, {"vectors": vectors.cpu().numpy()})
        facts["vectors"] = True
    return facts


def _arrays(path: Path, found: Mapping[str, Array]) -> None:
    safetensors.numpy.save_file({key: np.ascontiguousarray(each) for key, each in found.items()}, path)


def _json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, ensure_ascii=False, allow_nan=False), encoding="utf-8")


def described(store: Store) -> dict[str, Any]:
    """The store as JSON-able values, without the passwords of its databases."""
    found: dict[str, Any] = _open(store.model_dump(mode="json"))
    return found


def _open(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: SECRET.sub(r"\1\2", each) if key == "sql" and isinstance(each, str) else _open(each) for key, each in value.items()}
    return [_open(each) for each in value] if isinstance(value, list) else value


def _plain(value: Any) -> Any:
    """JSON-able: numpy's numbers as Python's, what is not finite as null, anything unknown as text."""
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple, set)):
        return [_plain(each) for each in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, (str, int, bool)) else str(value)


def _rows(data: Data) -> dict[str, dict[str, int]]:
    return {name: {part: len(table.rows(PARTS[part])) for part in ("train", "valid", "test")} for name, table in data.tables.items()}


def versions() -> dict[str, str]:
    """What wrote the bundle."""
    found = {"python": platform.python_version()}
    for package, name in (("banyan", "banyan-commerce"), ("torch", "torch"), ("numpy", "numpy"), ("polars", "polars")):
        try:
            found[package] = version(name)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found
