"""The store's tables with what happened since: what a retraining reads. Written into a folder of its own; the shop's own files stay as they are."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import polars as pl

from banyan.disk import whole
from banyan.errors import ConfigError
from banyan.features.stock import USER
from banyan.serving.state import Journal
from banyan.store import columns
from banyan.store.events import described
from banyan.store.schema import Events, Samples, Source, Store
from banyan.store.sources import read

EVENTS, LIVE, PAGE = "events", "live", "harvest.json"
CHECKED = 100_000  # users looked up at a time among the forgotten


@dataclass(frozen=True)
class Harvest:
    """What a retraining reads."""

    until: int  # the newest event of the journal that is in it
    events: int  # of the journal that joined the shop's own
    left_out: dict[str, int]  # reason -> events of the journal that did not
    forgotten: int  # users of the shop's own tables who were left out


def harvest(store: Store, journal: Journal, folder: Path, until: int) -> tuple[Store, Harvest]:
    """(the store over its tables and the journal's events up to number `until`, what joined them). Tables are written into `folder`.

    An event joins the shop's own log when it has a user, an item, a behaviour that the log knows, and comes after the log's last one: what is older is in the
    shop's own table already. Users who were forgotten are in none of the tables. Raises ConfigError for a store without events.
    """
    if store.events is None:
        raise ConfigError("The store describes no events, so the service's events have no table to join.")
    own = described(store.events, store)
    gone = _forgotten(store, own, journal)
    own = own.filter(~own["user"].cast(pl.String).is_in(list(gone)))
    journal.table(folder / LIVE, until)
    found, left_out = _joined(own, store.events, pl.scan_parquet(folder / LIVE / "part-*.parquet"), folder / EVENTS)
    done = Harvest(until, found, left_out, len(gone))
    with whole(folder / PAGE) as aside:
        aside.write_text(json.dumps(asdict(done)), encoding="utf-8")
    return _over(store, folder, gone), done


def again(store: Store, journal: Journal, folder: Path) -> tuple[Store, Harvest] | None:
    """What `harvest` wrote into the folder before; None where it did not come to its end."""
    if not (folder / PAGE).is_file():
        return None
    done = Harvest(**json.loads((folder / PAGE).read_text(encoding="utf-8")))
    return _over(store, folder, None), done


def _forgotten(store: Store, own: pl.DataFrame, journal: Journal) -> set[str]:
    """Users of the shop's own tables who were forgotten."""
    if not journal.forgotten_since(0):
        return set()
    named = [own["user"].unique().cast(pl.String)]
    named += [columns.ids(read(source, store.folder, [column], plain=True)[column], source.label).unique() for _, source, column in _with_users(store)]
    users = pl.concat([each.alias("user") for each in named]).drop_nulls().unique().to_list()
    found = set[str]()
    for start in range(0, len(users), CHECKED):
        found |= journal.forgotten_among(users[start : start + CHECKED])
    return found


def _with_users(store: Store) -> list[tuple[str, Source, str]]:
    """(entity, samples, or samples/part; its table; its column of user ids) of the tables beside the events that name users."""
    found = []
    if (entity := store.entities.get(USER)) is not None and entity.table is not None:
        found.append((USER, entity.table, entity.id))
    for name, samples in store.samples.items():
        if samples.table is not None and USER in samples.entities:
            files = samples.split.files if samples.split is not None else {}
            sources = {f"samples.{name}": samples.table, **{f"samples.{name}/{part}": source for part, source in files.items()}}
            found += [(key, source, samples.entities[USER]) for key, source in sources.items()]
    return found


def _joined(own: pl.DataFrame, events: Events, live: pl.LazyFrame, folder: Path) -> tuple[int, dict[str, int]]:
    """Write the shop's own events and, behind them, the live ones; how many joined, and how many of the others there are for each reason."""
    folder.mkdir(parents=True, exist_ok=True)
    clocked = "time" in own.columns
    known = own["behaviour"].cast(pl.String).unique().to_list() if "behaviour" in own.columns else [events.all]
    rules = {"without a user": pl.col("user") == "", "without an item": pl.col("item").is_null(), "of an unknown behaviour": ~pl.col("behaviour").is_in(known)}
    if clocked:
        rules["not later than the shop's own log"] = pl.col("time") <= own["time"].max()
    reason = pl.coalesce(*(pl.when(rule).then(pl.lit(name)) for name, rule in rules.items()), pl.lit("")).alias("reason")
    counts = dict(live.select(reason).group_by("reason").len().collect(engine="streaming").iter_rows())
    _typed(own.lazy(), own.columns, events).sink_parquet(folder / "part-000000.parquet")
    _typed(live.filter(reason == ""), own.columns, events).sink_parquet(folder / "part-000001.parquet")
    return counts.pop("", 0), counts


def _typed(frame: pl.LazyFrame, wanted: Sequence[str], events: Events) -> pl.LazyFrame:
    """The columns of the log, of one type each, so that the two parts make one table."""
    moment = pl.col("time").cast(pl.Int64).cast(pl.Datetime("us")) if events.time else pl.col("time").cast(pl.Int64)
    kinds = {name: pl.col(name).cast(pl.String) for name in ("user", "item", "behaviour")}
    kinds |= {"time": moment, "scenario": pl.col("scenario").cast(pl.String).replace("", None), "value": pl.col("value").cast(pl.Float64)}
    return frame.select(kinds[name].alias(name) for name in kinds if name in wanted)


def _over(store: Store, folder: Path, gone: set[str] | None) -> Store:
    """The store that reads the written tables. `gone` None: the tables without the forgotten are there already, where there were any."""
    assert store.events is not None
    own = store.events
    table = Source(path=str((folder / EVENTS).resolve() / "part-*.parquet"))
    present = {name: name if getattr(own, name) else None for name in ("behaviour", "scenario", "value")}
    clock = {"time": "time" if own.time else None, "order": "time" if own.order else None}
    events = Events(table=table, user="user", item="item", all=own.all, **present, **clock)
    changed = dict[str, Source]()
    for place, (name, source, column) in enumerate(_with_users(store)):
        path = folder / f"without-{place}.parquet"
        if gone:
            raw = read(source, store.folder, plain=True)
            raw.filter(~columns.ids(raw[column], source.label).is_in(list(gone)).fill_null(False)).write_parquet(path)
        if path.is_file():
            changed[name] = Source(path=str(path.resolve()))
    entities = {name: each.model_copy(update={"table": changed[USER]}) if name == USER and USER in changed else each for name, each in store.entities.items()}
    samples = {name: _without(name, each, changed) for name, each in store.samples.items()}
    return store.model_copy(update={"events": events, "entities": entities, "samples": samples})


def _without(name: str, samples: Samples, changed: Mapping[str, Source]) -> Samples:
    """The samples over the tables that were written in place of their own."""
    if (table := changed.get(f"samples.{name}")) is None:
        return samples
    if samples.split is None or not samples.split.files:
        return samples.model_copy(update={"table": table})
    files = {part: changed[f"samples.{name}/{part}"] for part in samples.split.files}
    return samples.model_copy(update={"table": table, "split": samples.split.model_copy(update={"files": files})})
