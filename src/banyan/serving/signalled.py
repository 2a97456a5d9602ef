"""What goes with a past, or with one item, by the signals of a bundle: co-visitation, EASE, the graph. Empty where the bundle has none."""

import numpy as np

from banyan.features.collaborative import Scores
from banyan.features.pairs import Pasts
from banyan.features.stock import Moment, Stock
from banyan.retrieval.candidates import leading
from banyan.signals import Flat
from banyan.types import Array

LOOKED = 400  # items that a signal brings up before the filters are applied


def going(stock: Stock, moment: Moment, pasts: Pasts) -> dict[str, Array]:
    """Signal -> row numbers of the items that it scores above 0 for one past, best first."""
    if stock.signals is None or stock.log is None:
        return {}
    codes = stock.codes()[0][0]
    scores = stock.signals.scores(stock.log, codes, pasts, moment.user, moment.time, moment.fitted)
    return {name: leading(_row(each), LOOKED) for name, each in zip(stock.signals.names, scores, strict=True)}


def together(stock: Stock, row: int) -> Array | None:
    """(items,) scores for a past of this item alone, by the first signal that says something of others; None where none does."""
    if stock.signals is None:
        return None
    item, behaviours = int(stock.codes()[0][0][row]), len(stock.signals.world.behaviours)
    if item >= stock.signals.world.items:
        return None
    past = Flat(1, np.zeros(behaviours, np.int64), np.full(behaviours, item, np.int64), np.arange(behaviours))
    for signal in stock.signals.fits[-1]:
        found = _row(signal.scores(past)).copy()
        found[item] = 0
        if found.any():
            whole = np.zeros(len(stock.codes()[0][0]))
            whole[: len(found)] = found
            return whole
    return None


def _row(scores: Scores) -> Array:
    return np.asarray(scores[0] if isinstance(scores, np.ndarray) else scores.toarray()[0])
