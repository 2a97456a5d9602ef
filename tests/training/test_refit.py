"""The last fit: validation among training, nothing of the test, as many epochs as were best, the rate as it was."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from banyan.evaluation.evaluate import validator
from banyan.features.build import build, task_options
from banyan.features.data import Data
from banyan.features.step import Feeder
from banyan.features.texts import Texts
from banyan.model import Network
from banyan.refit import refit
from banyan.store.open import open_store
from banyan.store.shop import Shop
from banyan.training.loop import Fit
from banyan.types import TEST, TRAIN, VALID

Opened = Callable[..., Shop]


@pytest.fixture(scope="module")
def page(described: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    found = described()
    found["samples"], found["tasks"] = {"next": found["samples"]["next"]}, {"next": found["tasks"]["next"]}
    found["training"] = {"epochs": 3, "batch": 32, "refit": True}
    return found


def held_out(page: dict[str, Any], by: str) -> dict[str, Any]:
    return {**page, "split": {"by": by, **({"valid": "7d", "test": "7d"} if by == "time" else {})}}


@pytest.mark.parametrize("by", ["time", "leave_one_out", "user"])
def test_rows_of_validation_train_and_the_test_stays(opened: Opened, page: dict[str, Any], by: str) -> None:
    apart = opened(None, held_out(page, by))
    whole = open_store(apart.store, merged=True)
    was, now = apart.samples["next"].part, whole.samples["next"].part
    assert (was == VALID).any()
    assert not (now == VALID).any()
    assert np.array_equal(now == TEST, was == TEST)
    assert np.array_equal(now == TRAIN, (was == TRAIN) | (was == VALID))
    assert whole.cut is None or whole.cut[0] == whole.cut[1]


def test_without_a_clock_what_validation_held_is_in_the_log_again(opened: Opened, page: dict[str, Any]) -> None:
    timeless = held_out({**page, "events": {k: v for k, v in page["events"].items() if k != "time"}}, "leave_one_out")
    apart = opened(None, timeless)
    whole = open_store(apart.store, merged=True)
    assert apart.log is not None
    assert whole.log is not None
    assert len(whole.log.item) - len(apart.log.item) == (apart.samples["next"].part == VALID).sum()


def test_it_stops_after_the_best_epoch_and_repeats_exactly(opened: Opened, page: dict[str, Any]) -> None:
    shop = opened(None, held_out(page, "leave_one_out"))
    data = build(shop)
    feeder = Feeder(data, {"next": task_options(shop.store, "next")})
    network = Network(data.plan, shop.store.model, shop.store.tasks)
    record = Fit(network, feeder, shop.store.tasks, shop.store.training, shop.store.model.balancing, evaluate=validator(feeder, shop.store.tasks)).run()
    record.best_epoch = 1
    seen: list[int] = []

    class Looks:
        def step(self, *told: Any) -> None: ...

        def epoch(self, epoch: int, *told: Any) -> None:
            seen.append(epoch)

    found: list[tuple[Data, Network]] = [refit(shop.store, network, record, Texts(), watch=Looks()) for _ in range(2)]
    assert seen == [0, 1, 0, 1]
    assert len(found[0][0].tables["next"].rows(TRAIN)) > len(data.tables["next"].rows(TRAIN))
    one, two = (each.state_dict() for _, each in found)
    assert all(bool((one[key] == two[key]).all()) for key in one)
