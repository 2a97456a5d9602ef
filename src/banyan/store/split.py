"""Which rows train, which choose, which judge. Nothing after the cut reaches training, through whatever table."""

import numpy as np
import polars as pl

from banyan.errors import ConfigError, DataError
from banyan.store.entities import newest
from banyan.store.samples.raw import Raw
from banyan.store.schema import Split, Store, duration
from banyan.store.shop import EntityFrame, EventLog
from banyan.store.times import text
from banyan.types import DROPPED, TEST, TRAIN, VALID, Array

Cut = tuple[int, int]
BLOCK = 20_000  # texts that are hashed at a time, so that long ones take little memory


def how(store: Store, name: str) -> Split:
    """The split of a samples table: its own, or the store's."""
    return store.samples[name].split or store.split


def cut(store: Store, log: EventLog | None, raws: dict[str, Raw]) -> Cut | None:
    """Where training and validation end, in microseconds (or in the log's order); None where no table is split by time.

    One for the whole store. Spans count back from the last event (or the last row, without a log with a clock), shares are shares of the
    events (of all rows). Raises ConfigError where tables disagree or nothing would be left to train on.
    """
    by_time = {name: how(store, name) for name in raws if how(store, name).by == "time"}
    if store.split.by == "time":
        by_time = {"": store.split, **by_time}
    if not by_time:
        return None
    (first, chosen), *others = by_time.items()
    for name, other in others:
        if (other.valid, other.test) != (chosen.valid, chosen.test):
            where = f"samples.{first}" if first else "the store"
            raise ConfigError(
                f"samples.{name}: its split by time says valid {other.valid} and test {other.test}, that of {where} {chosen.valid} and {chosen.test}. "
                "A cut in time is one for the whole store, or a row of one table would tell another what comes after; leave one of them out."
            )
    times = _times(log, raws, by_time)
    return None if times is None else _cut(chosen, times, log)


def _times(log: EventLog | None, raws: dict[str, Raw], by_time: dict[str, Split]) -> Array | None:
    if log is not None and log.clock != "none":
        return log.time
    stamped = [raw.time for raw in raws.values() if raw.time is not None and len(raw.time)]
    return np.concatenate(stamped) if stamped else None


def _cut(split: Split, times: Array, log: EventLog | None) -> Cut:
    if log is not None and log.clock == "order" and (isinstance(split.valid, str) or isinstance(split.test, str)):
        raise ConfigError(f"split: valid {split.valid} and test {split.test} are spans of time, and the events have an order; use shares such as 0.1.")
    after = int(times.max()) + 1
    second = _back(times, after, split.test)
    first = _back(times, second, split.valid)
    if first <= int(times.min()):
        span = "" if log is not None and log.clock == "order" else f" from {text(int(times.min()))} to {text(after)}"
        raise ConfigError(f"split: test {split.test} and valid {split.valid} leave nothing to train on; the data reach{span}. Make them shorter.")
    return first, second


def _back(times: Array, end: int, amount: str | float) -> int:
    """The moment `amount` before `end`: a span, or so many of the rows."""
    if isinstance(amount, str):
        return end - duration(amount)
    earlier = int(np.count_nonzero(times < end))
    k = earlier - round(amount * len(times))
    return end if k >= earlier else int(np.partition(times, max(k, 0))[max(k, 0)])


def split(name: str, raw: Raw, how: Split, cut: Cut | None, entities: dict[str, EntityFrame]) -> tuple[Array, dict[str, int]]:
    """(part of each row (n,) int8, reason -> rows that no part got).

    A training row's time + window is at most the first cut, a validation row's at most the second; a row that falls between is dropped.
    The cut binds every table with a time, however it is split. Raises ConfigError for a table that cannot be split so, DataError
    where no row is left to train on.
    """
    dropped: dict[str, int] = {}
    match how.by:
        case "time":
            part = _by_time(name, raw, cut)
        case "user" | "cold_item":
            part = _by_entity(name, raw, how, entities, dropped)
        case "leave_one_out":
            part = _leave_one_out(name, raw, entities, dropped)
        case "given":
            if raw.given is None:
                what = f"reads the column {how.column!r}" if how.column else "reads files"
                raise ConfigError(f"samples.{name}: a split that is given {what}, and a recipe has none. Give it a split of its own.")
            part = raw.given.astype(np.int8)
        case "random":
            part = _shares(draws(_contents(raw, entities), how.seed), how)
    if cut is not None and raw.time is not None:
        part = _settled(part, raw, cut, dropped)
    if len(part) and not (part == TRAIN).any():
        lost = "; ".join(f"{count} rows: {reason}" for reason, count in dropped.items())
        ended = f" Training ends at {text(cut[0])}." if cut and raw.time is not None and abs(cut[0]) > 10**12 else ""
        why = f" ({lost})" if lost else ""
        raise DataError(f"samples.{name}: none of {len(part)} rows is left to train on{why}.{ended} Shorten valid, test or the label window.")
    return part, dropped


def _by_time(name: str, raw: Raw, cut: Cut | None) -> Array:
    if raw.time is None or cut is None:
        raise ConfigError(
            f"samples.{name}: its rows have no time, and they are to be split by time. Name its time column, or give it a split of its own, "
            "such as split: {by: user} or split: {by: leave_one_out}."
        )
    return np.where(raw.time < cut[0], TRAIN, np.where(raw.time < cut[1], VALID, TEST)).astype(np.int8)


