"""What single kinds of task promise beyond the contract of all."""

from typing import Any, Literal

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor
from torch.nn import functional

from banyan import metrics, parts
from banyan.errors import ConfigError
from banyan.features.numbers import Number
from banyan.tasks import Task
from banyan.tasks.count import SMALLEST, Count
from banyan.tasks.funnel import Funnel
from banyan.tasks.graded import Graded
from banyan.tasks.ranking import Ranking
from banyan.types import Anchor, Block, Candidates, Target

FUNNELS = ("funnel", "residual_funnel", "ordinal_funnel")


def make(kind: str, width: int, target: Target, **options: Any) -> Task:
    torch.manual_seed(0)
    task: Task = parts.build("tasks", {"part": kind, **options}, width, target)
    return task


def fit(task: Task, views: Tensor, label: Tensor, weight: Tensor, steps: int = 300, lr: float = 0.05) -> np.ndarray[Any, Any]:
    """Answers after training on all rows with every label seen."""
    seen = torch.ones(len(label), label.shape[1] if task.kind == "counts" or task.views > 1 else 1, dtype=torch.bool)
    optimiser = torch.optim.Adam(task.parameters(), lr=lr)
    schedule = torch.optim.lr_scheduler.LinearLR(optimiser, 1, 0.01, steps)
    for _ in range(steps):
        optimiser.zero_grad()
        task.loss(task(views, None), label, seen, weight).sum().backward()
        optimiser.step()
        schedule.step()
    with torch.no_grad():
        return task.eval().predict(task(views, None)).double().numpy()


