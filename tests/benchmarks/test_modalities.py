"""The benchmark of modalities gives each arm what it says and nothing else, and its gains are those of a hand count."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
import torch

from banyan.store.world import make
from benchmarks import _modality_plot, modalities

KEYS = [f"{task} {metric}" for task, metric in modalities.METRICS]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("modalities")
    make(seed=0, users=100, items=60, days=60, cold=modalities.COLD, pictures=True).write(place, oracles=False)
    return place


@pytest.mark.parametrize("arm", modalities.ARMS)
def test_an_arm_has_what_it_says_and_all_have_the_same_beside_it(folder: Path, arm: str) -> None:
    store, plain = (modalities.described(folder, each, 4) for each in (arm, modalities.IDS))
    assert tuple(store.entities["item"].features) == modalities.ARMS[arm]
    assert store.entities["user"] == plain.entities["user"]
    assert (set(store.tasks), set(store.samples)) == ({"next", "bought"}, {"next", "viewed"})
    assert (store.model, store.training, store.split) == (plain.model, plain.training, plain.split)
    assert bool(store.auxiliary) == (arm == modalities.ALIGNED)
    assert store.training.seed == 4


def test_the_share_behind_is_counted_within_an_item_s_own_half(monkeypatch: pytest.MonkeyPatch) -> None:
    """Items 1 to 3 are warm, 4 to 6 cold. The scores of two rows; the first viewed item 2, the second item 5."""
    known = {"item": np.array([False, True, True, True, False, False, False])}
    feeder: Any = SimpleNamespace(data=SimpleNamespace(known=known, tables={"next": None}))
    monkeypatch.setattr(modalities, "targets", lambda *_: (np.array([0, 1, 2]), np.array([2, 5])))
    scores = torch.tensor([[1.0, 2.0, 3.0, 0.0, 0.0, 9.0], [9.0, 9.0, 9.0, 1.0, 1.0, 0.0]])
    monkeypatch.setattr(modalities, "scored", lambda *_: iter([(slice(0, 1), scores[:1]), (slice(1, 2), scores[1:])]))
    question: Any = SimpleNamespace(task="next", table="next", rows=np.array([0, 1]))
    found = modalities.behind(feeder, feeder, question)
    assert found == {"warm item": 0.5, "cold item": 0.75}


def figures(add: float) -> modalities.Figures:
    return {half: dict.fromkeys(KEYS, 0.5 + add * (half == "cold item")) for half in modalities.HALVES}


def found() -> dict[str, list[modalities.Figures]]:
    gains = dict(zip(modalities.ARMS, (0.0, 0.1, 0.2, 0.3, 0.25), strict=True))
    return {arm: [figures(gain * world) for world in (1, 2, 3)] for arm, gain in gains.items()}


def test_gains_are_each_world_s_own_over_ids() -> None:
    shown = modalities.compared(found())
    assert shown["ids"]["cold item"]["next behind"] == {"mean": 0.5}
    cold = shown["text"]["cold item"]["next behind"]
    assert cold["gain"] == pytest.approx(0.2)
    assert cold["high"] - cold["gain"] == pytest.approx(4.3027 * 0.1 / 3**0.5, abs=1e-4)
    assert shown["photo"]["warm item"]["bought auc/buy"]["gain"] == 0
    aligned = shown["both, aligned"]["cold item"]["next behind"]
    assert (aligned["gain"], aligned["over_both"]["gain"]) == (pytest.approx(0.5), pytest.approx(-0.1))
    table = modalities.table(shown)
    assert len(table) == 2 + 2 * 5 + 2
    assert all(line.count("|") == 7 for line in table)


def test_the_picture_has_a_point_for_each_gain(tmp_path: Path) -> None:
    _modality_plot.draw(tmp_path / "gains.svg", modalities.compared(found()), KEYS, modalities.HALVES)
    root = ElementTree.parse(tmp_path / "gains.svg").getroot()
    assert len(root.findall(".//{http://www.w3.org/2000/svg}circle")) == 4 * len(KEYS) * 2
    assert "nan" not in (tmp_path / "gains.svg").read_text(encoding="utf-8")
