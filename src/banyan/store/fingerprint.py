"""What a store's tables held, in a few words a source: by it a run that goes on tells whether its data are still the same. Knows no run."""

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from pydantic import BaseModel

from banyan.disk import sha256
from banyan.store.schema import Source, Store
from banyan.store.sources import files

WHOLE = 2**30  # bytes up to which a file is hashed from end to end
BLOCK, BLOCKS = 2**20, 256  # of a larger file so many blocks of so many bytes are, the first and the last among them

Print = dict[str, Any]  # JSON-able
Prints = dict[str, Print]  # file, or query with the columns that were read -> what it held
_noted: ContextVar[Prints | None] = ContextVar("_noted", default=None)


@contextmanager
def noting() -> Iterator[Prints]:
    """Collects the prints of the queries that are answered in the body: a query is asked once, and its answer may be another one tomorrow."""
    found: Prints = {}
    token = _noted.set(found)
    try:
        yield found
    finally:
        _noted.reset(token)


def note(source: Source, answer: pl.DataFrame) -> None:
    """Tell who collects prints what a query gave: rows, and a hash of the values that does not depend on the order of the rows."""
    if (found := _noted.get()) is None:
        return
    total = np.uint64(0)
    for part in answer.iter_slices(1_000_000):
        total += part.hash_rows(seed=0).to_numpy().sum(dtype=np.uint64)  # modulo 2^64
    name = f"{source.label} ({', '.join(answer.columns)})"
    while name in found:
        name += " again"
    found[name] = {"rows": answer.height, "values": f"{int(total):016x}", "polars": pl.__version__}


def of_files(store: Store) -> Prints:
    """The prints of all files that the store names: size and SHA-256. Raises ConfigError where there is no such file."""
    paths = {path.resolve() for source in _sources(store) if source.path is not None for path in files(source, store.folder)}
    return {str(path): _file(path) for path in sorted(paths)}


def _file(path: Path) -> Print:
    size = path.stat().st_size
    return {"bytes": size, "sha256": sha256(path)} if size <= WHOLE else {"bytes": size, "sha256 of samples": _sampled(path, size)}


def _sampled(path: Path, size: int) -> str:
    found = hashlib.sha256()
    with path.open("rb") as file:
        for start in np.linspace(0, size - BLOCK, BLOCKS, dtype=np.int64).tolist():
            file.seek(start)
            found.update(file.read(BLOCK))
    return found.hexdigest()


def _sources(value: Any) -> Iterator[Source]:
    """Every source in a description, wherever it stands."""
    if isinstance(value, Source):
        yield value
    elif isinstance(value, BaseModel):
        for key in type(value).model_fields:
            yield from _sources(getattr(value, key))
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from _sources(each)


def differences(was: Prints, now: Prints) -> Iterator[str]:
    """A phrase for each source that is not what it was. Values that other versions of polars hashed are not compared."""
    for name in dict.fromkeys([*was, *now]):
        before, after = was.get(name), now.get(name)
        if before is None or after is None:
            yield f"{name} is {'new' if before is None else 'read no more'}"
        elif said := _difference(before, after):
            yield f"{name} {said}"


def _difference(was: Print, now: Print) -> str:
    for size in ("bytes", "rows"):
        if was.get(size) != now.get(size):
            return f"had {was.get(size, 0):,} {size} and has {now.get(size, 0):,}"
    comparable = was.get("polars") == now.get("polars")
    return "holds other values than it did" if comparable and was != now else ""
