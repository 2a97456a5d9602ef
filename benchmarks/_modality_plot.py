"""Gains with their intervals as an SVG file: a panel for each metric and half of the items, a line for each arm."""

import html
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

WIDTH, LEFT, LINE, HEAD = 250, 110, 22, 46  # pixels
COLOURS = {"warm item": "#b5651d", "cold item": "#1f6f8b"}


def draw(path: Path, arms: Mapping[str, Any], keys: Sequence[str], halves: Sequence[str]) -> None:
    """Write the picture. The panels of a metric share a scale, so that warm and cold items can be compared."""
    shown = [arm for arm in arms if "gain" in arms[arm][halves[0]][keys[0]]]
    tall = HEAD + LINE * len(shown) + 26
    wide, high = LEFT + WIDTH * len(halves) + 20, tall * len(keys)
    lines = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide} {high}" font-family="sans-serif" font-size="12" role="img">']
    lines += ["<title>What each modality adds over ids alone, with 95 % intervals over worlds</title>", f'<rect width="{wide}" height="{high}" fill="#fff"/>']
    for row, key in enumerate(keys):
        ends = [arms[arm][half][key][end] for arm in shown for half in halves for end in ("low", "high")]
        low, high_ = min(0.0, *ends), max(0.0, *ends)
        scale = (WIDTH - 30) / max(high_ - low, 1e-9)
        lines.append(f'<text x="8" y="{tall * row + 18}" font-weight="bold">{html.escape(key)}</text>')
        for column, half in enumerate(halves):
            zero = LEFT + WIDTH * column + 10 - low * scale
            lines += _panel(arms, shown, (key, half), zero, scale, tall * row, named=column == 0)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([*lines, "</svg>"]) + "\n", encoding="utf-8")


def _panel(arms: Mapping[str, Any], shown: Sequence[str], of: tuple[str, str], zero: float, scale: float, top: float, *, named: bool) -> list[str]:
    key, half = of
    bottom = top + HEAD + LINE * len(shown)
    lines = [f'<line x1="{zero:.1f}" y1="{top + 30}" x2="{zero:.1f}" y2="{bottom}" stroke="#999" stroke-dasharray="3 3"/>']
    lines.append(f'<text x="{zero:.1f}" y="{top + 26}" text-anchor="middle" fill="#555">{html.escape(half)}: 0</text>')
    for i, arm in enumerate(shown):
        each, y, colour = arms[arm][half][key], top + HEAD + LINE * i, COLOURS[half]
        a, b, x = (zero + scale * each[end] for end in ("low", "high", "gain"))
        if named:
            lines.append(f'<text x="{LEFT - 8}" y="{y + 4}" text-anchor="end">{html.escape(arm)}</text>')
        lines.append(f'<line x1="{a:.1f}" y1="{y}" x2="{b:.1f}" y2="{y}" stroke="{colour}" stroke-width="2"/>')
        lines.append(f'<circle cx="{x:.1f}" cy="{y}" r="4" fill="{colour}"><title>{each["gain"]:+.4f}</title></circle>')
        lines.append(f'<text x="{max(b, x) + 6:.1f}" y="{y + 4}" font-size="10" fill="#333">{each["gain"]:+.3f}</text>')
    return lines
