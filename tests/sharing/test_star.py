"""What star promises besides the contract: a scenario's network by hand, the shared part for what is unknown, and moments that every table can share."""

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from banyan import parts
from banyan.errors import ConfigError
from banyan.sharing._scenario import DECAY, DRAWN, LEAST, Grouped, Moments, hidden
from banyan.sharing.star import Star
from banyan.types import Sizes

SIZES = Sizes(slots={"user": slice(0, 2), "item": slice(2, 4)}, width=4, views=2, scenarios=4)


def star(**options: object) -> Star:
    torch.manual_seed(0)
    part = parts.build("sharing", {"part": "star", "layers": [8, 4], "auxiliary": 3, **options}, SIZES)
    assert isinstance(part, Star)
    return part


def rows(count: int = 40) -> tuple[Tensor, Tensor]:
    draw = torch.Generator().manual_seed(1)
    return torch.randn(count, 4, 4, generator=draw), torch.randint(0, 4, (count,), generator=draw)


@pytest.fixture
def trained() -> Star:
    """One whose scenarios have weights of their own, and that has seen rows."""
    part = star()
    with torch.no_grad():
        for each in part.own:
            each.normal_(0.0, 0.3)
    part(*rows(), [0])
    return part.eval()


def test_a_scenario_reads_the_shared_weights_times_its_own(trained: Star) -> None:
    x, scenario = rows()
    found = trained(x, scenario, [0])[0]
    for row in (0, 7, 11):
        code = int(scenario[row])
        gain, shift, *own, entered = trained._own(code)
        ((mean, scale),) = trained.moments.of([code])
        flat = x[row].flatten()
        out = (1 + trained.gain) * (1 + gain) * (flat - mean) * scale + trained.shift + shift
        for layer in (0, 1):
            weight, bias = trained.weights[layer] * (1 + own[2 * layer]), trained.biases[layer] + own[2 * layer + 1]
            out = functional.linear(out, weight, bias).relu()
        torch.testing.assert_close(found[row], out + trained.leave((trained.enter(flat) + entered).relu()))


def test_an_unknown_scenario_is_answered_by_the_shared_part_alone(trained: Star) -> None:
    x, scenario = rows()
    nowhere = torch.zeros_like(scenario)
    before = trained(x, nowhere, [0])
    assert not torch.allclose(before, trained(x, scenario, [0]))
    with torch.no_grad():
        for each in trained.own:
            each.add_(1.0)
    assert torch.equal(trained(x, nowhere, [0]), before)


def test_a_scenario_without_training_rows_answers_as_an_unknown_one() -> None:
    part = star(unknown=0.0)
    x, _ = rows()
    part(x, torch.ones(40, dtype=torch.int64), [0])
    part.eval()
    answers = [part(x, torch.full((40,), code), [0]) for code in (0, 3)]
    torch.testing.assert_close(*answers)
    assert answers[0].isfinite().all()


def test_only_the_rows_of_a_scenario_move_what_is_its_own() -> None:
    part = star(unknown=0.0)
    part(rows()[0], torch.full((40,), 2), [0]).square().sum().backward()
    assert [each.grad is not None for each in part.own] == [False, True, False]


def test_some_rows_train_the_shared_part_alone() -> None:
    part = star(unknown=0.5)
    scenario = torch.full((1000,), 2)
    seen = hidden(scenario, part.unknown, True)
    assert 400 < int((seen == 0).sum()) < 600
    assert torch.equal(hidden(scenario, part.unknown, False), scenario)


def test_more_scenarios_than_memory_is_meant_for_are_refused() -> None:
    many = Sizes(slots={"user": slice(0, 4)}, width=16, views=2, scenarios=5001)
    with pytest.raises(ConfigError, match=r"5000 scenarios with 16,736 weights each are 335 MB.*'most_scenarios' is 200.*pepnet"):
        parts.build("sharing", "star", many)
    few = Sizes(slots={"user": slice(0, 4)}, width=16, views=2, scenarios=4)
    with pytest.raises(ConfigError, match="'most_scenarios' is 2"):
        parts.build("sharing", {"part": "star", "most_scenarios": 2}, few)


def test_grouped_rows_come_back_in_their_order() -> None:
    scenario = torch.tensor([2, 0, 2, 1, 0])
    grouped, x = Grouped(scenario), torch.arange(5.0)
    assert (grouped.codes, grouped.sizes) == ([0, 1, 2], [2, 1, 2])
    assert [each.tolist() for each in grouped.split(x)] == [[1.0, 4.0], [3.0], [0.0, 2.0]]
    assert torch.equal(grouped.joined(grouped.split(x)), x)
    assert torch.equal(Grouped(torch.zeros(0, dtype=torch.int64)).joined([x[:0]]), x[:0])


def test_moments_are_those_of_the_rows_and_of_all_rows_where_they_are_few() -> None:
    moments = Moments(3, 1)
    draw = torch.Generator().manual_seed(0)
    near, far = torch.randn(4000, 1, generator=draw), 5 + 2 * torch.randn(6000, 1, generator=draw)
    moments.see([1, 2], [near, far])
    every = torch.cat([near, far])
    (mean, scale), (of_near, scale_of_near) = moments.of([0, 1])
    torch.testing.assert_close(mean, every.mean(0), atol=1e-4, rtol=0)
    torch.testing.assert_close(scale, (every.var(0, correction=0) + LEAST).rsqrt(), atol=1e-4, rtol=0)
    part = 4000 / (4000 + DRAWN)
    torch.testing.assert_close(of_near, part * near.mean(0) + (1 - part) * every.mean(0), atol=1e-4, rtol=0)
    by_hand = part * near.var(0, correction=0) + (1 - part) * every.var(0, correction=0) + part * (1 - part) * (near.mean(0) - every.mean(0)).square()
    torch.testing.assert_close(scale_of_near, (by_hand + LEAST).rsqrt(), atol=1e-3, rtol=0)


def test_moments_forget() -> None:
    moments = Moments(1, 1)
    for value in [0.0] * 10 + [1.0] * math.ceil(math.log(0.01) / math.log(DECAY)):
        moments.see([0], [torch.full((5, 1), value)])
    assert moments.of([0])[0][0].item() == pytest.approx(1.0, abs=0.01)


def test_moments_before_any_row_change_nothing_and_no_variance_is_no_division_by_0() -> None:
    moments = Moments(2, 1)
    assert moments.of([1])[0][1].item() == pytest.approx(1.0, abs=1e-3)
    moments.see([1], [torch.full((50, 1), 3.0)])
    for mean, scale in moments.of([0, 1]):
        assert mean.item() == pytest.approx(3.0, abs=1e-3)
        assert scale.item() < 40


def test_answering_counts_nothing_in() -> None:
    part = star().eval()
    part(*rows(), [0])
    with torch.no_grad():
        part.train()(*rows(), [0])
    assert not part.moments.weight.any()
