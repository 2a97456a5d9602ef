"""A synthetic store with planted truths: every right answer is known, and so is the best that a model could do.

`docs/world.md` tells what is planted. `make` draws it, `World.write` puts it on disk as a store, `World.oracle` holds the answers.
"""

import hashlib
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import polars as pl

from banyan.errors import ConfigError
from banyan.store.world import labels, log, oracle, photos, truth, write
from banyan.store.world.labels import Calendar, Draw, Table
from banyan.store.world.log import Views
from banyan.store.world.truth import COLD, Truth

__all__ = ["World", "gap_closed", "make", "stores"]


@dataclass(frozen=True)
class World:
    """A store whose truth is known."""

    seed: int
    null: bool
    draw: Draw
    views: Views
    samples: dict[str, Table]
    frames: dict[str, pl.DataFrame] = field(repr=False)  # every table as it is written: entities, events and samples

    @property
    def truth(self) -> Truth:
        """What is planted."""
        return self.draw.truth

    @property
    def calendar(self) -> Calendar:
        """Where training, validation and test meet."""
        return self.draw.calendar

    @cached_property
    def seer(self) -> oracle.Seer:
        """The posteriors behind the `bayes` answers, fitted at the first asking (seconds)."""
        return oracle.see(self.draw, self.views, self.samples)

    @cached_property
    def oracle(self) -> dict[str, pl.DataFrame]:
        """Samples table -> answers by `row`: columns `<label>.popularity`, `<label>.bayes` (null in training rows), `<label>.full`.

        Ordered labels have a column for each class, `<label>.<code>.<level>`. `next` holds the rank of the item viewed, keyed by user and time.
        """
        return oracle.answers(self.seer)

    def write(self, folder: Path, oracles: bool = True) -> Path:
        """Write tables, `store.yaml` and, beside them, `oracle/` and `truth/`; returns the path of store.yaml."""
        return write.write(Path(folder), self.frames, self.truth, self.null, self.oracle if oracles else {})

    def checksum(self) -> str:
        """SHA-256 of what the tables say, whatever file format holds them; floats to four decimals."""
        digest = hashlib.sha256()
        for name in sorted(self.frames):
            for column in self.frames[name].columns:
                digest.update(f"{name}.{column}".encode())
                digest.update(_content(self.frames[name][column]))
        return digest.hexdigest()


def _content(column: pl.Series) -> bytes:
    if isinstance(column.dtype, pl.List) and column.dtype.inner == pl.String:
        column = column.list.join("|")
    if column.dtype == pl.Binary:
        return b"".join(column.to_list())
    if column.dtype == pl.String:
        return "\n".join(column.fill_null("").to_list()).encode()
    values = column.explode() if isinstance(column.dtype, pl.List) else column
    if values.dtype.is_float():
        return np.round(values.cast(pl.Float64).fill_null(-1).to_numpy() * 1e4).astype("<i8").tobytes()
    return values.cast(pl.Int64).to_numpy().astype("<i8").tobytes()


def make(seed: int = 0, users: int = 5000, items: int = 2000, days: int = 120, null: bool = False, *, cold: float = COLD, pictures: bool = False) -> World:
    """Draw a world. The same arguments give the same world.

    null: every label follows a cue of its own row and nothing that tasks share, so that sharing can help none of them.
    cold: share of the items that are listed when the test begins. pictures: each item has a `photo`; all else is the same with them and without.
    Raises ConfigError when the world is too small for its own parts, or nearly all of its items are cold.
    """
    if users < 100 or items < 50 or days < 60:
        raise ConfigError(f"a world needs at least 100 users, 50 items and 60 days; found {users}, {items} and {days}.")
    if not 0 <= cold <= 0.5:
        raise ConfigError(f"cold is {cold}; a share of 0 to 0.5 of the items is listed when the test begins.")
    rng = np.random.default_rng(seed)
    world = _drawn(seed, rng, truth.draw(rng, users, items, cold), days, null)
    return _pictured(world) if pictures else world


def _pictured(world: World) -> World:
    files = photos.drawn(world.truth.shown, world.truth.items.codes["category"], world.seed)
    items = world.frames["items"].with_columns(photo=pl.Series(files, dtype=pl.Binary))
    return replace(world, frames={**world.frames, "items": items})


def _drawn(seed: int, rng: np.random.Generator, planted: Truth, days: int, null: bool) -> World:
    """The log and the tables of a truth."""
    drawn = Draw(rng, planted, oracle.calendar(days), null)
    views = log.draw(rng, planted, days, drawn.calendar.test, null)
    samples = {
        "viewed": labels.viewed(drawn, views),
        "trials": labels.trials(drawn),
        "people": labels.people(drawn),
        "club": labels.club(drawn),
        "till": labels.till(drawn),
        "judged": labels.judged(drawn),
        "campaign": labels.campaign(drawn),
        "demand": labels.demand(drawn),
    }
    frames = write.entities(rng, drawn) | {"events": write.events(rng, views, samples["viewed"])}
    return World(seed, null, drawn, views, samples, frames | {name: table.frame for name, table in samples.items()})


def stores(seed: int = 0, count: int = 5, users: int = 1000, items: int = 400, days: int = 90) -> list[World]:
    """Stores that agree: one truth (what a feature's value says of tastes, which direction a task reads), and in each store other people, items and queries.

    Each numbers its users and items from 0, as shops do. The offers are those of one chain. The same arguments give the same stores.
    Raises ConfigError when a store would be too small for its own parts.
    """
    if count < 2 or users < 100 or items < 50 or days < 60:
        raise ConfigError(f"stores are at least 2, each of at least 100 users, 50 items and 60 days; found {count}, {users}, {items} and {days}.")
    whole = truth.draw(np.random.default_rng([seed, count]), count * users, count * items)
    return [_drawn(seed, np.random.default_rng([seed, count, store]), truth.part(whole, store, count), days, null=False) for store in range(count)]


def gap_closed(model: float, popularity: float, bayes: float) -> float:
    """The share of the way from popularity to the best possible that a model went: (model - popularity) / (bayes - popularity).

    Any metric, rising or falling; 1 is the best possible, 0 no better than popularity. nan where the two do not differ.
    """
    return (model - popularity) / (bayes - popularity) if bayes != popularity else float("nan")
