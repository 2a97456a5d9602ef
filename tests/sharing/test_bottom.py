"""The bottom: one network for all tasks."""

import torch

from tests.sharing.making import VIEWS, make, rows


def test_bottom_gives_every_task_the_same_view() -> None:
    out = make("bottom")(*rows(), range(VIEWS))
    assert all(torch.equal(out[0], out[view]) for view in range(VIEWS))
