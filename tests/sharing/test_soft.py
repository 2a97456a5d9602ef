"""Soft sharing: towers, and the penalty on how far apart they are."""

import pytest
import torch

from banyan.errors import ConfigError
from banyan.types import Sizes
from tests.sharing.making import make


def test_soft_penalty_is_0_only_for_equal_towers_and_grows_with_their_distance() -> None:
    part = make("soft")
    assert part.penalty() == 0
    penalties = []
    for _ in range(3):
        with torch.no_grad():
            next(iter(part.owned(1))).add_(0.5)
        penalties.append(part.penalty().item())
    assert 0 < penalties[0] < penalties[1] < penalties[2]


def test_soft_penalty_by_hand() -> None:
    sizes = Sizes(slots={"item": slice(0, 1)}, width=1, views=2)
    part = make({"part": "soft", "layers": [1], "strength": 0.5}, sizes)
    with torch.no_grad():
        for view, value in enumerate((1.0, 4.0)):
            for each in part.owned(view):
                each.fill_(value)
    assert part.penalty().item() == pytest.approx(0.5 / 2 * 2 * (1.5**2 + 1.5**2))  # a weight and a bias, each 1.5 from the mean


def test_soft_penalty_is_not_negative() -> None:
    with pytest.raises(ConfigError, match="not negative"):
        make({"part": "soft", "strength": -1.0})
