"""What each balancer's paper promises of it."""

import math

import pytest
import torch
from torch import Tensor

from banyan import parts
from banyan.balancing import Balancer, _lent
from banyan.errors import ConfigError, MissingExtraError


def leaf(values: list[float]) -> Tensor:
    return torch.tensor(values, requires_grad=True)


def fighting(seed: int, tasks: int) -> tuple[Tensor, Tensor]:
    """A shared leaf and losses whose gradients on it are the rows of a random matrix."""
    matrix = torch.randn(tasks, 4, generator=torch.Generator().manual_seed(seed))
    shared = torch.zeros(4, requires_grad=True)
    return shared, matrix


def aggregated(name: str, shared: Tensor, matrix: Tensor, **options: object) -> tuple[Tensor, Tensor]:
    balancer: Balancer = parts.build("balancing", {"part": "jacobian", "aggregator": name, "options": options}, len(matrix))
    weights = balancer.backward(matrix @ shared + 1, list(range(len(matrix))), [shared])
    assert shared.grad is not None
    return shared.grad, weights


def test_fixed_is_the_sum() -> None:
    shared, matrix = fighting(0, 3)
    parts.build("balancing", "fixed", 3).backward(matrix @ shared, [0, 1, 2], [])
    assert shared.grad is not None
    torch.testing.assert_close(shared.grad, matrix.sum(0))


@pytest.mark.parametrize("seed", range(20))
def test_upgrad_opposes_no_task(seed: int) -> None:
    shared, matrix = fighting(seed, 3)
    grad, _ = aggregated("UPGrad", shared, matrix)
    assert (matrix @ grad >= -1e-3 * matrix.norm() * grad.norm()).all()


@pytest.mark.parametrize("seed", range(20))
def test_pcgrad_with_two_tasks_opposes_neither(seed: int) -> None:
    shared, matrix = fighting(seed, 2)
    grad, _ = aggregated("PCGrad", shared, matrix)
    assert (matrix @ grad >= -1e-5 * matrix.norm() * grad.norm()).all()


@pytest.mark.parametrize("seed", range(5))
def test_mgda_weighs_on_the_simplex_and_finds_the_shortest_mixture(seed: int) -> None:
    shared, matrix = fighting(seed, 2)
    grad, weights = aggregated("MGDA", shared, matrix)
    assert (weights >= 0).all()
    assert math.isclose(float(weights.sum()), 1.0, abs_tol=1e-5)
    shares = torch.linspace(0, 1, 1001)
    shortest = (shares[:, None] * matrix[0] + (1 - shares[:, None]) * matrix[1]).norm(dim=1).min()
    assert float(grad.norm()) <= float(shortest) + 0.02 * float(matrix.norm())


