"""A count, such as units sold in each of the next weeks: its expected value for each period."""

from collections.abc import Sequence
from typing import ClassVar, Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from banyan import metrics
from banyan.parts import Positive, Share, Size
from banyan.tasks import Task
from banyan.tasks._figures import rows
from banyan.tasks._head import Straight, clean, head, seen_mean
from banyan.types import Array, Block, Candidates, Target

REACH = 10.0  # |ln(mean / training mean)| is what the model says up to here, and stays below twice as much
TIMID = 0.1  # of a head's first weights, so that the first answer is nearly the forecast
SMALLEST = 1e-4  # of the dispersion: below it the negative binomial is a Poisson for every purpose


class Count(Task):
    """Negative binomial with a log link and one dispersion d for each period (Cameron and Trivedi, Journal of Applied Econometrics 1986).

    variance = mean + d mean (`linear`, NB1) or mean + d mean^2 (`quadratic`, NB2). NB1 counts errors in units, so the large series matter most, as they
    do in the shop; NB2 counts relative errors, each series as much as the other, and steps that suit the small ones throw the large ones about.

    Raw (B, A) = ln(mean / training mean) before it is bounded. Labels (B, A) are >= 0 and need not be whole:
    a sum of values is taken through the gamma function. Periods are the target's names.

    With an anchor a, a forecast among the row's own numbers, the model learns what the mean is relative to it, as series of very different sizes want it
    (DeepAR: Salinas et al., International Journal of Forecasting 2020, eq. 5): raw = the head's + ln((a + floor) / training mean).
    """

    kind: ClassVar[str] = "counts"
    lowest: ClassVar[float] = 0.0
    answers: ClassVar[str] = "means"
    best = "wape"
    tells: ClassVar[float] = 4.0
    rising: ClassVar[bool] = False
    anchored: ClassVar[bool] = True

    def __init__(
        self, width: int, target: Target, *, tower: tuple[Size, ...] = (32,), dropout: Share = 0.0, dispersion: Positive = 1.0,
        variance: Literal["linear", "quadratic"] = "linear", anchor: str = "auto",
    ) -> None:  # fmt: skip
        """`anchor`: the column of the row's own that the mean starts from; `auto` is the best forecast that the recipe counts makes, `none` is none."""
        super().__init__(width, target)
        answers = len(target.names)
        layers = head(width, tower, [0.0] * answers, dropout)
        self.head = Straight(layers, width, answers)
        self.anchor = target.anchor if anchor != "none" else None
        if self.anchor is not None:
            with torch.no_grad():
                layers[-1].get_parameter("weight").mul_(TIMID)
        self.linear = variance == "linear"
        self.log_dispersion = nn.Parameter(torch.full((answers,), dispersion).log())
        self.register_buffer("scale", torch.tensor(target.prior or [1.0] * answers).clamp(min=1e-3), persistent=False)
        self.scale: Tensor

    def forward(self, views: Float[Tensor, "V B H"], candidates: Candidates | None) -> Float[Tensor, "B A"]:
        """Log of the mean over the training mean, before it is bounded."""
        raw: Tensor = self.head(views[0])
        return raw

    def offset(self, context: Block) -> Tensor | None:
        """(B, A) where the raw answers start; 0 in rows without the anchor's number."""
        if self.anchor is None:
            return None
        level = context.numbers[:, self.anchor.place].float() * self.anchor.scale + self.anchor.mean
        level = (level.expm1() if self.anchor.log else level).clamp(min=0)
        start = ((level[:, None] + self.anchor.floor) / self.scale).log()
        return torch.where(context.known[:, self.anchor.place, None], start, torch.zeros_like(start))

    def predict(self, raw: Float[Tensor, "B A"]) -> Float[Tensor, "B A"]:
        """Expected count in each period."""
        far = raw.float().abs()
        return self.scale * (raw.sign() * torch.where(far < REACH, far, REACH * (1 + torch.tanh(far / REACH - 1)))).exp()

    def loss(self, raw: Float[Tensor, "B A"], label: Tensor, seen: Bool[Tensor, "B A"], weight: Float[Tensor, " B"]) -> Float[Tensor, " 1"]:
        """Negative log likelihood (nats), the mean over the seen periods of all rows."""
        # double precision: single loses whole nats between the log gammas of large counts
        mean, count = self.predict(raw).double(), clean(label, seen).double().clamp(min=0)
        dispersion = self.log_dispersion.double().exp() + SMALLEST  # d
        size = mean / dispersion if self.linear else (1 / dispersion).expand_as(mean)  # r; variance = mean + mean^2 / r
        ways = torch.lgamma(count + size) - torch.lgamma(size) - torch.lgamma(count + 1)
        losses = -(ways - size * torch.log1p(mean / size) - count * torch.log1p(size / mean)).clamp(max=0).float()
        return seen_mean(losses.reshape(-1, 1), seen.reshape(-1, 1), weight.repeat_interleave(losses.shape[1]))

    def metrics(self, prediction: Array, label: Array, seen: Array, weight: Array, group: Array | None = None) -> dict[str, float]:
        """`wape`, `mae`, `rmse`, `bias`, `deviance` (Poisson), `r2` over all periods together; with several, also each with `/period`."""
        many = len(self.target.names)
        shape = (len(label), many)
        y, keep, w = label.reshape(shape), seen.reshape(shape).astype(bool), weight[:, None].repeat(many, 1)
        found = _figures(prediction[keep], y[keep], w[keep])
        for i, name in enumerate(self.target.names if many > 1 else ()):
            (p, each), part = rows(seen, weight, i, prediction[:, i], y[:, i])
            found |= {f"{figure}/{name}": value for figure, value in _figures(p, each, part).items()}
        return found

    def columns(self) -> Sequence[str]:
        """The periods."""
        return self.target.names


def _figures(p: Array, y: Array, w: Array) -> dict[str, float]:
    figures = {each.__name__: each(p, y, w) for each in (metrics.wape, metrics.mae, metrics.rmse, metrics.bias, metrics.r2)}
    return figures | {"deviance": metrics.poisson_deviance(p, y, w)}
