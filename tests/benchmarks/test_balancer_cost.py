import pytest
import torch

from banyan import parts
from banyan.training.picks import ahead
from benchmarks import balancer_cost

READERS = [name for name in parts.names("balancing") if parts.find("balancing", name).reads_shared]


def seen_by(balancing, ids):
    """The shapes of the tensors that a balancer is shown in one step."""
    fit = balancer_cost.fit(ids, balancing, steps=2, batch=64)
    shown = []
    backward = fit.balancer.backward

    def watched(losses, present, shared):
        shown.extend(tuple(each.shape) for each in shared)
        return backward(losses, present, shared)

    fit.balancer.backward = watched
    fit._step(next(ahead(fit.picker, fit._make, 0, fit.total, depth=0)))
    return shown


def test_some_balancers_look_at_the_shared_tensors():
    assert "jacobian" in READERS


@pytest.mark.parametrize("name", READERS)
def test_what_a_balancer_sees_does_not_grow_with_the_number_of_ids(name):
    few, many = (seen_by(name, ids) for ids in (10_000, 100_000))
    assert few
    assert few == many
    assert all(torch.Size(shape).numel() <= 64 * 16 * 16 + 272 * 256 for shape in many)  # the rows of a batch at most, or a layer


@pytest.mark.parametrize("name", [name for name in parts.names("balancing") if name not in READERS])
def test_the_others_are_shown_nothing(name):
    assert seen_by(name, 10_000) == []


@pytest.mark.slow
def test_a_tiny_run_reports_every_balancer(tmp_path, capsys):
    said = balancer_cost.main(["--steps", "1", "--batch", "32", "--results", str(tmp_path / "R.md")])
    assert set(said["balancers"]) >= set(parts.names("balancing")) - {"jacobian"}
    assert "balancer cost" in (tmp_path / "R.md").read_text()