def test_imtlg_projects_alike_on_every_task() -> None:
    shared, matrix = fighting(3, 3)
    grad, _ = aggregated("IMTL-G", shared, matrix)
    projections = (matrix @ grad) / matrix.norm(dim=1)
    torch.testing.assert_close(projections, projections.mean().expand(3), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(("name", "options", "power"), [("nash_mtl", {"max_norm": 0.0}, 0.0), ("FairGrad", {"alpha": 3.0}, -0.5), ("CAGrad", {"c": 0.4}, 1.0)])
def test_a_method_of_another_degree_keeps_it_at_every_scale(name: str, options: dict[str, float], power: float) -> None:
    found = []
    for scale in (1e-5, 1.0, 1e5):
        shared, matrix = fighting(2, 3)
        try:
            grad, _ = aggregated(name, shared, scale * matrix, **options)
        except MissingExtraError as error:
            pytest.skip(str(error))
        found.append(grad / scale**power)
    torch.testing.assert_close(found[0], found[1], rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(found[2], found[1], rtol=1e-3, atol=1e-4)


def test_parameters_of_one_loss_get_their_plain_gradient() -> None:
    shared, own, hidden_own = leaf([1.0, -1.0]), leaf([3.0]), leaf([2.0])
    losses = torch.stack([(shared.sum() - 1).square() * own[0], (shared[0] - 2).square() * hidden_own[0] + 0 * own[0]])
    parts.build("balancing", {"part": "jacobian", "aggregator": "Mean"}, 2).backward(losses, [0, 1], [shared, own])  # `own` reaches two, with a 0
    assert own.grad is not None
    assert hidden_own.grad is not None
    assert float(own.grad) == 1.0
    assert float(hidden_own.grad) == 1.0
    assert shared.grad is not None
    torch.testing.assert_close(shared.grad, (torch.tensor([-6.0, -6.0]) + torch.tensor([-4.0, 0.0])) / 2)


def test_a_jacobian_that_is_not_finite_is_handed_on_as_a_plain_step() -> None:
    shared, matrix = fighting(0, 2)
    matrix[0, 0] = math.inf
    grad, _ = aggregated("UPGrad", shared, matrix)
    assert not grad.isfinite().all()


def test_options_by_view_follow_the_views_present() -> None:
    shared, matrix = fighting(0, 3)
    balancer = parts.build("balancing", {"part": "jacobian", "aggregator": "Constant", "options": {"weights": [1.0, 10.0, 100.0]}}, 3)
    weights = balancer.backward(matrix[[0, 2]] @ shared, [0, 2], [shared])
    assert weights.tolist() == pytest.approx([1.0, 100.0])


@pytest.mark.parametrize("spelling", ["IMTL-G", "imtl_g", "IMTLG", "imtlg"])
def test_an_aggregator_is_found_however_it_is_spelled(spelling: str) -> None:
    assert _lent.find(spelling).__name__ == "IMTLG"


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ({"aggregator": "UPGrat"}, "Did you mean 'UPGrad'"),
        ({"aggregator": "ExcessMTL"}, "every column"),
        ({"aggregator": "MGDA", "options": {"epsilom": 1}}, "Did you mean 'epsilon'"),
        ({"aggregator": "MGDA", "options": {"epsilon": -1.0}}, "must be positive"),
        ({"aggregator": "UPGrad", "options": {"pref_vector": [1.0]}}, "one for each of the model's 3"),
        ({"aggregator": "Krum"}, "needs the option 'n_byzantine'"),
        ({"aggregator": "Krum", "options": {"n_byzantine": 4}}, "does not work with 3 losses"),
    ],
)
def test_a_wrong_aggregator_is_refused_with_a_hint(spec: dict[str, object], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        parts.build("balancing", {"part": "jacobian", **spec}, 3)


def test_a_missing_solver_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torchjd._mixins.find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"banyan-commerce\[balancing\]"):
        parts.build("balancing", {"part": "jacobian", "aggregator": "CAGrad", "options": {"c": 0.5}}, 3)


def test_checking_options_draws_nothing_from_the_global_generator() -> None:
    torch.manual_seed(5)
    parts.build("balancing", {"part": "jacobian", "aggregator": "Random"}, 3)
    drawn = torch.rand(1)
    torch.manual_seed(5)
    assert torch.equal(drawn, torch.rand(1))


def test_random_methods_follow_the_global_seed() -> None:
    shared, matrix = fighting(0, 3)
    torch.manual_seed(1)
    _, one = aggregated("Random", shared, matrix)
    torch.manual_seed(1)
    _, other = aggregated("Random", shared, matrix)
    assert torch.equal(one, other)


def test_uncertainty_ends_at_one_half_over_the_loss() -> None:
    balancer = parts.build("balancing", "uncertainty", 2)
    descent = torch.optim.Adam(balancer.parameters(), lr=0.1)
    for _ in range(300):
        descent.zero_grad()
        weights = balancer.backward(torch.tensor([0.25, 4.0], requires_grad=True) * 1, [0, 1], [])
        descent.step()
    assert weights.tolist() == pytest.approx([2.0, 0.125], rel=1e-2)


def test_uncertainty_with_momentum_leaves_an_absent_view_alone() -> None:
    balancer = parts.build("balancing", "uncertainty", 3)
    descent = torch.optim.AdamW(balancer.parameters(), lr=0.1, weight_decay=0.0)
    for present in ([0, 1, 2], [0, 1, 2], [0, 1]):
        before = balancer.log_variance[2].detach().clone()
        descent.zero_grad()
        balancer.backward(torch.ones(len(present), requires_grad=True) * 3, present, [])
        descent.step()
    assert torch.equal(before, balancer.log_variance[2])