def planted(rows: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """(views (1, rows, 3), a signal that is linear in them)."""
    g = torch.Generator().manual_seed(seed)
    views = torch.randn(1, rows, 3, generator=g)
    return views, views[0] @ torch.tensor([1.0, -0.5, 0.25])


def flip(p: Tensor, seed: int = 1) -> Tensor:
    return (torch.rand(p.shape, generator=torch.Generator().manual_seed(seed)) < p).float()


def test_a_heads_answer_starts_at_the_prior() -> None:
    nothing = torch.zeros(3, 4, 5)
    for kind, prior, expected in [
        ("binary", (0.2,), [0.2]),
        *((kind, (0.4, 0.2, 0.05), [0.4, 0.2, 0.05]) for kind in FUNNELS),
        ("classes", (0.7, 0.2, 0.1), [0.7, 0.2, 0.1]),
        ("tags", (0.7, 0.2, 0.1), [0.7, 0.2, 0.1]),
        ("amount", (30.0, 0.25), [30.0]),
        ("count", (3.0, 0.5, 200.0), [3.0, 0.5, 200.0]),
        ("graded", (0.7,), [0.7]),
        ("graded", (0.5, 0.3, 0.2), [0.7]),
    ]:
        names = ("a", "b", "c") if kind in (*FUNNELS, "count") else ("a",)
        task = make(kind, 5, Target(names, ("0", "1", "2"), prior), tower=())
        answer = task.predict(task(nothing[: task.views], None))
        assert torch.allclose(answer, torch.tensor(expected).expand(4, -1), rtol=1e-3), kind


def test_a_binary_answer_is_the_probability() -> None:
    views, signal = planted(20_000)
    truth = (signal - 1).sigmoid()
    label = flip(truth)[:, None]
    found = fit(make("binary", 3, Target(("a",)), tower=()), views, label, torch.ones(20_000))
    assert np.abs(found[:, 0] - truth.numpy()).mean() < 0.01


def test_weights_of_one_over_the_sampling_rate_recover_the_unsampled_probability() -> None:
    views, signal = planted(60_000)
    truth = (signal - 3).sigmoid()
    label = flip(truth)
    rate = torch.where(label > 0, 1.0, 0.1)
    kept = flip(rate, 2) > 0
    args = views[:, kept], label[kept, None]
    naive = fit(make("binary", 3, Target(("a",)), tower=()), *args, torch.ones(int(kept.sum())))
    mended = fit(make("binary", 3, Target(("a",)), tower=()), *args, 1 / rate[kept])
    assert naive.mean() > 2 * truth[kept].mean()
    assert np.abs(mended[:, 0] - truth[kept].numpy()).mean() < 0.015


def test_a_funnel_never_widens_and_knows_the_whole_space() -> None:
    views, signal = planted(20_000)
    stage = torch.stack([(signal + 1).sigmoid(), (-signal).sigmoid()], 1)
    label = flip(stage).cumprod(1)
    found = fit(make("funnel", 3, Target(("cart", "buy")), tower=()), views.expand(2, -1, -1), label, torch.ones(20_000))
    assert (found[:, 1] <= found[:, 0]).all()
    assert np.abs(found - stage.cumprod(1).numpy()).mean(0).max() < 0.015


@pytest.mark.parametrize("kind", FUNNELS)
def test_every_funnel_falls_and_learns_stages_that_one_score_orders(kind: str) -> None:
    """Log odds of both stages are one signal at two levels: what all of them can say."""
    views, signal = planted(20_000)
    stage = torch.stack([(signal + 1).sigmoid(), (signal - 1).sigmoid()], 1)
    label = flip(torch.stack([stage[:, 0], stage[:, 1] / stage[:, 0]], 1)).cumprod(1)
    found = fit(make(kind, 3, Target(("cart", "buy")), tower=(8,)), views.expand(2, -1, -1), label, torch.ones(20_000))
    assert (found[:, 1] <= found[:, 0]).all()
    assert np.abs(found - stage.numpy()).mean(0).max() < 0.02


def test_a_residual_funnels_later_stage_trains_the_earlier_towers_and_never_the_other_way() -> None:
    task = make("residual_funnel", 3, Target(("view", "cart", "buy")), tower=(8, 8))
    views = torch.randn(3, 16, 3, generator=torch.Generator().manual_seed(0))
    for stage in range(3):
        task.zero_grad()
        task.loss(task(views, None), torch.ones(16, 3), torch.ones(16, 3, dtype=torch.bool), torch.ones(16))[stage].backward()
        moved = [any(p.grad is not None and p.grad.any() for p in layers.parameters()) for layers in task.towers]
        assert moved == [each <= stage for each in range(3)]


def test_an_ordinal_funnel_orders_rare_purchases_by_what_carts_teach() -> None:
    views, signal = planted(4_000)
    stage = torch.stack([signal.sigmoid(), (signal - 5).sigmoid()], 1)
    label = flip(torch.stack([stage[:, 0], stage[:, 1] / stage[:, 0]], 1)).cumprod(1)
    seen = 400  # rows that train: hardly a purchase among them
    aucs = {}
    for kind in ("funnel", "ordinal_funnel"):
        task = make(kind, 3, Target(("cart", "buy")), tower=())
        fit(task, views[:, :seen].expand(2, -1, -1), label[:seen], torch.ones(seen))
        with torch.no_grad():
            buy = task.predict(task(views[:, seen:].expand(2, -1, -1), None))[:, 1]
        aucs[kind] = metrics.auc(buy.numpy(), (stage[seen:, 1] > stage[seen:, 1].median()).float().numpy())
    assert label[:seen, 1].sum() < 10
    assert aucs["ordinal_funnel"] > max(aucs["funnel"], 0.95)


def test_a_funnels_loss_is_exact_where_products_round_to_0_or_1() -> None:
    task = Funnel(3, Target(("a", "b")))
    raw = torch.tensor([[-40.0, -40.0], [40.0, 40.0], [90.0, -90.0], [0.0, 30.0]])
    double = raw.double().sigmoid()
    for label in (0.0, 1.0):
        each = torch.stack([task.loss(raw[i : i + 1], torch.full((1, 2), label), torch.ones(1, 2, dtype=torch.bool), torch.ones(1)) for i in range(4)])
        p, q = (
            double.cumprod(1),
            torch.stack([(-raw.double()).sigmoid()[:, 0], (-raw.double()).sigmoid()[:, 0] + double[:, 0] * (-raw.double()).sigmoid()[:, 1]], 1),
        )
        assert torch.allclose(each.double(), -(p if label else q).log(), rtol=1e-5, atol=1e-12)


def test_balanced_classes_still_answer_with_probabilities() -> None:
    views, signal = planted(20_000)
    truth = torch.stack([signal + 2, signal * 0, -signal], 1).softmax(1)
    code = (truth.cumsum(1) < torch.rand(20_000, 1, generator=torch.Generator().manual_seed(5))).sum(1).clamp(max=2)
    prior = tuple((torch.bincount(code) / 20_000).tolist())
    task = make("classes", 3, Target(("a",), ("x", "y", "z"), prior), tower=(), balanced=True)
    seen = torch.ones(20_000, 1, dtype=torch.bool)
    assert task.loss(torch.zeros(20_000, 3), code, seen, torch.ones(20_000)).item() == pytest.approx(np.log(3), rel=1e-4)
    assert np.abs(fit(task, views, code, torch.ones(20_000)) - truth.numpy()).mean() < 0.02


def test_an_amounts_answer_is_the_mean_of_its_law_in_any_currency() -> None:
    views, signal = planted(20_000)
    g = torch.Generator().manual_seed(4)
    above = flip((signal - 0.5).sigmoid())
    amount = above * (signal * 0.5 + 2 + 0.7 * torch.randn(20_000, generator=g)).exp()
    truth = ((signal - 0.5).sigmoid() * (signal * 0.5 + 2 + 0.7**2 / 2).exp()).numpy()
    for currency in (1e-3, 1.0, 1e5):
        y = amount[:, None] * currency
        task = make("amount", 3, Target(("spent",), (), (float(y.mean()), float(above.mean()))), tower=())
        found = fit(task, views, y, torch.ones(20_000))[:, 0] / currency
        assert np.abs(found / truth - 1).mean() < 0.05


def test_an_amounts_loss_is_the_law_less_what_no_parameter_moves() -> None:
    task = make("amount", 3, Target(("spent",), (), (12.0, 0.4)), floor=0.2)
    raw, y = torch.tensor([[0.3, 0.5, -0.2]]), torch.tensor([[17.0]])
    found = task.loss(raw, y, torch.ones(1, 1, dtype=torch.bool), torch.ones(1)).item()
    mu, sigma, scale = 20 * np.tanh(0.5 / 20), 0.2 + 2.8 / (1 + np.exp(0.2)), 12 / 0.4
    exact = -np.log(1 / (1 + np.exp(-0.3))) - stats.lognorm.logpdf(17, sigma, scale=scale * np.exp(mu))
    assert found == pytest.approx(exact - np.log(17 * np.sqrt(2 * np.pi)) - np.log(0.2), rel=1e-5)
    assert task.predict(raw).item() == pytest.approx(scale / (1 + np.exp(-0.3)) * np.exp(mu + sigma**2 / 2), rel=1e-5)


@pytest.mark.parametrize("count", [0, 1, 7, 350, 100_000])
@pytest.mark.parametrize("variance", ["linear", "quadratic"])
def test_a_counts_loss_is_scipys_negative_binomial(count: int, variance: Literal["linear", "quadratic"]) -> None:
    task = Count(3, Target(("units",), (), (40.0,)), dispersion=0.3, variance=variance)
    raw = torch.tensor([[0.7]])
    found = task.loss(raw, torch.tensor([[float(count)]]), torch.ones(1, 1, dtype=torch.bool), torch.ones(1)).item()
    mean = task.predict(raw).item()
    size = mean / (0.3 + SMALLEST) if variance == "linear" else 1 / (0.3 + SMALLEST)
    assert found == pytest.approx(-stats.nbinom.logpmf(count, size, size / (size + mean)), rel=1e-5)


def test_a_count_starts_from_its_anchor() -> None:
    """Before training the answer is the forecast itself, whatever its size; without the number it is the training mean."""
    sold = torch.tensor([0.0, 3.0, 800.0, 20_000.0, 5.0])
    number = Number("mean_4", True, 1.5, 2.0, [], 0.0, 12.0)
    anchor = Anchor("mean_4", 1, number.log, number.mean, number.scale, floor=0.2)
    task = Count(3, Target(("w1", "w2"), (), (40.0, 50.0), anchor=anchor))
    context = Block(5, 0, torch.stack([torch.zeros(5), (sold.log1p() - 1.5) / 2.0], 1), torch.tensor([[True, True]] * 4 + [[True, False]]))
    offset = task.offset(context)
    assert offset is not None
    found = task.predict(offset)
    assert torch.allclose(found[:4], (sold[:4, None] + 0.2).expand(4, 2), rtol=1e-4)
    assert torch.allclose(task.predict(task(torch.randn(1, 5, 3), None) + offset), found, rtol=0.2), "a head that has learned nothing hardly moves it"
    assert found[4].tolist() == pytest.approx([40.0, 50.0])
    assert Count(3, Target(("w1",), (), (40.0,), anchor=anchor), anchor="none").offset(context) is None


@pytest.mark.parametrize("variance", ["linear", "quadratic"])
def test_a_count_finds_means_and_each_periods_dispersion(variance: Literal["linear", "quadratic"]) -> None:
    views, signal = planted(20_000)
    rng = np.random.default_rng(6)
    truth = np.exp(0.5 * signal.numpy()[:, None] + np.log([20.0, 400.0]))
    dispersion = np.array([5.0, 10.0]) if variance == "linear" else np.array([1.0, 0.1])
    size = truth / dispersion if variance == "linear" else 1 / dispersion
    label = torch.tensor(rng.negative_binomial(size, size / (size + truth)), dtype=torch.float32)
    task = make("count", 3, Target(("w1", "w2"), (), tuple(label.mean(0).tolist())), tower=(), variance=variance)
    found = fit(task, views, label, torch.ones(20_000))
    assert np.abs(found / truth - 1).mean() < 0.05

    def loss(factor: float) -> float:
        task.get_parameter("log_dispersion").data = torch.tensor(np.log(factor * dispersion), dtype=torch.float32)
        return task.loss(task(views, None), label, torch.ones(20_000, 2, dtype=torch.bool), torch.ones(20_000)).item()

    assert loss(1.0) < min(loss(0.85), loss(1.15)), "likeliest at the dispersion that was planted"


def test_an_averaged_grade_is_a_mixture_of_its_neighbours() -> None:
    task = Graded(3, Target(("relevance",), ("1", "2", "3")))
    raw, seen, weight = torch.tensor([[1.1, -0.4]]), torch.ones(1, 1, dtype=torch.bool), torch.ones(1)
    low, high, between = (task.loss(raw, torch.tensor([[y]]), seen, weight).item() for y in (2.0, 3.0, 2.25))
    assert between == pytest.approx(0.75 * low + 0.25 * high)


def test_an_expected_grade_is_the_mean_of_averaged_grades_and_thresholds_stay_in_order() -> None:
    views, signal = planted(20_000)
    rng = np.random.default_rng(7)
    mean = torch.stack([(signal + 1).sigmoid(), (signal - 1).sigmoid()], 1)
    votes = 1 + (torch.tensor(rng.random((20_000, 3, 1)), dtype=torch.float32) < mean[:, None]).sum(2).float()
    task = make("graded", 3, Target(("relevance",), ("1", "2", "3"), (2.0,)), tower=())
    found = fit(task, views, votes.mean(1, keepdim=True), torch.ones(20_000))
    assert np.abs(found[:, 0] - (1 + mean.sum(1)).numpy()).mean() < 0.02
    assert (task(views, None).diff(dim=1) < 0).all()


def test_grades_that_do_not_rise_are_refused_and_words_are_codes() -> None:
    with pytest.raises(ConfigError, match="must be two or more and rise"):
        make("graded", 3, Target(("g",), ("3", "1", "2")))
    with pytest.raises(ConfigError, match="must be two or more and rise"):
        make("graded", 3, Target(("g",), ("1",)))
    assert make("graded", 3, Target(("g",), ("poor", "fair", "good"))).get_buffer("levels").tolist() == [0, 1, 2]
    assert make("graded", 3, Target(("g",), ("1", "1.33", "2")), levels=(1, 2)).get_buffer("levels").tolist() == [1, 2]


def catalogue(items: int, width: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    g = torch.Generator().manual_seed(seed)
    return torch.randn(1, 16, width, generator=g), torch.randn(items, width, generator=g)


def test_a_ranking_over_all_items_is_softmax_cross_entropy() -> None:
    views, vectors = catalogue(50, 6)
    task = make("ranking", 6, Target(("next",)))
    raw = task(views, Candidates(vectors, torch.zeros(50)))
    place = torch.arange(16)[:, None] * 3
    found = task.loss(raw, place, torch.ones(16, 1, dtype=torch.bool), torch.ones(16))
    assert torch.allclose(found, functional.cross_entropy(raw, place[:, 0])[None])
    two = task.loss(raw, torch.cat([place, place + 1], 1), torch.ones(16, 1, dtype=torch.bool), torch.ones(16))
    assert torch.allclose(two, (found + functional.cross_entropy(raw, place[:, 0] + 1)) / 2)


def test_log_q_makes_a_sampled_gradient_aim_at_the_full_one() -> None:
    items, width = 400, 6
    views, vectors = catalogue(items, width)
    views, seen, weight = views[:, :1], torch.ones(1, 1, dtype=torch.bool), torch.ones(1)
    task = Ranking(width, Target(("next",)), temperature=3.0)
    g = torch.Generator().manual_seed(1)
    q = (vectors[:, 0] * 0.8 - 1.5).sigmoid().clamp(0.05, 1)  # drawn by something that the score depends on

    def gradient(chosen: Tensor, log_q: Tensor) -> Tensor:
        task.zero_grad()
        task.loss(task(views, Candidates(vectors[chosen], log_q)), torch.zeros(1, 1, dtype=torch.long), seen, weight).sum().backward()
        return torch.cat([p.grad.flatten() for p in task.parameters() if p.grad is not None])

    full = gradient(torch.arange(items), torch.zeros(items))
    sums = torch.zeros(2, len(full))
    for _ in range(300):
        drawn = (torch.rand(items - 1, generator=g) < q[1:]).nonzero()[:, 0] + 1
        chosen = torch.cat([torch.zeros(1, dtype=torch.long), drawn])
        log_q = torch.cat([torch.zeros(1), q[drawn].log()])
        sums += torch.stack([gradient(chosen, log_q), gradient(chosen, torch.zeros(len(chosen)))])
    corrected, plain = ((each / 300 - full).norm() / full.norm() for each in sums)
    assert corrected < 0.05
    assert plain > 3 * corrected


def test_log_q_is_no_part_of_an_answer_and_an_index_gives_the_same_scores() -> None:
    views, vectors = catalogue(30, 6)
    task = Ranking(6, Target(("next",), side=2), normalise=True, hidden=4).eval()
    assert task.temperature == 0.1
    side = torch.randn(16, 30, 2, generator=torch.Generator().manual_seed(2))
    answer = task(views, Candidates(vectors, torch.full((30,), -5.0), side))
    assert torch.equal(answer, task(views, Candidates(vectors, torch.zeros(30), side)))
    assert torch.allclose(task(views, Candidates(vectors, torch.zeros(30))), task.query(views) @ task.items(vectors).T)
    with pytest.raises(TypeError, match="needs candidates"):
        task(views, None)
    with pytest.raises(TypeError, match="bring 3 side scores each; the ranking was built for 2"):
        task(views, Candidates(vectors, torch.zeros(30), torch.zeros(16, 30, 3)))


def test_metrics_of_a_funnel_and_a_count_carry_their_names() -> None:
    funnel = make("funnel", 3, Target(("cart", "buy")))
    p, y, seen = np.array([[0.9, 0.1], [0.2, 0.3], [0.5, 0.5]]), np.array([[1, 0], [0, 0], [1, 1.0]]), np.array([[True, True], [True, True], [True, False]])
    found = funnel.metrics(p, y, seen, np.ones(3), np.zeros(3, np.int64))
    assert funnel.best == "auc/buy"
    assert found["auc/cart"] == 1
    assert found["gauc/cart"] == 1
    assert np.isnan(found["auc/buy"])
    count = make("count", 3, Target(("w1", "w2")))
    found = count.metrics(np.array([[1.0, 2], [3, 9]]), np.array([[2.0, 2], [2, 0]]), np.array([[True, True], [True, False]]), np.ones(2))
    assert (found["wape"], found["wape/w1"], found["wape/w2"]) == pytest.approx((2 / 6, 0.5, 0.0))
