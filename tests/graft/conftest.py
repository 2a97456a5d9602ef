"""Shops that are read once for all tests of this folder."""

import copy
from collections.abc import Callable
from typing import Any

import pytest

from banyan.store.open import open_store
from banyan.store.shop import Shop
from tests.graft.shops import DESCRIPTION, Side, drawn, written


@pytest.fixture(scope="session")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Shop]:
    """A shop by a change of the description, read once for each name."""
    known: dict[str, Shop] = {}

    def open_(name: str, change: Callable[[dict[str, Any]], dict[str, Any]] = copy.deepcopy, seed: int = 3) -> Shop:
        if name not in known:
            known[name] = open_store(written(tmp_path_factory.mktemp("shop"), change(DESCRIPTION), seed))
        return known[name]

    return open_


@pytest.fixture(scope="session")
def first(opened: Callable[..., Shop]) -> Side:
    return drawn(opened("first"))
