"""Promises of the linear path: pieces are those by hand, and a step in a pair feature is learned by a linear function of them."""

import numpy as np
import pytest
import torch

from banyan.features.pairs import edges
from banyan.wide import Pieces


def test_pieces_are_those_by_hand() -> None:
    pieces = Pieces([[0.0, 1.0, 3.0], [2.0], [], [0.0, 4.0]])
    found = pieces(torch.tensor([[0.5, 9.0, 9.0, 1.0], [2.0, 9.0, 9.0, 8.0], [-1.0, 0.0, 0.0, -8.0]]))
    assert found.tolist() == [[0.5, 0.0, 0.25], [1.0, 0.5, 1.0], [0.0, 0.0, 0.0]]


def test_numbers_without_edges_have_no_pieces() -> None:
    assert Pieces([[], [1.0]])(torch.ones(3, 2)).shape == (3, 0)


def test_edges_are_nothing_and_quantiles_of_what_is_there() -> None:
    pair = np.zeros((1000, 3), np.float32)
    pair[:100, 0] = np.arange(1, 101)
    pair[:, 1] = 2.0
    many, constant, none = edges([pair], 3)
    assert many[0] == 0.0
    assert many[1] == 1.0
    assert many[-1] == 100.0
    assert np.allclose(np.diff(many[1:]), 11, atol=1e-3)  # 10 edges of 1..100: evenly, since they are quantiles
    assert constant == [0.0, 2.0]
    assert none == [0.0]
    assert edges([], 2) == [[0.0], [0.0]]


@pytest.mark.parametrize("seed", [0, 1])
def test_a_step_in_a_number_is_linear_in_its_pieces(seed: int) -> None:
    rng = np.random.default_rng(seed)
    pair = np.where(rng.random((4000, 1)) < 0.6, 0.0, rng.random((4000, 1)) * 5).astype(np.float32)
    wanted = np.where((pair[:, 0] > 1.0) & (pair[:, 0] < 3.0), 1.0, 0.0)  # no line through the number itself says this
    pieces = Pieces(edges([pair], 1))(torch.from_numpy(pair)).numpy()
    straight, bent = (np.column_stack([x, np.ones(len(x))]) for x in (pair, pieces))
    left = [float(np.mean((x @ np.linalg.lstsq(x, wanted, rcond=None)[0] - wanted) ** 2) / wanted.var()) for x in (straight, bent)]
    assert left[0] > 0.8
    assert left[1] < 0.35
