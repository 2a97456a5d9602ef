"""One multi-task model for a whole store.

The house in the data's order: `store` (what the shop is) -> `features` (tables to tensors) -> `encoders`, `history` (features and
events to tokens) -> `sharing` (tokens to views) -> `tasks` (views to answers), wired in `model`; `balancing` and `training` fit it,
`evaluation` says what each task gained, `bundle` keeps and serves it. Importing this package imports none of them.
"""

from typing import TYPE_CHECKING, Any

from banyan.errors import BanyanError, BundleError, ConfigError, DataError, MissingExtraError

if TYPE_CHECKING:
    from banyan.bundle import Bundle
    from banyan.run import Run, check, evaluate, train
    from banyan.store.load import load
    from banyan.store.schema import Store

__version__ = "0.1.0"
__all__ = ["BanyanError", "Bundle", "BundleError", "ConfigError", "DataError", "MissingExtraError", "Run", "Store", "check", "evaluate", "load", "train"]

_WHERE = {
    "Bundle": "banyan.bundle",
    "Run": "banyan.run",
    "Store": "banyan.store.schema",
    "check": "banyan.run",
    "evaluate": "banyan.run",
    "load": "banyan.store.load",
    "train": "banyan.run",
}


def __getattr__(name: str) -> Any:
    """The public names, imported when they are first asked for: torch is not loaded to read a store.yaml."""
    if name in _WHERE:
        import importlib

        return getattr(importlib.import_module(_WHERE[name]), name)
    raise AttributeError(f"module 'banyan' has no attribute {name!r}")


def __dir__() -> list[str]:
    """The public names, also those that are not imported yet."""
    return sorted([*__all__, "__version__"])
