"""Answers from a network, in blocks, in fp32: predictions for rows, ranks of targets, top items. Trains nothing."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from banyan.features import past_figures
from banyan.features.step import Feeder
from banyan.features.stock import ITEM, Moment, Stock
from banyan.model import Network, Ready
from banyan.types import Array, Candidates

BLOCK = 8192  # rows answered together
CELLS = 64_000_000  # most floats of side scores held at once


def device_of(network: Network) -> torch.device:
    """Where the network's weights are."""
    return network.embeddings.weight.device


@torch.no_grad()
def predict(network: Network, feeder: Feeder, table: str, rows: Array, tasks: Sequence[str], *, calibrated: bool = True) -> dict[str, Array]:
    """Each task's answers in its own unit for rows of one table: (n, columns) float32; with `calibrated`, through the tasks' maps."""
    network.eval()
    found: dict[str, list[Array]] = {task: [] for task in tasks}
    for start in range(0, len(rows), BLOCK):
        step = feeder.step({table: rows[start : start + BLOCK]}, choose=False).to(device_of(network))
        encoded = network.encode(step, network.embeddings.leaf(step.distinct))
        for name, views in network.shared(step.batches[0], tasks, encoded):
            part = network.task(name)
            answer = part.predict(network.raw(name, step.batches[0], views).float()).cpu().numpy()
            answer = answer.reshape(len(answer), -1)
            found[name].append(network.calibrated(name, answer) if calibrated else answer)
    return {task: np.concatenate(each) if each else np.zeros((0, 1), np.float32) for task, each in found.items()}


@torch.no_grad()
def vectors(network: Network, feeder: Feeder, first: int = 1) -> Tensor:
    """(items, H) vectors of all items from row number `first` on; entry r - first is row number r's."""
    network.eval()
    count = len(feeder.stock.entities[ITEM])
    blocks = []
    for start in range(first, count, BLOCK):
        step, place = feeder.catalogue(ITEM, np.arange(start, min(start + BLOCK, count)))
        step, place = step.to(device_of(network)), place.to(device_of(network))
        encoded = network.encode(step, network.embeddings.leaf(step.distinct))
        blocks.append(network.vectors(encoded)[place])
    return torch.cat(blocks)


@torch.no_grad()
def tokens(network: Network, feeder: Feeder, entity: str, rows: Array) -> Ready:
    """The tokens of an entity's rows, for `Encodings.beside`. Raises KeyError for an entity without features."""
    network.eval()
    blocks: list[Ready] = []
    for start in range(0, max(len(rows), 1), BLOCK):
        step, place = feeder.catalogue(entity, rows[start : start + BLOCK])
        step, place = step.to(device_of(network)), place.to(device_of(network))
        blocks.append(network.encode(step, network.embeddings.leaf(step.distinct)).ready(entity, place))
    return [[torch.cat(copies) for copies in zip(*trunks, strict=True)] for trunks in zip(*blocks, strict=True)]


