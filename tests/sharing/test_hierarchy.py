"""The hierarchy: a task reads the task that stands above it in a funnel."""

import torch

from banyan.types import Sizes
from tests.sharing.making import SIZES, VIEWS, make, rows


def test_hierarchy_child_depends_on_its_parent_and_not_the_other_way() -> None:
    part = make("hierarchy").eval()
    before = part(*rows(), range(VIEWS))
    with torch.no_grad():
        next(part.towers[1].parameters()).mul_(2.0)
    after = part(*rows(), range(VIEWS))
    same = [torch.equal(before[view], after[view]) for view in range(VIEWS)]
    assert same == [True, False, False, True]  # 1 is the parent of 2 and the child of 0; 3 stands alone


def test_hierarchy_without_parents_is_towers_over_a_bottom() -> None:
    sizes = Sizes(slots=SIZES.slots, width=8, views=2)
    part = make("hierarchy", sizes)
    x, scenario = rows(sizes=sizes)
    torch.testing.assert_close(part(x, scenario, [1])[0], part.towers[1](part.bottom(x.flatten(1))))
    assert not list(part.transfers.parameters())
