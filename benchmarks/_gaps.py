"""From the worlds tried to the summary, the lines that are said and the rows of the table."""

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from scipy import stats

ENOUGH = 0.85  # share of the gap between popularity and `bayes` that every kind of task should close

Found = Mapping[str, Any]


def summary(seeds: Sequence[Found]) -> dict[str, Any]:
    """Figures and gains over worlds: means, spreads, and what each seed said."""
    found: dict[str, Any] = {"figures": _figures(seeds), "gains": _gains(seeds, "gains")}
    if any("narrow" in each for each in seeds):
        narrow = [each["narrow"] for each in seeds if "narrow" in each]
        found["narrow"] = _gains([{"narrow": {**each, "both": _mean(list(each.values()))}} for each in narrow], "narrow")
    found["least_closed"] = min((row["closed"] for row in found["figures"].values() if not math.isnan(row["closed"])), default=None)
    found["cpu_seconds"] = [round(each["cpu_seconds"]) for each in seeds]
    return found


def _figures(seeds: Sequence[Found]) -> dict[str, dict[str, Any]]:
    found = {}
    for task, metrics in seeds[0]["figures"].items():
        for metric in metrics:
            each = [seed["figures"][task][metric] for seed in seeds]
            means = {key: statistics.fmean(one[key] for one in each) for key in ("model", "popularity", "bayes", "closed")}
            closed = [one["closed"] for one in each]
            found[f"{task} {metric}"] = {**means, "closed_each": closed, "spread": max(closed) - min(closed)}
    return found


def _gains(seeds: Sequence[Found], key: str) -> dict[str, dict[str, Any]]:
    """Of each task: the mean gain over worlds with its interval, and each world's own verdict."""
    found: dict[str, dict[str, Any]] = {}
    for task in dict.fromkeys(task for seed in seeds for task in seed.get(key, {})):
        rows = [seed[key][task] for seed in seeds if task in seed.get(key, {})]
        gain, half = statistics.fmean(row["gain"] for row in rows), _half(rows)
        means = {name: statistics.fmean(row[name] for row in rows) for name in ("joint", "alone")}
        verdict = "undefined" if math.isnan(half) else "better" if gain > half else "worse" if gain < -half else "no difference"
        each = [row["verdict"] for row in rows]
        found[task] = {"metric": rows[0]["metric"], **means, "gain": gain, "low": gain - half, "high": gain + half, "verdict": verdict, "each": each}
    return found


def _mean(rows: Sequence[Found]) -> dict[str, Any]:
    """The mean over the tasks that fight: which of them wins the number is chance, that they lose by sharing it is not. Its width is the mean of theirs."""
    found = {key: statistics.fmean(row[key] for row in rows) for key in ("joint", "alone", "gain", "low", "high")}
    verdict = "better" if found["low"] > 0 else "worse" if found["high"] < 0 else "no difference"
    return {"metric": rows[0]["metric"], **found, "verdict": verdict}


def _half(rows: Sequence[Found]) -> float:
    """Half the width of a 95 % interval of the mean gain over worlds.

    The worlds' own widths, as errors, add up in squares; they hold the luck of the test rows and not that of a training run, which shows in the
    spread between worlds (Student's t). The wider of the two is taken.
    """
    count = len(rows)
    drawn = math.sqrt(sum(((row["high"] - row["low"]) / 2) ** 2 for row in rows)) / count
    if count < 2:
        return drawn
    spread = statistics.stdev(row["gain"] for row in rows) / math.sqrt(count)
    return max(drawn, float(stats.t.ppf(0.975, count - 1)) * spread)


def said(result: Found) -> list[str]:
    """What stands above the table."""
    lines = [f"{result['seeds']} worlds; size {result['size']}; CPU seconds of the joint model {', '.join(map(str, result['cpu_seconds']))}"]
    if not result["null"]:
        short = [f"{name} {row['closed']:.2f}" for name, row in result["figures"].items() if not row["closed"] >= ENOUGH]
        lines.append(f"**{'below' if short else 'all at or above'} {ENOUGH:.0%} of the gap{': ' + ', '.join(short) if short else ''}**")
    for key, what in (
        ("gains", "joint against alone"),
        ("narrow", "keeps and returns through one number, together against each by itself, and the mean of the two"),
    ):
        if result.get(key):
            lines.append(f"{what}: {'; '.join(_gain(task, row) for task, row in result[key].items())}")
    return lines


def _gain(task: str, row: Found) -> str:
    own = f" (each world: {', '.join(row['each'])})" if len(row["each"]) > 1 else ""
    return f"{task} {row['metric']} {row['gain']:+.3f} [{row['low']:+.3f}, {row['high']:+.3f}] {row['verdict']}{own}"


def lines(result: Found) -> list[str]:
    """The table: a question a row, means over worlds."""
    head = ["| question | popularity | model | bayes | gap closed | each world |", "| --- | --- | --- | --- | --- | --- |"]
    return head + [_line(name, row) for name, row in result["figures"].items()]


def _line(name: str, row: Found) -> str:
    each = " ".join(f"{x:.2f}" for x in row["closed_each"])
    return f"| {name} | {row['popularity']:.3f} | {row['model']:.3f} | {row['bayes']:.3f} | {row['closed']:.2f} | {each} |"
