"""The figure of nearest items: its measures know the truth, and its picture holds what it says."""

from xml.etree import ElementTree

import numpy as np
import pytest

from banyan.store.world import World, make
from benchmarks import _nearest_plot, nearest


@pytest.fixture(scope="module")
def world() -> World:
    return make(seed=3, users=100, items=60, days=60, pictures=True)


def test_true_neighbours_are_told_from_random_ones(world: World) -> None:
    truth = world.truth
    unit = truth.shown / np.linalg.norm(truth.shown, axis=1, keepdims=True)
    likeness = unit @ unit.T - 2 * np.eye(len(unit))
    found = nearest.judged({"photo": np.argsort(-likeness, 1)[:, : nearest.NEAR]}, truth)
    mean, low, high = found["photo"]["what photos show"]
    assert low < mean < high
    assert mean > 0.7
    assert abs(found["chance"]["what photos show"][0]) < 0.1
    code = truth.items.codes["category"]
    same = np.mean([(code == each).sum() - 1 for each in code]) / (len(code) - 1)
    assert found["chance"]["same category"][0] == pytest.approx(same)
    assert any("by photo" in line and " to " in line for line in nearest.table(found))


def test_the_picture_holds_each_item_once_and_frames_its_own_category(world: World) -> None:
    items, code = world.frames["items"], world.truth.items.codes["category"]
    rows = nearest.chosen(world.truth)
    assert len({int(code[row]) for row in rows}) == nearest.SHOWN
    near = {"by text": np.arange(50).reshape(10, 5), "by photo": np.arange(10, 60).reshape(10, 5)}
    drawn = _nearest_plot._svg(items["photo"].to_list(), ["<a> & " + title for title in items["title"]], code, rows, near)
    tree = ElementTree.fromstring(drawn)
    spaced = "{http://www.w3.org/2000/svg}"
    assert len(tree.findall(f".//{spaced}image")) == len({*rows, *range(60)})
    assert len(tree.findall(f".//{spaced}use")) == 10 + 100
    own = sum(int(code[other] == code[row]) for each in near.values() for row, others in zip(rows, each, strict=True) for other in others)
    assert drawn.count(f'stroke="{_nearest_plot.OWN}"') == 10 + own
    assert len(drawn) < 300_000
