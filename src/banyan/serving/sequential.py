"""Is one arm better than the other? Intervals and p values that may be looked at any time and as often as one likes. Arrays and numbers only.

A usual 95 % interval is right at one moment that was fixed before; who looks each day and stops at the first difference is wrong far more often than 1 in 20.
These hold at all moments at once: the chance that an interval *ever* leaves out the truth is at most the level.
"""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from banyan.errors import ConfigError
from banyan.types import Array

LEAST_USERS = 100  # of each arm before anything is said
LEAST_OUTCOMES = 60  # of both arms together, large ones counted as they weigh (Kish): fewer are no sample of a mean

Verdict = Literal["too early", "no difference seen", "better", "worse"]


@dataclass(frozen=True)
class Sums:
    """What is known of one arm: sums over its users. They add up, so nothing else need be kept."""

    users: int = 0
    total: float = 0.0
    squares: float = 0.0
    sizes: float = 0.0  # sum of absolute values

    @classmethod
    def of(cls, values: Array) -> "Sums":
        """One number a user."""
        return cls(len(values), float(np.sum(values)), float(np.sum(np.square(values))), float(np.sum(np.abs(values))))

    def __add__(self, other: "Sums") -> "Sums":
        return Sums(self.users + other.users, self.total + other.total, self.squares + other.squares, self.sizes + other.sizes)

    @property
    def mean(self) -> float:
        """Of a user; nan without users."""
        return self.total / self.users if self.users else math.nan

    @property
    def variance(self) -> float:
        """Of a user; nan without users."""
        return max(self.squares / self.users - self.mean**2, 0.0) if self.users else math.nan


@dataclass(frozen=True)
class Difference:
    """What can be said of candidate - control at this moment, in the outcome's own unit a user."""

    control: float  # mean
    candidate: float
    estimate: float
    low: float  # the interval; -inf and inf while it is too early
    high: float
    p: float  # chance of such evidence, at any moment, were there no difference
    verdict: Verdict
    users: tuple[int, int]  # control, candidate

    @property
    def relative(self) -> float:
        """The difference as a share of control's mean; nan where that is 0."""
        return self.estimate / self.control if self.control else math.nan


def difference(control: Sums, candidate: Sums, *, level: float = 0.05, planned: int = 10_000) -> Difference:
    """Candidate's mean outcome a user less control's, with an interval that holds at every moment at once.

    With V = s^2 (1/n + 1/m), t = n m / (n + m) and a rho that makes the interval narrowest when `planned` users are in both arms together,

        estimate +- sqrt(V (1 + 1 / (rho^2 t)) ln((1 + rho^2 t) / level^2)),    rho^2 = (x + ln(x + 1)) / (planned / 4),    x = -2 ln level

    the mixture sequential probability ratio test (Johari, Koomen, Pekelis and Walsh, KDD 2017, eq. 7; Robbins, 1970) turned into an interval. With estimated
    variances it holds in the limit of many users (Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas, Annals of Statistics 2024, theorem 2.2), which is why
    nothing is said of fewer than LEAST_USERS an arm and LEAST_OUTCOMES. V takes the larger of the arms' own variances and that of both together.
    p is the smallest level whose interval leaves out 0. Raises ConfigError for a level outside (0, 1) or planned below 1.
    """
    if not 0 < level < 1 or planned < 1:
        raise ConfigError(f"level is {level} and planned {planned}; a level lies between 0 and 1, and at least 1 user is planned.")
    n, m = control.users, candidate.users
    means, both = (control.mean, candidate.mean), control + candidate
    outcomes = both.sizes**2 / both.squares if both.squares else 0.0
    if min(n, m) < LEAST_USERS or outcomes < LEAST_OUTCOMES:
        return Difference(*means, means[1] - means[0] if n and m else math.nan, -math.inf, math.inf, 1.0, "too early", (n, m))
    spread = math.sqrt(max(control.variance / n + candidate.variance / m, both.variance * (1 / n + 1 / m)))
    information = _rho(level, planned) * n * m / (n + m)
    gap, radius = means[1] - means[0], spread * float(width(information, level))
    verdict: Verdict = "better" if gap > radius else "worse" if gap < -radius else "no difference seen"
    return Difference(*means, gap, gap - radius, gap + radius, _p(gap / spread if spread else 0.0, information), verdict, (n, m))


def width(information: float | Array, level: float) -> float | Array:
    """Half the interval in standard errors, for rho^2 t = `information`."""
    return np.sqrt((1 + 1 / information) * np.log((1 + information) / level**2))


def _rho(level: float, planned: int) -> float:
    x = -2 * math.log(level)
    return (x + math.log(x + 1)) / (planned / 4)


def _p(z: float, information: float) -> float:
    """1 / the mixture likelihood ratio, at most 1."""
    evidence = z * z / 2 * information / (1 + information) - 0.5 * math.log1p(information)
    return math.exp(-evidence) if evidence > 0 else 1.0


def evenness(control: int, candidate: int, share: float, strength: float = 10_000.0) -> float:
    """How surprising these numbers of users are if the candidate gets `share` of them: a p value that may be looked at any time.

    A small one (below .001) says that users are lost or counted twice in one arm, and the difference of outcomes must not be believed. 1 / the ratio of a beta
    mixture around `share`, worth `strength` users, to `share` itself (Lindon and Malek, 2022, eq. 10). Raises ConfigError for a share outside (0, 1).
    """
    if not 0 < share < 1:
        raise ConfigError(f"The share is {share}; it lies between 0 and 1.")
    a, b = strength * share, strength * (1 - share)
    mixture = _log_beta(a + candidate, b + control) - _log_beta(a, b)
    evidence = mixture - candidate * math.log(share) - control * math.log1p(-share)
    return math.exp(-evidence) if evidence > 0 else 1.0


def _log_beta(a: float, b: float) -> float:
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)
