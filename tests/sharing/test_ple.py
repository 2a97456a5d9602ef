"""PLE: shared and own experts, level over level."""

import pytest

from tests.sharing.making import VIEWS, loss_of, make, rows


@pytest.mark.parametrize("levels", [1, 2, 3])
def test_ple_owns_what_never_reaches_the_shared_path(levels: int) -> None:
    part = make({"part": "ple", "levels": levels, "own": 2})
    owned = {id(each) for each in part.owned(1)}
    last = part.levels[-1]
    assert {id(each) for each in last.own[1].parameters()} <= owned
    assert not owned & {id(each) for each in last.shared.parameters()}
    for level in part.levels[:-1]:
        assert not owned & {id(each) for each in level.own[1].parameters()}
    for view in range(VIEWS):
        test = make({"part": "ple", "levels": levels, "own": 2})
        loss_of(test(*rows(64), range(VIEWS))[view]).backward()
        assert not any(each.grad is not None and each.grad.any() for other in range(VIEWS) if other != view for each in test.owned(other))


def test_ple_with_one_level_computes_only_the_views_asked_for() -> None:
    part = make({"part": "ple", "levels": 1})
    part(*rows(), [2]).sum().backward()
    assert all(each.grad is None for view in (0, 1, 3) for each in part.owned(view))
