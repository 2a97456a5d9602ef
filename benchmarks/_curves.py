"""The learning curves of the benchmark of transfer, as lines of Markdown and as a drawing."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

WIDTH, HEIGHT, LEFT, BOTTOM, TOP, RIGHT = 640, 360, 70, 50, 40, 150
COLOURS = {"scratch": "#8a8a8a", "bundle": "#00796b"}
SAID = {"scratch": "from scratch", "bundle": "from a bundle of four stores"}


def lines(result: Mapping[str, Any]) -> list[str]:
    """The entry in RESULTS.md."""
    levels: Mapping[str, Mapping[str, list[float]]] = result["levels"]
    found = [f"- {result['seeds']} draws of five stores; CPU seconds of adapting: {result['cpu_seconds_of_adapting']}", *_needed(result), ""]
    found += ["| rows of the new store | from scratch | from the bundle |", "| --- | --- | --- |"]
    for share in levels["scratch"]:
        found.append(f"| {share} | {_mean(levels['scratch'][share])} | {_mean(levels['bundle'][share])} |")
    found += ["", "| task | " + " | ".join(f"{side}, {share}" for share in levels["scratch"] for side in levels) + " |"]
    found += ["| --- |" + " --- |" * (len(levels["scratch"]) * 2)]
    for task in result["tasks"]["scratch"]["1"]:
        cells = [f"{result['tasks'][side][share][task]:.3f}" for share in levels["scratch"] for side in levels]
        found.append(f"| {task} | {' | '.join(cells)} |")
    return found


def _needed(result: Mapping[str, Any]) -> list[str]:
    said = []
    for target, each in result["to_match_scratch_with"].items():
        ends = f"{each['least']:.3f} to {'never' if each['most'] is None else format(each['most'], '.3f')}"
        mean = "not reached in every draw" if each["mean"] is None else f"{each['mean']:.3f}{' or fewer' if any(each['bound']) else ''}"
        said.append(f"- rows needed to match scratch with {target} of the rows, as a share of those: **{mean}** ({ends} over the draws)")
    return [*said, f"- reach {result['reach']:.3f}: {'reached' if result['reached'] else 'not reached'}"]


def _mean(values: list[float]) -> str:
    return f"{sum(values) / len(values):.4f} ({min(values):.4f} to {max(values):.4f})"


def draw(result: Mapping[str, Any], path: Path) -> None:
    """The curves as SVG: the mean over draws, with their range."""
    levels = result["levels"]
    every = [value for side in levels.values() for values in side.values() for value in values]
    low, high = math.floor(min(every) * 50) / 50, math.ceil(max(every) * 50) / 50
    shares = list(levels["scratch"])
    x = {share: LEFT + (WIDTH - LEFT - RIGHT) * i / (len(shares) - 1) for i, share in enumerate(shares)}

    def y(value: float) -> float:
        return TOP + (HEIGHT - TOP - BOTTOM) * (high - value) / (high - low)

    made = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12">']
    made.append(f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>')
    made.append(f'<text x="{LEFT}" y="20" font-weight="bold">{escape("A fifth store: mean over tasks (AUC, Spearman) by share of its rows")}</text>')
    ticks = [low + (high - low) * i / 4 for i in range(5)]
    made += [
        f'<path d="M{LEFT} {y(t):.1f}H{WIDTH - RIGHT}" stroke="#ddd"/><text x="{LEFT - 8}" y="{y(t) + 4:.1f}" text-anchor="end">{t:.2f}</text>' for t in ticks
    ]
    made += [f'<text x="{x[share]:.1f}" y="{HEIGHT - BOTTOM + 20}" text-anchor="middle">{share}</text>' for share in shares]
    for side, colour in COLOURS.items():
        means = {share: sum(values) / len(values) for share, values in levels[side].items()}
        edge = [(x[s], y(max(levels[side][s]))) for s in shares] + [(x[s], y(min(levels[side][s]))) for s in reversed(shares)]
        made.append(f'<polygon points="{_points(edge)}" fill="{colour}" opacity="0.15"/>')
        made.append(f'<polyline points="{_points([(x[s], y(means[s])) for s in shares])}" fill="none" stroke="{colour}" stroke-width="2"/>')
        made += [f'<circle cx="{x[s]:.1f}" cy="{y(means[s]):.1f}" r="3" fill="{colour}"/>' for s in shares]
        made.append(f'<text x="{x[shares[-1]] + 8:.1f}" y="{y(means[shares[-1]]) + (14 if side == "scratch" else -4):.1f}" fill="{colour}">{SAID[side]}</text>')
    path.write_text("\n".join([*made, "</svg>", ""]), encoding="utf-8")


def _points(found: list[tuple[float, float]]) -> str:
    return " ".join(f"{a:.1f},{b:.1f}" for a, b in found)
