"""What home promises besides the contract: a mask that follows the funnels, experts of one scale, and the scenario in what groups read."""

import pytest
import torch
from torch import Tensor

from banyan import parts
from banyan.sharing.home import ALONE, Home, _Group
from banyan.types import Sizes

SIZES = Sizes(slots={"user": slice(0, 2), "item": slice(2, 4)}, width=4, views=5, parents=(None, 0, None, 2, None), scenarios=3)


def home(sizes: Sizes = SIZES, **options: object) -> Home:
    torch.manual_seed(0)
    part = parts.build("sharing", {"part": "home", "meta": 6, "hidden": 5, "rank": 2, "scenario_width": 3, "unknown": 0.0, **options}, sizes)
    assert isinstance(part, Home)
    return part


def rows(count: int = 20) -> tuple[Tensor, Tensor]:
    draw = torch.Generator().manual_seed(1)
    return torch.randn(count, 4, 4, generator=draw), torch.randint(0, 3, (count,), generator=draw)


def test_a_funnel_is_a_category_and_the_rest_is_one() -> None:
    assert home().category == [0, 0, 2, 2, ALONE]
    assert home(Sizes(slots=SIZES.slots, width=4, views=3)).category == [ALONE] * 3


def test_a_view_reads_its_own_category_on_the_second_level_and_no_other() -> None:
    part = home().eval()
    before = part(*rows(), range(5))
    with torch.no_grad():
        part.shared[part.categories.index(2)].weight.add_(1.0)
        part.category_gates.weight[part.categories.index(2)].add_(1.0)
    same = [torch.equal(a, b) for a, b in zip(before, part(*rows(), range(5)), strict=True)]
    assert same == [True, True, False, False, True]


def test_every_category_feeds_what_all_read() -> None:
    part = home().eval()
    before = part(*rows(), [0])
    with torch.no_grad():
        part.first[1 + part.categories.index(2)].shift.add_(1.0)
    assert not torch.allclose(before, part(*rows(), [0]))


def test_experts_are_of_one_scale_whatever_they_read() -> None:
    torch.manual_seed(0)
    group = _Group(16, 0, 32, 2, 2, 0.0)
    x = torch.randn(50, 16)
    sizes = [group(scale * x, x[:, :0]).square().mean(-1) for scale in (1.0, 100.0)]
    assert all(each.min() > 0.2 and each.max() < 1.0 for each in sizes)


def test_the_gates_on_what_is_read_start_near_1() -> None:
    group = home().first[0]
    x, _ = rows()
    told = torch.cat([x.flatten(1), torch.zeros(20, 3)], 1)
    assert (2 * group.leave(group.enter(told)).sigmoid() - 1).abs().max() < 0.5


@pytest.mark.parametrize("experts", [1, 3])
def test_the_scenario_counts_and_an_unknown_one_hangs_on_no_scenarios_vector(experts: int) -> None:
    part = home(experts=experts).eval()
    x, _ = rows()
    unknown, first = part(x, torch.zeros(20, dtype=torch.int64), range(5)), part(x, torch.ones(20, dtype=torch.int64), range(5))
    assert not torch.allclose(unknown, first)
    with torch.no_grad():
        part.scenarios.table.mul_(5.0)
    assert torch.equal(part(x, torch.zeros(20, dtype=torch.int64), range(5)), unknown)
    assert not torch.allclose(part(x, torch.ones(20, dtype=torch.int64), range(5)), first)
