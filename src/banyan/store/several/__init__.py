"""Several stores as one: each a scenario named `store`, with what they share found by name and content.

`join` writes the tables of all into one folder, store by store, and returns the store that describes them. Entities, features, samples and tasks
that the stores share are one; what only some have is missing in the rows of the others, as anything may be missing anywhere in this house.
An id is that of its store, `north:u17`, unless the same things bear it in both. One table of one store is held in memory at a time.
"""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from banyan.disk import whole
from banyan.errors import ConfigError
from banyan.store import fingerprint
from banyan.store.load import dump, load, spelled_out
from banyan.store.schema import Store
from banyan.store.several import page, pieces
from banyan.store.several.found import Found, find

__all__ = ["Found", "join", "slug"]

PAGE, MADE_OF = "store.yaml", "made_of.json"


def slug(store: Store) -> str:
    """The name of a store as a scenario and before ids: letters, digits, dots and dashes."""
    return re.sub(r"[^\w.]+", "-", store.store).strip("-.") or "store"


def join(stores: Sequence[Store], folder: Path, share: Mapping[str, bool] | None = None) -> tuple[Store, Found]:
    """(The store of them all, what they share). Its tables and page are written into `folder`; where they stand and nothing changed they are kept.

    `share` (`item.brand`, `user.id` -> yes or no) overrules what is found. Raises ConfigError where stores cannot be told apart or do not go together.
    """
    named = {slug(store): store for store in stores}
    if len(stores) < 2 or len(named) < len(stores):
        raise ConfigError(f"Stores that train together are two or more, of different names; found {', '.join(store.store for store in stores)}.")
    _fit(named)
    claim = json.loads(json.dumps({"share": dict(share or {}), "stores": {name: [spelled_out(s), fingerprint.of_files(s)] for name, s in named.items()}}))
    found = find(named, share or {})
    if not _stands(folder, claim):
        pieces.write(named, found, folder)
        dump(page.described(named, found, folder), folder / PAGE)
        with whole(folder / MADE_OF) as aside:
            aside.write_text(json.dumps(claim), encoding="utf-8")
    return load(folder / PAGE), found


def _stands(folder: Path, claim: object) -> bool:
    made = folder / MADE_OF
    return made.exists() and (folder / PAGE).exists() and json.loads(made.read_text(encoding="utf-8")) == claim


def _fit(named: Mapping[str, Store]) -> None:
    """Refuse what has no one meaning over several stores."""
    clocks = {name: "none" if s.events is None else "time" if s.events.time else "order" if s.events.order else "none" for name, s in named.items()}
    if len(set(clocks.values())) > 1:
        said = ", ".join(f"{name}: {clock}" for name, clock in clocks.items())
        raise ConfigError(f"The events of stores that train together have one clock, a time or an order; found {said}.")
    for name, store in named.items():
        for key, samples in store.samples.items():
            if samples.known is not None:
                raise ConfigError(
                    f"{name}, samples.{key}: a table of what is known ahead (`known`) is of one store; leave these samples out to train it with others."
                )
            if samples.split is not None and samples.split.files:
                raise ConfigError(f"{name}, samples.{key}: a split by files is of one store; write the parts into a column to train it with others.")
