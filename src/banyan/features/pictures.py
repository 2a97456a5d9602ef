"""A column of pictures -> one array: frozen vectors, kept on disk by content, or small pictures for a network that is trained. Knows no table.

A picture that is missing or broken is a row of zeros. What is broken is counted, told, and refused where it is most of a column.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing, nullcontext
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np
import polars as pl

from banyan.errors import DataError
from banyan.features import colours, picture_networks, views
from banyan.features.picture_cache import PictureCache, Stamp, digest, stamp
from banyan.features.picture_networks import Sight
from banyan.store import pictures
from banyan.store.pictures import Broken
from banyan.store.schema import Feature
from banyan.types import Array

BATCH = 64  # pictures that a network looks at together, and that are written to the cache together
ROOM = 1.15  # how much larger a picture is read where views are cropped from it
NAMED = 3  # broken pictures that a message names
Progress = Callable[[int, int], None]
Source = bytes | str  # a picture's own bytes, or the path of its file
_open = lru_cache(maxsize=2)(picture_networks.opened)


@dataclass
class Pictures:
    """Turns picture columns into arrays. `cache` is an SQLite file, made when it is not there; None keeps nothing."""

    cache: Path | None = None
    progress: Progress | None = None  # (done, total) pictures of a column
    notes: list[str] = field(default_factory=list)  # what was broken, a sentence a column

    def arrays(self, column: pl.Series, feature: Feature, where: str) -> Array:
        """(n, entries) float16 vectors, one beside the other for each view, or (n, entries) uint8 of small pictures. Raises DataError, ConfigError."""
        broken: dict[int, str] = {}
        found = np.zeros((len(column), entries(feature)), np.uint8 if feature.pixels else np.float16)
        rows = np.flatnonzero(column.is_not_null().to_numpy())
        with closing(PictureCache(self.cache)) if self.cache and not feature.pixels else nullcontext() as store:
            for start in range(0, len(rows), BATCH):
                sources = {int(row): column[int(row)] for row in rows[start : start + BATCH]}
                batch = _small(sources, feature, broken) if feature.pixels else _Batch(sources, feature, store, broken).vectors()
                for row, array in batch.items():
                    found[row] = array
                if self.progress:
                    self.progress(start + len(sources), len(rows))
        self._told(column, broken, where)
        return found

    def _told(self, column: pl.Series, broken: dict[int, str], where: str) -> None:
        if not broken:
            return
        there = len(column) - column.null_count()
        first = "; ".join(f"row {row + 1}{_shown(column[row])}: {broken[row]}" for row in sorted(broken)[:NAMED])
        counts = ", ".join(f"{count:,} {reason}" for reason, count in Counter(broken.values()).most_common())
        said = f"{where}: {len(broken):,} of {there:,} pictures cannot be read ({counts}). {first}."
        if len(broken) > pictures.MOST_BROKEN * there and there > 1:
            raise DataError(f"{said} More than {pictures.MOST_BROKEN:.0%} is no accident: correct the column or what the feature is `under`.")
        self.notes.append(f"{said} They count as missing.")


def entries(feature: Feature) -> int:
    """Entries of a row of a feature's array."""
    return 3 * feature.pixels**2 if feature.pixels else feature.views * (_open(feature.network).width + colours.WIDTH)


def _shown(source: Source) -> str:
    return f" ({source})" if isinstance(source, str) else ""


def _small(sources: dict[int, Source], feature: Feature, broken: dict[int, str]) -> dict[int, Array]:
    """Row -> its small picture, flat, at least 1 everywhere."""
    found = {}
    for row, source in sources.items():
        try:
            found[row] = np.maximum(pictures.pixels(source, feature.pixels)[0], 1).reshape(-1)
        except Broken as reason:
            broken[row] = str(reason)
    return found


