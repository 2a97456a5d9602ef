"""Writes a first `store.yaml` from the user's files: every line is a guess that a comment explains and that a person may change."""

import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from banyan.errors import ConfigError
from banyan.store import guess
from banyan.store.figures import span
from banyan.store.guess import Peek
from banyan.store.schema import Source
from banyan.store.sources import read
from banyan.store.times import microseconds

DAY = 86_400_000_000
BUY, CART, VIEW = (
    re.compile(r"purchase|buy|bought|order|transaction|pay|sale", re.I),
    re.compile(r"cart|basket", re.I),
    re.compile(r"view|click|impression|^pv$|detail|browse", re.I),
)
PARTS = {"train": "train(ing)?", "valid": "val(id|idation)?|dev", "test": "test(ing)?"}  # part -> what its file is called


@dataclass
class _Log:
    table: Peek
    keys: dict[str, str]  # key of `events` -> column
    behaviours: list[str]  # most frequent first; empty without such a column
    days: float | None  # from the first event to the last; None without a time


@dataclass
class _Page:
    folder: Path
    lines: list[str] = field(default_factory=list)

    def add(self, line: str, comment: str = "") -> None:
        self.lines.append(f"{line}  # {comment}" if comment else line)

    def path(self, table: Peek) -> str:
        return _quoted(os.path.relpath(table.path, self.folder))


def init(files: Sequence[Path], folder: Path | None = None) -> str:
    """The text of a store.yaml that loads and opens; paths are relative to `folder` (the current one), where it is to be written.

    Raises ConfigError when no file is given or nothing in them can be predicted, DataError for an unreadable file.
    """
    if not files:
        raise ConfigError("Name the shop's files, such as: banyan init users.csv items.csv events.csv.")
    tables = [guess.peek(Path(each)) for each in files]
    parts = _parts(tables)
    log = None if parts else _log(tables)
    rest = [each for each in tables if log is None or each is not log.table]
    page = _Page(folder or Path())
    page.add("# Written by `banyan init` from the first rows of your files. Comments say what was guessed: change what is wrong, then run `banyan check`.")
    page.add(f"store: {_quoted(Path(files[0]).resolve().parent.name or 'store')}")
    items = _entities(page, rest, log, parts)
    if log is not None:
        _events(page, log)
        _samples(page, log, items)
    else:
        _tables(page, rest, parts)
    page.add("model: {sharing: mmoe, balancing: fixed, width: 16}", "`banyan parts` lists the others")
    return "\n".join(page.lines) + "\n"


def _quoted(word: str) -> str:
    plain = re.fullmatch(r"[A-Za-z_][\w./-]*", word) and word.lower() not in ("true", "false", "yes", "no", "on", "off", "null", "y", "n")
    return word if plain else json.dumps(word, ensure_ascii=False)


def _listed(words: Sequence[str]) -> str:
    return f"[{', '.join(_quoted(each) for each in words)}]"


def _log(tables: Sequence[Peek]) -> _Log | None:
    """The table of events: users, items and a time; without a time, the one whose users or pairs repeat."""
    both = [t for t in tables if guess.id_column(t, guess.USER) and guess.id_column(t, guess.ITEM)]
    both = [t for t in both if not t.called(guess.LABEL)] or []
    if not both:
        return None
    table = max(both, key=lambda t: (guess.time_column(t) is not None, t.called(guess.BEHAVIOUR) is not None, t.path.stat().st_size))
    keys = {"user": guess.id_column(table, guess.USER) or "", "item": guess.id_column(table, guess.ITEM) or ""}
    time, order = guess.time_column(table), table.called(guess.ORDER)
    if time:
        keys["time"] = time
    elif order and table.head[order].dtype.is_integer():
        keys["order"] = order
    for key, words in (("behaviour", guess.BEHAVIOUR), ("scenario", guess.SCENARIO), ("value", guess.VALUE)):
        if (column := table.called(words)) and column not in keys.values() and _fits(key, table.head[column]):
            keys[key] = column
    return _Log(table, keys, _behaviours(table, keys.get("behaviour")), _days(table, time))


def _fits(key: str, column: pl.Series) -> bool:
    if key == "value":
        return column.dtype.is_numeric()
    return column.n_unique() <= (50 if key == "behaviour" else 1000) and not column.dtype.is_float()


def _column(table: Peek, column: str) -> pl.Series:
    return read(Source(path=str(table.path)), Path(), [column])[column]


def _behaviours(table: Peek, column: str | None) -> list[str]:
    if column is None:
        return []
    counts = _column(table, column).cast(pl.String).drop_nulls().value_counts(sort=True)
    return [str(each) for each in counts[column].to_list() if each]


def _days(table: Peek, column: str | None) -> float | None:
    if column is None:
        return None
    stamps = microseconds(_column(table, column), f"{table.path.name}, column {column}").drop_nulls()
    if not len(stamps):
        return None
    first, last = span(stamps)
    return (last - first) / DAY