def scores(
    network: Network, feeder: Feeder, task: str, table: str, rows: Array, items: Tensor | None = None, *, sided: bool = True, most: int = 1024
) -> Iterator[tuple[slice, Tensor]]:
    """(Which of the rows, (B, items) scores of all items), at most `most` rows a block. `items` are `vectors`, when they are at hand.

    Without `sided` the scores are those of the vectors alone.
    """
    network.eval()
    items = vectors(network, feeder) if items is None else items
    everything = np.arange(1, len(items) + 1)
    data = feeder.data.tables[table]
    side = feeder.plan.side if sided and data.moment is not None else []
    part = network.task(task)
    block = max(1, min(most, CELLS // (len(items) * (max(len(side), 1) if part.linear is None else 1))))
    for start in range(0, len(rows), block):
        chosen = rows[start : start + block]
        with torch.no_grad():  # not a decorator: a generator that another decorator wraps would escape it
            step = feeder.step({table: chosen}, tasks=[], choose=False).to(items.device)
            encoded = network.encode(step, network.embeddings.leaf(step.distinct))
            (_, views) = next(network.shared(step.batches[0], [task], encoded))
            found = compared(part, views, items, feeder.stock, data.moment.take(chosen) if side and data.moment is not None else None, everything)
        yield slice(start, start + len(chosen)), found


def compared(part: Any, views: Tensor, vectors: Tensor, stock: Stock, moment: Moment | None, items: Array) -> Tensor:
    """(B, K) scores by a ranking task's part of K distinct items, whose `vectors` (K, H) are given; with a moment, side scores are in."""
    side, linear = stock.plan.side if moment is not None else [], part.linear
    extra = past_figures.side(stock, moment, items).whole().to(vectors.device) if side and moment is not None and linear is None else None
    raw = part(views, Candidates(vectors, torch.zeros(len(vectors), device=vectors.device), extra))
    if side and moment is not None and linear is not None:
        raw += torch.from_numpy(past_figures.weighed(stock, moment, items, linear.detach().cpu().numpy())).to(vectors.device)
    found: Tensor = part.predict(raw)
    return found


def ranks(network: Network, feeder: Feeder, task: str, table: str, rows: Array, leave_out: Sequence[str] | None = None) -> Array:
    """(n, T) rank, from 1, of each row's targets among all items; ties count against us; nan padded.

    Items that a row's past holds by a behaviour of `leave_out` (the task's own unless given) stand last, a target among them too.
    """
    data = feeder.data.tables[table]
    left = network.task(task).leave_out if leave_out is None else leave_out
    assert data.targets is not None
    offsets, targets = data.targets
    counts = offsets[rows + 1] - offsets[rows]
    found = np.full((len(rows), max(int(counts.max(initial=1)), 1)), np.nan, np.float32)
    for where, score in scores(network, feeder, task, table, rows):
        if left and data.moment is not None:
            by, had = feeder.stock.had(data.moment.take(rows[where]), left)
            score[torch.from_numpy(by).to(score.device), torch.from_numpy(had - 1).to(score.device)] = -torch.inf
        for i in range(found.shape[1]):
            has = np.flatnonzero(counts[where] > i)
            place = torch.from_numpy(targets[offsets[rows[where]][has] + i].astype(np.int64) - 1).to(score.device)
            mine = score[torch.from_numpy(has).to(score.device)]
            found[where.start + has, i] = (mine >= mine.gather(1, place[:, None])).sum(1).cpu().numpy()
    return found


def top(network: Network, feeder: Feeder, task: str, table: str, rows: Array, k: int) -> tuple[Array, Array]:
    """((n, k) item row numbers, (n, k) scores), best first; equal scores in the order of row numbers."""
    ids, values = [], []
    for _, score in scores(network, feeder, task, table, rows):
        places, best = leading(score, k)
        ids.append(places + 1)
        values.append(best)
    if not ids:
        return np.zeros((0, k), np.int64), np.zeros((0, k), np.float32)
    return np.concatenate(ids), np.concatenate(values)


def leading(score: Tensor, k: int) -> tuple[Array, Array]:
    """((B, k) int64 columns of the k largest of (B, K) scores, (B, k) of those), best first; equal ones in the order of the columns."""
    k = min(k, score.shape[1])
    best = torch.topk(score, k, dim=1)
    values, places = best.values.cpu().numpy(), best.indices.cpu().numpy()
    order = np.lexsort((places, -values), axis=1)
    values, places = np.take_along_axis(values, order, 1), np.take_along_axis(places, order, 1)
    if k:
        edge = best.values[:, -1:]  # of those equal to the last, topk may have kept any
        torn = (score == edge).sum(1) > (best.values == edge).sum(1)
        if torn.any():
            rows = torn.cpu().numpy()
            sure = torch.sort(score[torn], dim=1, descending=True, stable=True)
            values[rows], places[rows] = sure.values[:, :k].cpu().numpy(), sure.indices[:, :k].cpu().numpy()
    return places, values
