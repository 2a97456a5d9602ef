"""What architectures that read the scenario are made of: rows grouped by scenario, moments of each scenario's rows, and a vector a scenario."""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

UNKNOWN = 0  # the code of a scenario that no training row had, or that was not said
DECAY = 0.99  # of what is remembered of earlier rows, a training call
DRAWN = 100.0  # rows of all scenarios that stand beside a scenario's own: a rare one is normalised nearly as all are
FIRST = 1e-3  # rows of mean 0 and variance 1 from which moments start
LEAST = 1e-3  # added to a variance: what hardly varies is not blown up


def hidden(scenario: Int[Tensor, " B"], share: float, training: bool) -> Int[Tensor, " B"]:
    """In training, `share` of the rows as if their scenario were unknown, so that what answers unknown ones learns too."""
    if not (training and share):
        return scenario
    return scenario.where(torch.rand(scenario.shape, device=scenario.device) >= share, UNKNOWN)


class Grouped:
    """Rows sorted by scenario, those of one side by side: each scenario's weights then take one product, and nothing is padded."""

    def __init__(self, scenario: Int[Tensor, " B"]) -> None:
        alike = len(scenario) == 0 or bool((scenario == scenario[0]).all())
        self.order = None if alike else scenario.argsort(stable=True)
        if self.order is None:
            self.codes, self.sizes = [int(each) for each in scenario[:1]] or [UNKNOWN], [len(scenario)]
        else:
            codes, sizes = torch.unique_consecutive(scenario[self.order], return_counts=True)
            self.codes, self.sizes = codes.tolist(), sizes.tolist()

    def split(self, x: Float[Tensor, "B *rest"]) -> Sequence[Tensor]:
        """The rows of each scenario in `codes`."""
        found: Sequence[Tensor] = torch.split(x if self.order is None else x.index_select(0, self.order), self.sizes)
        return found

    def joined(self, found: Sequence[Tensor]) -> Tensor:
        """What `split` took apart, in the rows' own order."""
        if self.order is None:
            return found[0]
        back = torch.empty_like(self.order)
        back[self.order] = torch.arange(len(back), device=back.device)
        return torch.cat(list(found)).index_select(0, back)


class Moments(nn.Module):
    """Running mean and variance of the columns, scenario by scenario, those of a scenario with few rows drawn to those of all.

    Training reads them as answering does, with the batch in hand already counted in: a step reads rows of several tables, and the moments of
    a table's batch alone are no later row's. They carry no gradient.
    """

    weight: Tensor
    mean: Tensor
    spread: Tensor

    def __init__(self, scenarios: int, columns: int) -> None:
        super().__init__()
        self.register_buffer("weight", torch.zeros(scenarios))  # rows remembered
        self.register_buffer("mean", torch.zeros(scenarios, columns))
        self.register_buffer("spread", torch.zeros(scenarios, columns))  # sum of squared distances from the mean

    @torch.no_grad()
    def see(self, codes: Sequence[int], rows: Sequence[Tensor]) -> None:
        """Count a batch in: `rows` of each scenario in `codes` (Chan, Golub and LeVeque, 1979)."""
        self.weight *= DECAY
        self.spread *= DECAY
        for code, each in zip(codes, rows, strict=True):
            n, old = len(each), self.weight[code].clone()
            mean = each.float().mean(0)
            away, whole = mean - self.mean[code], old + n
            self.spread[code] += (each.float() - mean).square().sum(0) + away.square() * (old * n / whole)
            self.mean[code] += away * (n / whole)
            self.weight[code] = whole

    @torch.no_grad()
    def of(self, codes: Sequence[int]) -> list[tuple[Tensor, Tensor]]:
        """(Mean, 1 / standard deviation) of the columns for each scenario in `codes`; of an unknown one those of all rows."""
        every = self.weight[:, None]
        rows = every.sum() + FIRST
        mean = (every * self.mean).sum(0) / rows
        variance = (self.spread.sum(0) + (every * (self.mean - mean).square()).sum(0) + FIRST) / rows
        return [self._drawn(code, mean, variance) for code in codes]

    def _drawn(self, code: int, mean: Tensor, variance: Tensor) -> tuple[Tensor, Tensor]:
        if code != UNKNOWN:
            own = self.weight[code]
            part, away = own / (own + DRAWN), self.mean[code] - mean
            variance = (self.spread[code] + DRAWN * variance) / (own + DRAWN) + part * (1 - part) * away.square()
            mean = mean + part * away
        return mean, (variance + LEAST).rsqrt()


class Vectors(nn.Module):
    """A short vector a scenario, 0 for an unknown one; with a single scenario there is nothing to tell, and they have no entries."""

    def __init__(self, scenarios: int, width: int, unknown: float) -> None:
        """`unknown`: share of training rows whose scenario is hidden."""
        super().__init__()
        self.unknown, self.width = unknown, width if scenarios > 1 else 0
        self.table = nn.Parameter(torch.empty(scenarios - 1, width).normal_(0.0, 0.1)) if scenarios > 1 else None

    def forward(self, scenario: Int[Tensor, " B"], like: Tensor) -> Float[Tensor, "B E"]:
        """The vectors of these rows; `like` says of what kind numbers are."""
        if self.table is None:
            return like.new_empty(len(like), 0)
        table = functional.pad(self.table, (0, 0, 1, 0))
        return table.index_select(0, hidden(scenario, self.unknown, self.training))
