"""A confusion matrix as an SVG file: of the commonest classes, what was said (columns) of what they are (rows)."""

import html
from pathlib import Path

import numpy as np

from banyan.evaluation.evaluate import Evaluation
from banyan.features.data import Data

SHOWN = 22
CELL, LEFT, TOP = 24, 130, 120


def draw(path: Path, found: Evaluation, data: Data, task: str) -> None:
    """Write the picture; each row's shares add up to 1 with what was said of other classes."""
    question, classes = found.questions[task], data.plan.targets[task].classes
    truth, guess = question.value.reshape(-1).astype(int), found.answers[task].argmax(1)
    common = np.argsort(-np.bincount(truth, minlength=len(classes)), kind="stable")[:SHOWN]
    share = np.array([[float(((truth == a) & (guess == b)).sum() / max((truth == a).sum(), 1)) for b in common] for a in common])
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(_svg(share, [classes[each] for each in common], f"{task} from the photo alone"), encoding="utf-8")


def _svg(share: np.ndarray, names: list[str], title: str) -> str:
    width, height = LEFT + CELL * len(names) + 10, TOP + CELL * len(names) + 10
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="11" role="img">'
    lines = [head, f"<title>{html.escape(title)}: rows are what it is, columns what was said</title>", f'<rect width="{width}" height="{height}" fill="#fff"/>']
    for i, name in enumerate(names):
        x, y = LEFT + CELL * i + CELL / 2, TOP + CELL * i + CELL / 2 + 4
        lines.append(f'<text x="{LEFT - 6}" y="{y}" text-anchor="end">{html.escape(name)}</text>')
        lines.append(f'<text x="{x}" y="{TOP - 6}" transform="rotate(-60 {x} {TOP - 6})">{html.escape(name)}</text>')
        for j, each in enumerate(share[i]):
            if each >= 0.005:
                colour = f"rgb({round(235 - 215 * each)},{round(242 - 132 * each)},{round(245 - 130 * each)})"
                at = f'x="{LEFT + CELL * j}" y="{TOP + CELL * i}"'
                lines.append(f'<rect {at} width="{CELL - 1}" height="{CELL - 1}" fill="{colour}"/>')
                ink = "#fff" if each > 0.5 else "#222"
                number = f"{100 * each:.0f}"
                lines.append(f'<text x="{LEFT + CELL * (j + 0.5)}" y="{y}" text-anchor="middle" font-size="9" fill="{ink}">{number}</text>')
    return "\n".join([*lines, "</svg>"])
