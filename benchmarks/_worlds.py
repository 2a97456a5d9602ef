"""A gain over several planted worlds: the mean of the worlds' own differences, with a t interval over worlds."""

from collections.abc import Mapping, Sequence

import numpy as np
from scipy.special import stdtrit


def gain(differences: Sequence[float]) -> dict[str, float]:
    """`gain`, and `low` and `high` of its 95 % interval: infinite for one world."""
    found = np.asarray(differences, float)
    wide = float(stdtrit(len(found) - 1, 0.975) * found.std(ddof=1) / np.sqrt(len(found))) if len(found) > 1 else float("inf")
    return {"gain": float(found.mean()), "low": float(found.mean()) - wide, "high": float(found.mean()) + wide}


def shown(figure: Mapping[str, float]) -> str:
    """A mean by itself, or a gain with its interval, bold where that excludes 0."""
    if "gain" not in figure:
        return f"{figure['mean']:.4f}"
    sure = figure["low"] > 0 or figure["high"] < 0
    text = f"{figure['gain']:+.4f} [{figure['low']:+.4f}, {figure['high']:+.4f}]"
    return f"**{text}**" if sure else text
