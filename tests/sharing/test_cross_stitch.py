"""Cross-stitch: towers that exchange what they hold."""

import pytest
import torch

from banyan.errors import ConfigError
from tests.sharing.making import make, rows


def test_cross_stitch_without_stitches_is_separate_towers() -> None:
    part = make({"part": "cross_stitch", "own": 1.0})
    x = rows()[0].requires_grad_()
    before = part(x, rows()[1], [0])
    with torch.no_grad():
        part.first.first[128:].zero_()  # the first layers of all towers but the first
    assert torch.equal(part(x, rows()[1], [0]), before)


def test_cross_stitch_needs_layers_to_stitch_between() -> None:
    with pytest.raises(ConfigError, match="two sizes or more"):
        make({"part": "cross_stitch", "layers": [64]})
