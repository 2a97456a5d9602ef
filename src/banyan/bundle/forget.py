"""Takes users out of a bundle on disk: ids, features, events, counts and embeddings. Row numbers stay; an answer for them becomes a stranger's."""

import json
import os
import secrets
import shutil
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import safetensors.numpy

from banyan.bundle import arrays, counts, folder
from banyan.bundle.rows import GONE
from banyan.bundle.saving import FACTS, LOG, NEEDED, PLAN, STATISTICS, WEIGHTS
from banyan.features.columns import ID, Values
from banyan.features.plan import Plan
from banyan.features.statistics import Counts
from banyan.features.stock import USER
from banyan.features.vocabulary import FIRST
from banyan.types import Array

_TABLE = "embeddings.weight"


def bundles(path: Path) -> Iterator[Path]:
    """The bundle folders at and below `path`, deepest first; what is being written, or was left aside, is passed over."""
    for manifest in sorted(path.rglob(folder.MANIFEST), key=lambda each: -len(each.parts)):
        if not any(part.startswith(".") for part in manifest.relative_to(path).parts):
            yield manifest.parent


def without(path: Path, users: Collection[str], to: Path | None = None) -> int:
    """Write the bundle folder `path` without the users, in its own place unless `to` is given; how many of them it knew.

    Their ids leave the vocabulary and the list of users, their features are missing, their events leave the log and their own counts the
    statistics, and the rows of their embeddings become that of an unseen id. What was learned over many users stays: weights, and how often
    items were bought. Files that change nothing are linked, not copied; the old folder is there until the new one is whole. Where no user
    was known nothing is written. Raises BundleError for a bundle that is not whole.
    """
    manifest = folder.check(path, NEEDED)
    with folder.reading(path):
        change = _changes(path, Plan.from_json(folder.read_json(path / PLAN)), folder.read_json(path / FACTS), set(users))
    if not change.files:
        return 0

    def fill(aside: Path) -> None:
        for name in manifest["files"]:
            if name in change.files:
                change.files[name](aside / name)
            else:
                _linked(path / name, aside / name)

    told = {key: value for key, value in manifest.items() if key not in ("files", "format", "digest")}
    folder.write(to or path, fill, told)
    return change.known


def users(path: Path) -> list[str]:
    """The ids of the users that a bundle folder names, in its list of users and in its vocabulary. Raises BundleError for a bundle that is not whole."""
    folder.check(path, NEEDED)
    with folder.reading(path):
        plan, file = Plan.from_json(folder.read_json(path / PLAN)), folder.read_json(path / FACTS)["entities"].get(USER)
        named = dict.fromkeys(pl.read_parquet(path / f"{file}.ids.parquet")["id"].to_list() if file else [])
    book = plan.books.get(plan.entities[USER].categories.get(ID, "")) if USER in plan.entities else None
    return [each for each in named | dict.fromkeys(book.values if book else []) if not each.startswith(GONE)]


def knows(path: Path, users: Collection[str]) -> bool:
    """Whether a bundle folder holds any of the users. Raises BundleError for a bundle that is not whole."""
    folder.check(path, NEEDED)
    with folder.reading(path):
        return bool(_changes(path, Plan.from_json(folder.read_json(path / PLAN)), folder.read_json(path / FACTS), set(users)).files)


def _linked(old: Path, new: Path) -> None:
    """The same file under another name; on a disk without links, or another disk, a copy."""
    try:
        os.link(old, new)
    except OSError:
        shutil.copyfile(old, new)


class _Changes:
    """Which files are written anew, and how many users were found."""

    def __init__(self) -> None:
        self.files: dict[str, Callable[[Path], None]] = {}
        self.known = 0


def _changes(path: Path, plan: Plan, facts: Mapping[str, Any], users: set[str]) -> _Changes:
    found = _Changes()
    file = facts["entities"].get(USER)
    ids = pl.read_parquet(path / f"{file}.ids.parquet")["id"] if file else pl.Series("id", [], dtype=pl.String)
    rows = np.flatnonzero(ids.is_in(pl.Series(sorted(users), dtype=pl.String).implode()).to_numpy()) + 1
    book = plan.books.get(plan.entities[USER].categories.get(ID, "")) if USER in plan.entities else None
    places = [i for i, value in enumerate(book.values) if value in users] if book else []
    codes = np.array(places, np.int64) + book.offset + FIRST if book else np.zeros(0, np.int64)
    found.known = len({*ids.gather(rows - 1).to_list(), *(book.values[i] for i in places if book)})
    if len(rows):
        found.files[f"{file}.ids.parquet"] = lambda to: _renamed(ids, rows).to_frame().write_parquet(to)
        if (path / LOG).is_file():
            found.files[LOG] = lambda to: _log(path / LOG, rows, to)
        if facts["statistics"] is not None:
            statistics, told = _statistics(path / STATISTICS, facts, rows)
            found.files[STATISTICS] = lambda to: _save(statistics, to)
            found.files[FACTS] = lambda to: _json(told, to)
    if book is not None and places:
        found.files[WEIGHTS] = lambda to: _weights(path / WEIGHTS, codes, book.unseen, to)
        found.files[PLAN] = lambda to: _json(_unnamed(path / PLAN, book.name, places), to)
    for name, each in facts["entities"].items():
        own = rows if name == USER else np.zeros(0, np.int64)
        if len(own) or len(codes):
            _entity(found, path / f"{each}.safetensors", plan, name, own, codes, book.unseen if book else 0)
    return found