def dwa_after(epochs: list[list[float]]) -> Tensor:
    balancer = parts.build("balancing", "dwa", 3)
    for losses in epochs:
        for _ in range(2):
            balancer.backward(leaf(losses) * 1, [0, 1, 2], [])
        balancer.epoch()
    weights: Tensor = balancer.backward(leaf([1.0, 1.0, 1.0]) * 1, [0, 1, 2], [])
    return weights


def test_dwa_weighs_slow_tasks_more_and_sums_to_the_tasks_present() -> None:
    assert dwa_after([[1.0, 1.0, 1.0]]).tolist() == [1.0, 1.0, 1.0]  # one epoch tells no rate
    weights = dwa_after([[1.0, 1.0, 1.0], [0.9, 0.5, 0.1]])
    assert weights[0] > weights[1] > weights[2]
    assert float(weights.sum()) == pytest.approx(3.0)
    expected = 3 * torch.softmax(torch.tensor([0.9, 0.5, 0.1]) / 2, 0)
    torch.testing.assert_close(weights, expected)


def test_dwa_counts_only_the_steps_in_which_a_view_was_there() -> None:
    balancer = parts.build("balancing", "dwa", 2)
    for present, losses in (([0, 1], [2.0, 4.0]), ([0], [4.0]), ([0], [6.0])):
        balancer.backward(leaf(losses) * 1, present, [])
    balancer.epoch()
    assert balancer.last.tolist() == [4.0, 4.0]
    balancer.backward(leaf([1.0]) * 1, [0], [])
    balancer.epoch()
    assert balancer.last.tolist() == [1.0, 4.0]
    assert balancer.before.tolist() == [4.0, -1.0]


def test_gradnorm_equalises_the_pull_of_tasks_of_unlike_scale() -> None:
    balancer = parts.build("balancing", {"part": "gradnorm", "lr": 0.02}, 2)
    shared = leaf([0.0, 0.0])
    for _ in range(400):
        shared.grad = None
        weights = balancer.backward(torch.stack([shared[0] + 1, 9 * shared[1] + 1]), [0, 1], [shared])
    assert float(weights.sum()) == pytest.approx(2.0)
    assert float(weights[0] * 1) == pytest.approx(float(weights[1] * 9), rel=0.15)


def test_gradnorm_pushes_the_task_that_lags() -> None:
    balancer = parts.build("balancing", {"part": "gradnorm", "asymmetry": 1.0}, 2)
    shared = leaf([0.0, 0.0])
    for number in range(50):
        shared.grad = None
        fallen = torch.tensor([1.0, 1.0 if number == 0 else 0.2])  # the second task came far after the first step
        weights = balancer.backward(torch.stack([shared[0], shared[1]]) + fallen, [0, 1], [shared])
    assert weights[0] > 1.2 > 0.8 > weights[1]


def test_famo_lowers_log_losses_more_evenly_than_the_sum_does() -> None:
    def spread(name: str) -> float:
        balancer = parts.build("balancing", name, 2)
        shared = leaf([1.0, 1.0])

        def losses() -> Tensor:
            return torch.stack([100 * shared[0] ** 2, shared[1] ** 2]) + 1e-3

        start = losses().detach().log()
        for _ in range(200):
            shared.grad = None
            balancer.backward(losses(), [0, 1], [shared])
            assert shared.grad is not None
            with torch.no_grad():
                shared.sub_(0.01 * shared.grad / shared.grad.norm())
                balancer.after(losses().detach(), [0, 1])
            if losses().min() < 0.05:
                break
        won = start - losses().detach().log()
        return float((won[0] - won[1]).abs())

    assert spread("famo") < 0.5 * spread("fixed")


def test_famo_weights_sum_to_one_and_turn_to_the_task_that_gained_least() -> None:
    balancer = parts.build("balancing", "famo", 3)
    for _ in range(5):
        weights = balancer.backward(leaf([1.0, 1.0, 1.0]) * 1, [0, 1, 2], [])
        balancer.after(torch.tensor([0.5, 1.0, 0.9]), [0, 1, 2])
    assert float(weights.sum()) == pytest.approx(1.0)
    assert weights[1] > weights[2] > weights[0]


def test_famo_says_so_when_asked_to_look_back_at_nothing() -> None:
    with pytest.raises(RuntimeError, match="backward"):
        parts.build("balancing", "famo", 2).after(torch.ones(2), [0, 1])
