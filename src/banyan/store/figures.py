"""One figure of a column of numbers, as a float: polars itself promises no more than some Python value."""

from typing import cast

import polars as pl


def mean(column: pl.Series) -> float:
    """The mean of what is known of numbers, or the share that is true; 0 where nothing is known."""
    return float(cast(float, column.mean() or 0.0))


def median(column: pl.Series) -> float:
    """The median of what is known of numbers; 0 where nothing is known."""
    return float(cast(float, column.median() or 0.0))


def span(column: pl.Series) -> tuple[float, float]:
    """The least and the largest of numbers of which at least one is known."""
    return float(cast(float, column.min())), float(cast(float, column.max()))
