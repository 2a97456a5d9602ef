"""`banyan search`: a bundle searched from the terminal, as a user would, with what each score is made of."""

import json
import re
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from banyan.cli.terminal import BundleFolder, Device, out, say
from banyan.errors import BanyanError

SHOWN = 3  # features of an item that the table shows
TOLD = 6  # values of a facet
WHERE = re.compile(r"\s*([^=<>]+?)\s*(<=|>=|=)\s*(.+?)\s*")
STEPS = {
    "any": "Nothing holds all words; this holds some of them.",
    "synonyms": "Nothing holds the words; this holds words that are asked for alike.",
    "vectors": "Nothing holds the words; this is near to them in meaning.",
    "popular": "Nothing was found; this is what is asked for most.",
}


def search(
    bundle: BundleFolder,
    text: Annotated[str, typer.Argument(help="What is searched, such as 'velvet sofa'; may be left out beside --picture.")] = "",
    user: Annotated[str, typer.Option(help="As whom: what this user did before counts too.")] = "",
    picture: Annotated[Path | None, typer.Option(help="A picture file: items that look like it.", show_default=False)] = None,
    where: Annotated[
        list[str] | None, typer.Option("--filter", help="category=shoes, price<=80 or price>=20. May be repeated; values of one feature are alternatives.")
    ] = None,
    count: Annotated[int, typer.Option("--count", min=1, max=200, help="How many items.")] = 10,
    scenario: Annotated[str, typer.Option(help="Where it is asked: a page, a country, a store.")] = "",
    items: Annotated[Path | None, typer.Option(help="The shop's table of items, whose titles are shown.", show_default=False)] = None,
    synonyms: Annotated[Path | None, typer.Option(help="A file of words that mean the same, such as `sofa, couch`, a line each.", show_default=False)] = None,
    device: Device = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Search a bundle's items by words, by a picture, or by both, for a user."""
    from banyan.bundle import Bundle
    from banyan.serving.asking import Ask, EngineOptions
    from banyan.serving.engine import Engine
    from banyan.serving.synonyms import groups

    filters = _filters(where or ())
    seen = _picture(picture) if picture is not None else b""
    if not text.strip() and not seen:
        raise BanyanError("There is nothing to search for: give words, such as banyan search BUNDLE 'velvet sofa', or --picture FILE.")
    begin = time.perf_counter()
    engine = Engine(Bundle.load(bundle, device=device), options=EngineOptions(alike=groups(synonyms) if synonyms is not None else ()))
    engine.searching.nearby.warm()
    names = _names(items, engine.bundle.store.entities["item"].id) if items is not None else {}
    opened = time.perf_counter() - begin
    begin, cpu = time.perf_counter(), time.process_time()
    found = engine.search(Ask(user=user, scenario=scenario, k=count, query=text, picture=seen, popular=True, filters=filters))
    took = {"milliseconds": round((time.perf_counter() - begin) * 1e3, 1), "cpu_milliseconds": round((time.process_time() - cpu) * 1e3, 1)}
    if as_json:
        sys.stdout.write(json.dumps({**_plain(found), **took, "opened_seconds": round(opened, 2)}, indent=1, ensure_ascii=False) + "\n")
        return
    _show(found, engine, names, text)
    total = found.searched.total if found.searched is not None else len(found.items)
    say(f"{total:,} found in {took['milliseconds']:g} ms ({took['cpu_milliseconds']:g} ms CPU); the bundle opened in {opened:.1f} s.")


def _picture(path: Path) -> bytes:
    from banyan.serving.nearby import MOST_BYTES

    if not path.is_file():
        raise BanyanError(f"There is no picture {path}.")
    if path.stat().st_size > MOST_BYTES:
        raise BanyanError(f"{path} has {path.stat().st_size:,} bytes; a picture that is searched by has at most {MOST_BYTES:,}.")
    return path.read_bytes()


def _filters(told: Sequence[str]) -> Any:
    from banyan.serving.asking import Filters

    equal: dict[str, tuple[str, ...]] = {}
    bounds: dict[str, dict[str, float]] = {"<=": {}, ">=": {}}
    for each in told:
        match = WHERE.fullmatch(each)
        if match is None:
            raise BanyanError(f"--filter {each!r} is no filter; write category=shoes, price<=80 or price>=20.")
        name, sign, value = match.groups()
        if sign == "=":
            equal[name] = (*equal.get(name, ()), value)
        else:
            bounds[sign][name] = _number(each, value)
    return Filters(equal=equal, least=bounds[">="], most=bounds["<="])


def _number(told: str, value: str) -> float:
    try:
        number = float(value)
    except ValueError as error:
        raise BanyanError(f"--filter {told!r}: {value!r} is no number.") from error
    if number != number or abs(number) == float("inf"):
        raise BanyanError(f"--filter {told!r}: {value!r} is no finite number.")
    return number


def _names(path: Path, key: str) -> dict[str, str]:
    """Item -> its first text."""
    import polars as pl

    from banyan.serving.catalogue import table_of

    frame = table_of(path, key)
    wanted = [name for name, kind in frame.schema.items() if kind == pl.String and name != "item"]
    best = next((name for name in ("title", "name", "description") if name in wanted), wanted[0] if wanted else "")
    return dict(zip(frame["item"].to_list(), frame[best].fill_null("").to_list(), strict=True)) if best else {}


def _plain(found: Any) -> dict[str, Any]:
    items = [
        {"item": each.item, "score": each.score, "parts": dict(each.parts), "answers": dict(each.answers), "sources": each.sources} for each in found.items
    ]
    return {"searched": asdict(found.searched), "items": items, "sources": dict(found.sources), "facets": found.facets}


def _show(found: Any, engine: Any, names: Mapping[str, str], text: str) -> None:
    told = found.searched
    if told.query.strip() and told.query.strip().lower() != text.strip().lower():
        say(f"Showing results for {told.query!r} in place of {text!r}.")
    if told.alike:
        say(f"Looked for {', '.join(told.alike)}, too.")
    if told.step in STEPS:
        say(STEPS[told.step])
    if not found.items:
        say(f"Nothing was found for {text!r}." if text else "Nothing was found.")
        return
    parts = list(told.weights)
    features = [engine.item(each.item) or {} for each in found.items]
    table = Table("", "item", *(["title"] if names else []), "what it is", "score", *(f"{part} x{told.weights[part]:.2g}" for part in parts))
    for place, (each, known) in enumerate(zip(found.items, features, strict=True), 1):
        shown = ", ".join(str(value) for value in list(known.values())[:SHOWN] if not isinstance(value, list))
        figures = [f"{each.parts.get(part, 0.0):.2f}" for part in parts]
        table.add_row(str(place), each.item, *([names.get(each.item, "")] if names else []), shown, f"{each.score:.3f}", *figures)
    out.print(table)
    for feature, counts in found.facets.items():
        more = f" and {len(counts) - TOLD} more" if len(counts) > TOLD else ""
        say(f"{feature}: {', '.join(f'{value} ({number:,})' for value, number in list(counts.items())[:TOLD])}{more}")
    for feature, bands in told.bands.items():
        say(f"{feature}: {', '.join(f'{band.low:g} to {band.high:g} ({band.count:,})' for band in bands)}")
