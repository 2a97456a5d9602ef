"""`blend: after`: the network trains without side scores, and validation rows say how much each of them counts."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
import torch
import yaml

from banyan.errors import ConfigError
from banyan.evaluation import blend
from banyan.evaluation.evaluate import validator
from banyan.evaluation.questions import ask
from banyan.features.build import build, task_options
from banyan.features.step import Feeder
from banyan.features.texts import Texts
from banyan.model import Network
from banyan.refit import refit
from banyan.store.open import open_store
from banyan.store.schema import Store
from banyan.training.loop import Fit
from banyan.types import TRAIN, VALID

ITEMS = 30


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Users who go round a circle of items."""
    folder, rng = tmp_path_factory.mktemp("circle"), np.random.default_rng(0)
    begin, count = rng.integers(0, ITEMS, 120), rng.integers(4, 9, 120)
    walks = pl.DataFrame({"user": range(120), "item": [[int(b + i) % ITEMS for i in range(c)] for b, c in zip(begin, count, strict=True)]})
    events = walks.explode("item", empty_as_null=True, keep_nulls=True).with_columns(pl.int_range(pl.len()).over("user").alias("place"))
    events.write_parquet(folder / "events.parquet")
    page = {
        "entities": {"user": {"id": "user", "embed_id": False}, "item": {"id": "item"}},
        "events": {"table": "events.parquet", "user": "user", "item": "item", "order": "place"},
        "samples": {"next": {"recipe": "next_item", "sequences": True}},
        "tasks": {"next": {"kind": "ranking", "samples": "next", "negatives": 10, "blend": "after", "leave_out": ["event"]}},
        "split": {"by": "leave_one_out"},
        "model": {"width": 4, "sharing": "linear", "history": "transformer", "pairs": False, "statistics": False, "signals": {"near": "neighbours"}},
        "training": {"epochs": 1, "batch": 128},
    }
    (folder / "store.yaml").write_text(yaml.safe_dump(page), encoding="utf-8")
    return open_store(folder / "store.yaml").store


def test_weights_are_those_under_which_the_targets_were_drawn() -> None:
    rng = torch.Generator().manual_seed(0)
    figures = torch.randn(4_000, 12, 3, generator=rng) * torch.tensor([3.0, 0.1, 1.0])
    chance = (figures @ torch.tensor([0.5, 10.0, 0.0])).softmax(1)
    target = torch.multinomial(chance, 1, generator=rng)
    wanted = torch.zeros(4_000, 12, dtype=torch.bool).scatter(1, target, True)
    counts = torch.ones_like(wanted)
    counts[:, 0] = wanted[:, 0]  # a place that does not count has no say
    found = blend._weights(figures, counts, wanted)
    assert found[0] == pytest.approx(20.0, rel=0.1)
    assert abs(found[1]) < 0.1


def test_the_network_trains_without_and_is_judged_with_them(store: Store) -> None:
    data = build(open_store(store))
    feeder = Feeder(data, {"next": task_options(store, "next")})
    training = feeder.step({"next": data.tables["next"].rows(TRAIN)}, np.random.default_rng(0))
    assert training.batches[0].choices["next"].side is None
    torch.manual_seed(0)
    network = Network(data.plan, store.model, store.tasks)
    seen: list[tuple[float, float]] = []
    look = validator(feeder, store.tasks)
    alone = validator(feeder, store.tasks)

    def judged(network: Network) -> dict[str, dict[str, float]]:
        part = network.task("next")
        part.blend(torch.zeros(1))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(blend, "fit", lambda *_: None)
            before = alone(network)["next"]["ndcg@10"]
        found = look(network)
        seen.append((before, found["next"]["ndcg@10"]))
        return found

    record = Fit(network, feeder, store.tasks, store.training, "fixed", evaluate=judged).run()
    assert seen[0][1] > seen[0][0] + 0.2  # after one epoch the circle is known to the signal alone
    assert network.task("next").linear.item() > 0
    _, again = refit(store, network, record, Texts())
    assert torch.equal(again.task("next").linear, network.task("next").linear)


def test_without_validation_rows_nothing_can_be_fitted(store: Store) -> None:
    data = build(open_store(store))
    feeder = Feeder(data, {"next": task_options(store, "next")})
    network = Network(data.plan, store.model, store.tasks)
    question = ask(data, store.tasks, VALID)["next"]
    with pytest.raises(ConfigError, match="validation rows"):
        blend.fit(network, feeder, {"next": replace(question, rows=question.rows[:0])})


def test_a_layer_over_side_scores_is_trained_with_the_network(store: Store) -> None:
    data = build(open_store(store))
    task = store.tasks["next"].model_copy(update={"hidden": 4})
    with pytest.raises(ConfigError, match="hidden"):
        Network(data.plan, store.model, {"next": task})