def _entities(page: _Page, tables: list[Peek], log: _Log | None, parts: dict[str, Peek]) -> dict[str, str]:
    """Write the entities; returns the features of items and their kinds. Tables that are used leave `tables`; those of `parts` are samples."""
    page.add("")
    page.add("entities:")
    kinds: dict[str, str] = {}
    for name, words in (("user", guess.USER), ("item", guess.ITEM)):
        whole = [t for t in tables if not _among(t, parts)]
        mine = [(t, column) for t in whole if (column := guess.id_column(t, words)) and t.unique(column) and not t.called(guess.LABEL)]
        if mine:
            found = _entity(page, name, *mine[0])
            kinds = found if name == "item" else kinds
            tables.remove(mine[0][0])
        elif log is not None:
            page.add(f"  {name}: {{id: {_quoted(log.keys[name])}}}", "no table of its own: the ids that the events name")
        elif column := next((c for t in tables if (c := guess.id_column(t, words))), None):
            page.add(f"  {name}: {{id: {_quoted(column)}}}", "no table of its own: the ids that the samples name")
    if page.lines[-1] == "entities:":
        page.lines[-1] = "entities: {}"
    return kinds


def _entity(page: _Page, name: str, table: Peek, key: str) -> dict[str, str]:
    page.add(f"  {name}:")
    page.add(f"    table: {page.path(table)}", f"every {key} stands in one row, so this is the table of {name}s")
    page.add(f"    id: {_quoted(key)}")
    kinds = _features(page, table, [c for c in table.columns if c != key], "    ")
    page.add("    # valid_from: a_time_column" + " " * 4 + "# if the table holds several states of one id, from when each was true")
    return kinds


def _features(page: _Page, table: Peek, columns: Sequence[str], indent: str) -> dict[str, str]:
    """Write `features:`, one a line; those that make none stand as comments."""
    guesses = [guess.kind(table, column) for column in columns]
    kinds: dict[str, str] = {}
    page.add(f"{indent}features:" if any(g.kind for g in guesses) else f"{indent}features: {{}}")
    for each in guesses:
        name = re.sub(r"[^\w. -]", "_", each.column).lstrip("_. -") or "column"
        if each.kind is None:
            page.add(f"{indent}  # {each.column}: left out, {each.why}")
        else:
            kinds[name] = each.kind
            value = each.kind if name == each.column else f"{{kind: {each.kind}, column: {_quoted(each.column)}}}"
            page.add(f"{indent}  {_quoted(name)}: {value}", each.why)
    return kinds


def _events(page: _Page, log: _Log) -> None:
    page.add("")
    page.add("events:")
    page.add(f"  table: {page.path(log.table)}", "names users and items")
    for key, column in log.keys.items():
        seen = f"found: {', '.join(log.behaviours[:8])}" if key == "behaviour" else ""
        page.add(f"  {key}: {_quoted(column)}", seen)
    if log.days is None:
        page.add("  # time: a_time_column    # without a time nobody knows what came first, and no answer is evidence about the future")


def _first(log: _Log, pattern: re.Pattern[str]) -> str | None:
    return next((each for each in log.behaviours if pattern.search(each)), None)


def _span(days: float) -> str:
    if days >= 1:
        return f"{int(days)}d"
    return f"{max(int(days * 24), 1)}h" if days * 24 >= 1 else f"{max(int(days * 24 * 60), 1)}min"


def _samples(page: _Page, log: _Log, items: dict[str, str]) -> None:
    """Samples and tasks that these events support, and the split."""
    buy, cart, view = _first(log, BUY), _first(log, CART), _first(log, VIEW)
    samples, tasks = [], []
    within = _span(min(7.0, (log.days or 0) / 20))
    if log.days and view and (buy or cart):
        labels = {name: each for name, each in (("cart", cart), ("buy", buy)) if each and each != view}
        written = ", ".join(f"{name}: {_quoted(each)}" for name, each in labels.items())
        samples.append(
            (f"viewed: {{recipe: outcomes, after: {_quoted(view)}, within: {within}, labels: {{{written}}}}}", "one row a view: what followed with the item")
        )
        stages = f"{{kind: funnel, samples: viewed, stages: {_listed(list(labels))}}}"
        tasks.append(f"bought: {stages if len(labels) > 1 else f'{{kind: binary, samples: viewed, label: {next(iter(labels))}}}'}")
    elif log.days and log.days >= 100:
        what = _quoted(buy or (log.behaviours[0] if log.behaviours else "event"))
        again = f"{{recipe: outcomes, after: {what}, within: 14d, every: 14d, negatives: 4, plausible: true, labels: {{again: {what}}}}}"
        samples.append((f"again: {again}", "every 14 days: which items come (back) within 14 days"))
        tasks.append("again: {kind: binary, samples: again, label: again}")
    chosen = f", behaviours: {_listed([buy])}" if buy else ""
    samples.append((f"next: {{recipe: next_item{chosen}}}", "what comes in the next basket"))
    tasks.append("next: {kind: ranking, samples: next}")
    category = next((name for name in items if items[name] == "category"), None)
    if category and log.days and log.days >= 56:
        of = _quoted(buy or (log.behaviours[0] if log.behaviours else "event"))
        samples.append((f"weekly: {{recipe: counts, of: {of}, by: {_listed([f'item.{category}'])}, every: week, ahead: 2}}", f"events a week and {category}"))
        tasks.append("demand: {kind: count, samples: weekly}")
    _written(page, samples, tasks)
    part = _span((log.days or 0) * 0.15)
    if log.days:
        page.add(f"split: {{by: time, valid: {part}, test: {part}}}", "the newest events judge, those before them choose")
    elif "order" in log.keys or not log.days:
        page.add("split: {by: leave_one_out}", "without a time: each user's last row judges")


