"""Public sets by name: what a researcher has downloaded -> tables and a store.yaml. A set is found by its file name, like a part.

Each file holds one public subclass of `Dataset`; its docstring says what to download from where, on which terms, what the columns are, which
split is whose, and the published bars. Files are read as they are published, block by block, so that a hundred million rows take little memory.
Downloads nothing.
"""

import importlib
import inspect
import pkgutil
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from banyan.errors import ConfigError
from banyan.store.datasets._folder import Folder
from banyan.store.datasets._text import Tell, silent
from banyan.store.datasets._writer import Writer
from banyan.store.hints import hint

PAGE = "store.yaml"


class Dataset(ABC):
    """One public set: how its files are found, read and described. Its facts are class attributes, so that they can be listed without data."""

    title: ClassVar[str]  # what its authors call it
    url: ClassVar[str]  # the official page
    licence: ClassVar[str]  # terms of use, as the page states them
    paper: ClassVar[str]  # what to cite
    size: ClassVar[str]  # what it holds
    split: ClassVar[str]  # whose split the page describes
    needs: ClassVar[str]  # the files, as they are called
    rows: ClassVar[Mapping[str, int]] = {}  # file name -> published number of rows; another number is told

    @abstractmethod
    def write(self, source: Folder, writer: Writer) -> str:
        """Read the files of `source`, give the tables to `writer`; returns the text of store.yaml.

        Raises ConfigError for a file that is not there, DataError for a line that is not of the published form.
        """


@dataclass(frozen=True)
class Converted:
    """What was written: the page, rows a table, and sentences on what was left out or is not as published."""

    page: Path
    rows: Mapping[str, int]
    notes: tuple[str, ...]


def names() -> list[str]:
    """The sets, by file name, sorted."""
    return sorted(m.name for m in pkgutil.iter_modules(__path__) if not m.name.startswith("_"))


def find(name: str) -> type[Dataset]:
    """The set of that name. Raises ConfigError, with a suggestion, where there is none."""
    if name not in names():
        raise ConfigError(f"There is no set {name!r}.{hint(name, names())}")
    module = importlib.import_module(f"{__name__}.{name}")
    mine = (each for key, each in vars(module).items() if inspect.isclass(each) and each.__module__ == module.__name__ and not key.startswith("_"))
    return next(each for each in mine if issubclass(each, Dataset))


def convert(name: str, source: str | Path, target: str | Path, *, share: float | None = None, force: bool = False, tell: Tell = silent) -> Converted:
    """Turn the files of a public set in the folder `source` into Parquet tables and store.yaml in the folder `target`.

    `share`: only so much of the users (or of what stands for them), whole users, the same ones each time. `tell(what, done, of)` hears of the
    progress, in bytes. Everything is written aside and moved into place at the end, store.yaml last; a run that was stopped goes on with the
    tables that are whole. Raises ConfigError, DataError; a page that is there is replaced only by `force`.
    """
    chosen, source, target = find(name)(), Path(source), Path(target)
    if share is not None and not 0 < share <= 1:
        raise ConfigError(f"The share of users lies above 0 and is at most 1; found {share}.")
    if (target / PAGE).exists() and not force:
        raise ConfigError(f"{target / PAGE} is there already; give another folder, or --force to replace it.")
    writer = Writer(target, chosen.rows, share, tell)
    page = chosen.write(Folder(source, chosen.title, chosen.needs, chosen.url), writer)
    text = "\n".join([*_head(name, chosen, writer), page.strip(), ""])
    return Converted(writer.finish(PAGE, text), writer.counts, tuple(writer.notes))


def _head(name: str, chosen: Dataset, writer: Writer) -> list[str]:
    counts = ", ".join(f"{table} {count:,}" for table, count in writer.counts.items())
    facts = [f"{chosen.title}. {chosen.url}", f"Terms: {chosen.licence}.", f"Cite: {chosen.paper}.", f"Split: {chosen.split}."]
    share = f" (--share {writer.share:g})" if writer.share is not None else ""
    return [*(f"# {fact}" for fact in facts), f"# Rows{share}: {counts}.", *(f"# {note}" for note in writer.notes), f"# Written by: banyan dataset {name}", ""]
