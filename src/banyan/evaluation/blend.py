"""Weights of a ranking's side scores, fitted to validation rows: how much to trust the network, how much what everybody did.

A network that trains beside a good signal leaves to the signal what it says, and learns little more; one that trains alone finds what goes with
what by itself, and the two err in different places. Their weights cannot come from training rows, which the network knows by heart.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from banyan import inference
from banyan.errors import ConfigError
from banyan.evaluation.questions import Question
from banyan.features import past_figures
from banyan.features.pairs import spans
from banyan.features.step import Feeder
from banyan.model import Network
from banyan.types import Array

POOL = 200  # items of a row that are looked at, as many from each source; what no source ranks among its first has no say in the first places
LEAST = 10  # from each source
CELLS = 32_000_000  # most figures held at once
ROUNDS = 100
FACTORS = (1.0, 0.7, 1.4)  # few and near: the metric of some thousand rows is noisy
TOP = 10
SHRINK = 1e-3  # of the weights, squared, in nats a row


def fit(network: Network, feeder: Feeder, questions: Mapping[str, Question]) -> None:
    """Give every ranking with `blend: after` the weights that suit its validation rows. Raises ConfigError without such rows.

    First those under which the rows are likeliest: a softmax over each row's first items by the network and by each side score, whose weights are
    divided by that of the network's own score, so that only what the order hangs on is left. Then, one at a time, each is multiplied by the
    factor of `FACTORS` with the best NDCG at `TOP`: likelihood asks as much about the fortieth item as about the first.
    """
    for name, question in questions.items():
        if not network.task(name).after:
            continue
        if not len(question):
            raise ConfigError(f"tasks.{name}: `blend: after` fits weights to validation rows, and there are none; give the split some, or take `together`.")
        pool = _pooled(network, feeder, question)
        network.task(name).blend(_turned(_weights(*pool), *pool).to(inference.device_of(network)))


def _pooled(network: Network, feeder: Feeder, question: Question) -> tuple[Tensor, Tensor, Tensor]:
    """((n, P, 1 + F) the network's score and the side scores of each row's pool, (n, P) whether a place counts, (n, P) whether it is a target)."""
    data, stock = feeder.data.tables[question.table], feeder.stock
    assert data.moment is not None
    assert data.targets is not None
    everything = np.arange(1, len(stock.entities["item"]))
    most = max(1, CELLS // (len(everything) * (1 + len(feeder.plan.side))))
    left = network.task(question.task).leave_out
    found = []
    for where, score in inference.scores(network, feeder, question.task, question.table, question.rows, sided=False, most=most):
        rows = question.rows[where]
        moment = data.moment.take(rows)
        figures = torch.stack([score.cpu(), *past_figures.side(stock, moment, everything).whole().unbind(2)])
        allowed = torch.ones(score.shape, dtype=torch.bool)
        if left:
            by, had = stock.had(moment, left)
            allowed[torch.from_numpy(by), torch.from_numpy(had - 1)] = False
        found.append(_pool(figures, allowed, _targets(data.targets, rows, score.shape)))
    return _together(found)


def _targets(targets: tuple[Array, Array], rows: Array, shape: Sequence[int]) -> Tensor:
    """(n, items) which items are targets of each row."""
    offsets, items = targets
    at, owner = spans(offsets[rows], offsets[rows + 1])
    found = torch.zeros(tuple(shape), dtype=torch.bool)
    found[torch.from_numpy(owner), torch.from_numpy(items[at].astype(np.int64) - 1)] = True
    return found


def _pool(figures: Tensor, allowed: Tensor, targets: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Of (1 + F, n, items) figures those of each row's first items by each of them.

    A target that is not among them is not added: an item that stands there only for being the target would teach that a low score is a good one.
    """
    most = min(max(POOL // len(figures), LEAST), figures.shape[2])
    first = [each.masked_fill(~allowed, -torch.inf).topk(most, dim=1).indices for each in figures]
    items = torch.cat(first, 1).sort(1).values
    fresh = torch.cat([torch.ones_like(items[:, :1], dtype=torch.bool), items[:, 1:] != items[:, :-1]], 1)
    counts = fresh & allowed.gather(1, items)
    return torch.stack([each.gather(1, items) for each in figures], 2), counts, targets.gather(1, items) & counts


def _together(found: list[tuple[Tensor, Tensor, Tensor]]) -> tuple[Tensor, Tensor, Tensor]:
    """Blocks whose pools may be of different sizes, one below the other; only rows with a target that counts."""
    size = max(counts.shape[1] for _, counts, _ in found)
    wide = [[pad(each, (0,) * 2 * (each.ndim - 2) + (0, size - each.shape[1])) for each in block] for block in found]
    figures, counts, wanted = (torch.cat(each) for each in zip(*wide, strict=True))
    has = wanted.any(1)
    return figures[has], counts[has], wanted[has]


def _weights(figures: Tensor, counts: Tensor, wanted: Tensor) -> Tensor:
    """(F,) weights of the side scores beside a weight of 1 for the network's own: the minimum of a convex loss, by L-BFGS."""
    scale = figures[counts].std(0).clamp(min=1e-6) if len(figures) else torch.ones(figures.shape[2])
    x = figures / scale
    share = wanted / wanted.sum(1, keepdim=True)
    w = torch.zeros(x.shape[2])
    w[0] = 1.0
    w.requires_grad_(True)
    solver: torch.optim.Optimizer = torch.optim.LBFGS([w], max_iter=ROUNDS, line_search_fn="strong_wolfe")

    def loss() -> float:
        solver.zero_grad()
        chance = (x @ w).masked_fill(~counts, -torch.inf).log_softmax(1).masked_fill(~wanted, 0.0)
        cost = -(share * chance).sum(1).mean() + SHRINK * w.square().sum()
        torch.autograd.backward(cost)
        return float(cost.detach())

    with torch.enable_grad():
        solver.step(loss)
    found = w.detach() / scale
    return found[1:] / found[0].clamp(min=1e-3 / float(scale[0]))


def _turned(weights: Tensor, figures: Tensor, counts: Tensor, wanted: Tensor) -> Tensor:
    """The weights, each in its turn multiplied by the factor that ranks the pools' targets best; 1 where several do."""
    with torch.no_grad():
        side = figures[..., 1:]
        total = (figures[..., 0] + side @ weights).masked_fill(~counts, -torch.inf)
        for i in range(len(weights)):
            tried = [_gain(total + (factor - 1) * weights[i] * side[..., i], wanted) for factor in FACTORS]
            factor = FACTORS[int(np.argmax(tried))]
            total = total + (factor - 1) * weights[i] * side[..., i]
            weights = weights.index_fill(0, torch.tensor([i]), float(weights[i]) * factor)
    return weights


def _gain(total: Tensor, wanted: Tensor) -> float:
    """Mean over all targets of 1 / log2(rank + 1), for ranks up to `TOP`."""
    row, place = wanted.nonzero(as_tuple=True)
    rank = (total[row] >= total[row, place][:, None]).sum(1)
    return float(torch.where(rank <= TOP, 1 / (rank + 1.0).log2(), 0.0).mean()) if len(row) else 0.0