def _written(page: _Page, samples: Sequence[tuple[str, str]], tasks: Sequence[str]) -> None:
    page.add("")
    page.add("samples:")
    for line, comment in samples:
        page.add(f"  {line}", comment)
    page.add("")
    page.add("tasks:")
    for line in tasks:
        page.add(f"  {line}")
    page.add("")


def _tables(page: _Page, tables: Sequence[Peek], parts: dict[str, Peek]) -> None:
    """Without events: each remaining table is labelled rows."""
    usable = [(t, _label(t)) for t in tables if not _among(t, parts) or t is parts["train"]]
    if not usable:
        raise ConfigError("None of the files holds events (a user, an item, a time) or labelled rows, so there is nothing to predict. Add such a file.")
    page.add("")
    page.add("samples:")
    tasks = [_table(page, table, label, parts if _among(table, parts) else {}) for table, label in usable]
    page.add("")
    page.add("tasks:")
    for line in tasks:
        page.add(f"  {line}")
    page.add("")


def _label(table: Peek) -> str:
    return table.called(guess.LABEL) or table.columns[-1]


def _parts(tables: Sequence[Peek]) -> dict[str, Peek]:
    """Part -> its file, where there is one of each by their names and all three have the same columns."""
    named = {word: [t for t in tables if re.fullmatch(pattern, t.path.name.split(".")[0], re.I)] for word, pattern in PARTS.items()}
    whole = all(len(each) == 1 for each in named.values()) and len({tuple(each[0].columns) for each in named.values()}) == 1
    return {word: each[0] for word, each in named.items()} if whole else {}


def _among(table: Peek, parts: dict[str, Peek]) -> bool:
    return any(table is each for each in parts.values())


def _table(page: _Page, table: Peek, label: str, parts: dict[str, Peek]) -> str:
    """Write one table of samples; returns the line of its task."""
    name = re.sub(r"[^\w.-]", "_", table.path.stem).lstrip("_.-") or "rows"
    page.add(f"  {_quoted(name)}:")
    page.add(f"    table: {page.path(table)}")
    ids = {entity: c for entity, words in (("user", guess.USER), ("item", guess.ITEM)) if (c := guess.id_column(table, words))}
    for entity, column in ids.items():
        page.add(f"    {entity}: {_quoted(column)}")
    time = guess.time_column(table)
    if time and time != label:
        page.add(f"    time: {_quoted(time)}")
    page.add(f"    labels: {{answer: {_quoted(label)}}}", "guessed: the column to be predicted")
    part = next((c for c in table.columns if c != label and set(table.head[c].cast(pl.String, strict=False).unique()) == {"train", "valid", "test"}), None)
    _features(page, table, [c for c in table.columns if c not in (label, time, part, *ids.values())], "    ")
    if parts:
        files = ", ".join(f"{word}: {page.path(parts[word])}" for word in ("valid", "test"))
        page.add(f"    split: {{by: given, files: {{{files}}}}}", "the files that you named after the parts")
    else:
        page.add(f"    split: {_split(table, part, time if time != label else None, ids)}")
    return f"{_quoted(name)}: {{kind: {_task(table.head[label])}, samples: {_quoted(name)}, label: answer}}"


def _split(table: Peek, part: str | None, time: str | None, ids: dict[str, str]) -> str:
    if part:
        return f"{{by: given, column: {_quoted(part)}}}"
    if time:
        return "{by: time, valid: 0.1, test: 0.2}"
    if ids:
        return f"{{by: user, of: {next(iter(ids))}, valid: 0.1, test: 0.2}}"
    return "{by: random, valid: 0.1, test: 0.2}"


def _task(label: pl.Series) -> str:
    known = label.drop_nulls()
    if label.dtype == pl.Boolean or (label.dtype.is_numeric() and set(known.unique().to_list()) <= {0, 1}):
        return "binary"
    if label.dtype.is_numeric() and known.n_unique() <= 20:
        return "graded"
    return "amount" if label.dtype.is_numeric() else "classes"