def _settled(part: Array, raw: Raw, cut: Cut, dropped: dict[str, int]) -> Array:
    """Drop rows whose labels settle after the end of their part."""
    assert raw.time is not None
    for code, end, word in ((TRAIN, cut[0], "training"), (VALID, cut[1], "validation")):
        settling = (raw.time + raw.window > end) & (not (raw.delays and code == TRAIN))  # else what is known of them by the cut is told apart
        late = (part == code) & ((raw.time >= end) | settling)
        if count := int(np.count_nonzero(late)):
            dropped[f"time and label window reach past the end of {word}"] = count
            part = np.where(late, DROPPED, part).astype(np.int8)
    return part


def _by_entity(name: str, raw: Raw, how: Split, entities: dict[str, EntityFrame], dropped: dict[str, int]) -> Array:
    entity = of(how)
    if entity not in raw.entities:
        raise ConfigError(
            f"samples.{name}: a split by {how.by} draws {entity} ids, and its rows name none (they name {', '.join(raw.entities) or 'no entity'}). "
            "Name another entity as `of`, or give the table a split of its own."
        )
    rows = raw.entities[entity]
    part = parts_of_ids(entities[entity], how)[rows]
    if missing := int(np.count_nonzero(rows == 0)):
        dropped[f"no {entity}"] = missing
    return part


def of(how: Split) -> str:
    """The entity whose ids a split by user or cold_item draws."""
    return how.of or ("item" if how.by == "cold_item" else "user")


def parts_of_ids(frame: EntityFrame, how: Split) -> Array:
    """(len,) int8: the part of every row number, by its id and the seed alone, so the same in every table; the missing entity is dropped."""
    part = np.full(len(frame), DROPPED, np.int8)
    part[1:] = _shares(draws(frame.ids, how.seed), how)
    return part


def _shares(draw: Array, how: Split) -> Array:
    test, valid = float(how.test), float(how.valid)
    return np.where(draw < test, TEST, np.where(draw < test + valid, VALID, TRAIN)).astype(np.int8)


def _contents(raw: Raw, entities: dict[str, EntityFrame]) -> Array:
    """(n,) text of each row: its ids, time, features and labels, of each the first 64 characters. Equal rows are one text, wherever they stand."""
    ids = {name: pl.Series(np.append("", entities[name].ids)[rows], dtype=pl.String) for name, rows in raw.entities.items()}
    times = {"time": pl.Series(raw.time)} if raw.time is not None else {}
    columns = [*ids.values(), *times.values(), *raw.context.get_columns(), *raw.labels.get_columns()]
    if not columns:
        return np.full(len(raw), "")
    texts = [_text(column).str.head(64).fill_null("").alias(str(i)) for i, column in enumerate(columns)]
    return pl.DataFrame(texts).select(pl.concat_str(pl.all(), separator="\x1f")).to_series().to_numpy()


def _text(column: pl.Series) -> pl.Series:
    if isinstance(column.dtype, (pl.List, pl.Array)):
        return column.cast(pl.List(column.dtype.inner)).list.eval(pl.element().cast(pl.String)).list.join("|", ignore_nulls=True)
    return column.cast(pl.String)


def draws(ids: Array, seed: int) -> Array:
    """(n,) float64 in [0, 1), fixed by the text of each id and the seed: an id keeps its part when others are added.

    FNV-1a over the UTF-8 bytes, one byte of all ids at a time, then the finaliser of splitmix64 (Steele et al., OOPSLA 2014).
    """
    if not len(ids):
        return np.zeros(0)
    if len(ids) > BLOCK:
        return np.concatenate([draws(ids[at : at + BLOCK], seed) for at in range(0, len(ids), BLOCK)])
    raw = np.array(pl.Series(ids, dtype=pl.String).cast(pl.Binary).to_list(), dtype=np.bytes_)
    width = raw.dtype.itemsize
    matrix = raw.view(np.uint8).reshape(len(ids), width)
    state = np.full(len(ids), 0xCBF29CE484222325, np.uint64) + np.uint64(seed % 2**63)
    for byte in range(width):
        here = matrix[:, byte]
        state = np.where(here > 0, (state ^ here) * np.uint64(0x100000001B3), state)
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(((state ^ (state >> np.uint64(31))) >> np.uint64(11)).astype(np.float64) / 2**53)


def _leave_one_out(name: str, raw: Raw, entities: dict[str, EntityFrame], dropped: dict[str, int]) -> Array:
    """The last row of a user is test, the one before it validation; with two rows there is no validation, with one row it trains."""
    if "user" not in raw.entities:
        raise ConfigError(f"samples.{name}: leave_one_out sets aside each user's last row, and the rows name no user. Give the table a split of its own.")
    user = newest(entities["user"])[raw.entities["user"]]
    n = len(user)
    time = raw.time if raw.time is not None else np.zeros(n, np.int64)
    by = pl.DataFrame({"user": user, "time": time}).select(pl.arg_sort_by("user", "time", maintain_order=True)).to_series().to_numpy()
    stop = np.searchsorted(user[by], user[by], side="right")
    length = stop - np.searchsorted(user[by], user[by], side="left")
    left = stop - 1 - np.arange(n)  # rows of the same user that come later
    sorted_part = np.where((left == 0) & (length > 1), TEST, np.where((left == 1) & (length > 2), VALID, TRAIN))
    held = np.minimum(stop - np.where(length > 2, 2, 1), n - 1)  # the user's first row that is set aside
    sorted_time = time[by]
    late = (sorted_part == TRAIN) & (length > 1) & (sorted_time + raw.window > sorted_time[held]) & (raw.window > 0)
    part = np.empty(n, np.int8)
    part[by] = np.where(late, DROPPED, sorted_part)
    part[user == 0] = DROPPED
    for reason, count in (("no user", np.count_nonzero(user == 0)), ("label window reaches the row set aside", np.count_nonzero(late & (user[by] > 0)))):
        if count:
            dropped[reason] = int(count)
    return part
