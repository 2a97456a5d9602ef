"""The race of an audit's arms: each rung has more of the budget and fewer arms."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from banyan.evaluation.arms import Arm
from banyan.evaluation.course import COSTS, EARLY, Course
from banyan.evaluation.judge import Figures

RUNGS = (EARLY, 0.5)  # shares of the budget at which arms are compared; the last one standing gets all of it
KEPT = 3  # one arm in so many goes on to the next rung


@dataclass
class Heat:
    """One arm at one rung."""

    arm: Arm
    share: float
    score: float  # mean relative gain on validation over all tasks together at the same share and seed
    valid: dict[str, Figures]
    seconds: float


def race(course: Course, arms: Sequence[Arm], together: Arm, share: float) -> tuple[Arm, list[Heat]]:
    """Successive halving (Jamieson and Talwalkar, AISTATS 2016) by the validation score; (the winner, all heats)."""
    heats: list[Heat] = []
    standing = list(arms)
    for rung in RUNGS:
        reference = course.arm(together, 0, rung * share, weight=COSTS["together"])
        here = []
        for arm in standing:
            found = reference if arm == together else course.arm(arm, 0, rung * share)
            here.append(Heat(arm, rung, course.bench.score(found.valid, reference.valid), found.valid, found.seconds))
        here.sort(key=lambda heat: -np.nan_to_num(heat.score, nan=-2.0))
        heats += here
        standing = list(dict.fromkeys([*(heat.arm for heat in here[: int(np.ceil(len(here) / KEPT))]), _crossed(here)]))
    return next(heat for heat in heats if heat.share == RUNGS[-1]).arm, heats


def work(arms: int) -> float:
    """Joint runs of work of a race, at most."""
    found, left = 0.0, float(arms)
    for rung in RUNGS:
        found += rung * (COSTS["together"] + left * COSTS["arm"])
        left = np.ceil(left / KEPT) + 1
    return float(found)


def _crossed(heats: Sequence[Heat]) -> Arm:
    """The best grouping, sharing and balancing of the arms that change one of them, where they gained, in one arm. `heats` are sorted."""
    single = [heat.arm for heat in heats if heat.score > 0 and heat.arm.variant.changes() == 1]
    proposal = next((arm.proposal for arm in single if not (arm.sharing or arm.balancing or arm.without)), None)
    less = next((arm.without for arm in single if arm.without), ())
    plain = next((heat.arm.proposal for heat in heats if not (heat.arm.variant.groups or heat.arm.variant.stopped)), heats[0].arm.proposal)
    return Arm(proposal or plain, next((arm.sharing for arm in single if arm.sharing), ""), next((arm.balancing for arm in single if arm.balancing), ""), less)