@dataclass
class _Batch:
    """A few pictures on their way to vectors."""

    sources: dict[int, Source]
    feature: Feature
    store: PictureCache | None
    broken: dict[int, str]  # row -> why; grows

    def __post_init__(self) -> None:
        self.sight = _open(self.feature.network)
        self.kind = f"{self.sight.name}\0{colours.WIDTH}\0{self.feature.frames}\0{self.feature.views}\0".encode()

    def vectors(self) -> dict[int, Array]:
        """Row -> vector of each picture that can be read; each content is looked at once."""
        keys = {row: digest(self.kind + content) for row, content in self._contents().items()}
        held = self.store.read(list(dict.fromkeys(keys.values())), entries(self.feature)) if self.store else {}
        stacks: dict[bytes, list[Array]] = {}
        for row, key in keys.items():
            if key not in held and key not in stacks:
                try:
                    stacks[key] = self._views(self.sources[row], key)
                except Broken as reason:
                    self.broken[row] = str(reason)
        if stacks:
            new = dict(zip(stacks, _looked_at(list(stacks.values()), self.sight), strict=True))
            if self.store:
                self.store.write(new)
            held.update(new)
        for row in (row for row, key in keys.items() if key not in held and row not in self.broken):
            self.broken[row] = next(self.broken[other] for other, key in keys.items() if key == keys[row] and other in self.broken)
        return {row: held[key] for row, key in keys.items() if key in held}

    def _contents(self) -> dict[int, bytes]:
        """Row -> 16 bytes of its picture's content; a file that has not changed is not read again."""
        paths = [source for source in self.sources.values() if isinstance(source, str)]
        known = self.store.contents(paths) if self.store else {}
        found: dict[int, bytes] = {}
        fresh: list[tuple[str, Stamp, bytes]] = []
        for row, source in self.sources.items():
            try:
                if isinstance(source, bytes):
                    found[row] = digest(source)
                elif source in known:
                    found[row] = known[source]
                else:
                    when = stamp(source)
                    found[row] = digest(pictures.content(source))
                    fresh.append((source, when, found[row]))
            except Broken as reason:
                self.broken[row] = str(reason)
        if self.store:
            self.store.remember(fresh)
        return found

    def _views(self, source: Source, key: bytes) -> list[Array]:
        """For each view the frames (F, s, s, 3): the first as they are, the others changed in ways that hang on the content alone."""
        side, rng = max(self.sight.side, colours.SIDE), np.random.default_rng(np.frombuffer(key, np.uint32))
        found = [pictures.pixels(source, side, self.feature.frames)]
        if self.feature.views > 1:
            large = pictures.pixels(source, int(side * ROOM), self.feature.frames)
            found += [np.stack([views.changed(frame, side, rng) for frame in large]) for _ in range(self.feature.views - 1)]
        return found


def _looked_at(stacks: Sequence[Sequence[Array]], sight: Sight) -> Array:
    """(n, V * E) float16: of each picture and view the mean over its frames of what the network says, and of the colours."""
    runs = [frames for views_ in stacks for frames in views_]
    starts = np.cumsum([0, *(len(frames) for frames in runs[:-1])])
    flat = [frame for frames in runs for frame in frames]
    said = [sight.look(np.stack([_sampled(frame, sight.side) for frame in flat[i : i + BATCH]])) for i in range(0, len(flat), BATCH)]
    seen = np.stack([colours.histograms(_sampled(frame, colours.SIDE)) for frame in flat])
    each = np.concatenate([np.concatenate(said), seen], 1)
    means = np.add.reduceat(each, starts, axis=0) / np.diff([*starts, len(flat)])[:, None]
    if not np.isfinite(means).all():
        raise DataError(f"The network {sight.name} gave a vector that is not finite; choose another one.")
    return np.clip(means, -60_000, 60_000).reshape(len(stacks), -1).astype(np.float16)


def _sampled(picture: Array, side: int) -> Array:
    """(side, side, 3) of a picture (s, s, 3): the pixels nearest to a grid."""
    place = ((np.arange(side) + 0.5) * len(picture) / side).astype(int)
    return picture if side == len(picture) else picture[place][:, place]