def _renamed(ids: pl.Series, rows: Array) -> pl.Series:
    named = ids.to_list()
    for row in rows:
        named[row - 1] = GONE + secrets.token_hex(16)
    return pl.Series("id", named, dtype=pl.String)


def _unnamed(path: Path, book: str, places: list[int]) -> Any:
    plan = folder.read_json(path)
    for place in places:
        plan["books"][book]["values"][place] = GONE + secrets.token_hex(16)
    return plan


def _entity(found: _Changes, path: Path, plan: Plan, name: str, rows: Array, codes: Array, unseen: int) -> None:
    """The entity's features without the users' rows, and without their codes in the rows of others (a column that names users)."""
    held = folder.read_arrays(path)
    since = held.pop("since", None)
    values = arrays.to_values(held)
    naming = bool(np.isin(values.ids, codes).any()) or any(np.isin(bag, codes).any() for _, bag in values.bags.values())
    if not len(rows) and not naming:
        return
    if len(rows):
        values = _blank(values, plan, name, rows)
    values.ids[np.isin(values.ids, codes)] = unseen
    for _, bag in values.bags.values():
        bag[np.isin(bag, codes)] = unseen
    made = arrays.of_values(values) | ({} if since is None else {"since": since})
    found.files[path.name] = lambda to: _save(made, to)


def _blank(values: Values, plan: Plan, name: str, rows: Array) -> Values:
    """The rows as those of strangers: all features missing, the id unseen."""
    at = np.arange(len(values))
    at[rows] = 0
    blank = arrays.take(values, at)
    strange = arrays.strangers(values, plan, name, 1)
    blank.ids[rows] = strange.ids[0]
    return blank


def _log(path: Path, rows: Array, to: Path) -> None:
    held = folder.read_arrays(path)
    keep = ~np.isin(np.repeat(np.arange(len(held["start"]) - 1), np.diff(held["start"])), rows)
    start = np.concatenate([[0], np.cumsum(keep)])[held["start"]].astype(np.int64)
    _save({"start": start, **{key: held[key][keep] for key in arrays.LOG}}, to)


def _statistics(path: Path, facts: Mapping[str, Any], rows: Array) -> tuple[dict[str, Array], dict[str, Any]]:
    """(arrays, facts) of the counts without those of the users' own: what they did, and, without a clock, with which item."""
    held, told = folder.read_arrays(path), json.loads(json.dumps(facts))
    stated = told["statistics"]
    for key in ("users", "own"):
        if key not in stated:
            continue
        own = stated[key]
        whole = Counts(held[f"{key}/code"], int(own["behaviours"]), int(own["first"]), int(own["boundaries"]), held[f"{key}/total"])
        named, number, often = counts.tally(whole)
        user = named // whole.behaviours // (int(stated["wide"]) if key == "own" else 1)
        keep = ~np.isin(user, rows)
        less = counts.of_tally((named[keep], number[keep], often[keep]), whole.behaviours)
        assert less.total is not None
        held |= {f"{key}/code": less.sorted, f"{key}/total": less.total}
        stated[key] = {"behaviours": less.behaviours, "first": less.first, "boundaries": less.boundaries}
    return held, told


def _weights(path: Path, lines: Array, unseen: int, to: Path) -> None:
    held = folder.read_arrays(path)
    held[_TABLE][lines] = held[_TABLE][unseen]
    _save(held, to)


def _save(found: Mapping[str, Array], to: Path) -> None:
    safetensors.numpy.save_file({key: np.ascontiguousarray(each) for key, each in found.items()}, to)


def _json(value: Any, to: Path) -> None:
    to.write_text(json.dumps(value, ensure_ascii=False, allow_nan=False), encoding="utf-8")
