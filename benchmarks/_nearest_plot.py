"""Ten items and their nearest by each way as an SVG file: photos, and under each what it is; framed where it is of the item's own category."""

import base64
import html
import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path

from banyan.store.world.words import CATEGORIES
from banyan.types import Array

SIDE, STEP, ROW, LEFT, TOP, GAP, LETTERS = 48, 54, 78, 190, 44, 26, 18
OWN, OTHER = "#0a7d4f", "#c4c4c4"


def draw(path: Path, photos: Sequence[bytes], titles: Sequence[str], category: Array, rows: Sequence[int], near: Mapping[str, Array]) -> None:
    """Write the picture: a line for each of `rows`, a group for each way of `near`, which holds (rows, k) numbers of items."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(_svg(photos, titles, category, rows, near), encoding="utf-8")


def _svg(photos: Sequence[bytes], titles: Sequence[str], category: Array, rows: Sequence[int], near: Mapping[str, Array]) -> str:
    count = next(iter(near.values())).shape[1]
    group = count * STEP + GAP
    width, height = LEFT + group * len(near), TOP + ROW * len(rows) + 6
    used = sorted({*rows, *(int(each) for found in near.values() for each in found.reshape(-1))})
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="11" role="img">',
        "<title>Ten items and the five nearest of each by text, photo and behaviour; a thick frame where one is of the item's own category</title>",
        f'<rect width="{width}" height="{height}" fill="#fff"/>',
        "<defs>",
        *(_photo(number, photos[number]) for number in used),
        "</defs>",
        f'<text x="10" y="24" font-size="14" font-weight="bold">{_words("item")}</text>',
    ]
    for place, (way, found) in enumerate(near.items()):
        left = LEFT + place * group
        lines.append(f'<text x="{left}" y="24" font-size="14" font-weight="bold">{_words(way)}</text>')
        for line, each in enumerate(found):
            for rank, other in enumerate(each):
                lines += _thing(left + rank * STEP, TOP + line * ROW, int(other), category, own=bool(category[other] == category[rows[line]]))
    for line, number in enumerate(rows):
        y = TOP + line * ROW
        lines += [*_thing(10, y, number, category, own=True)]
        lines += [f'<text x="68" y="{y + 20 + 15 * i}" fill="#222">{_words(part)}</text>' for i, part in enumerate(_cut(titles[number]))]
    return "\n".join([*lines, "</svg>"])


def _photo(number: int, photo: bytes) -> str:
    data = base64.b64encode(photo).decode("ascii")
    return f'<image id="p{number}" width="{SIDE}" height="{SIDE}" href="data:image/png;base64,{data}"/>'


def _thing(x: int, y: int, number: int, category: Array, *, own: bool) -> list[str]:
    """A photo with its frame and the name of its category."""
    ink, thick, weight = (OWN, 3, "bold") if own else (OTHER, 1, "normal")
    middle, name = x + SIDE // 2, CATEGORIES[int(category[number])]
    return [
        f'<use href="#p{number}" x="{x}" y="{y}"/>',
        f'<rect x="{x}" y="{y}" width="{SIDE}" height="{SIDE}" fill="none" stroke="{ink}" stroke-width="{thick}"/>',
        f'<text x="{middle}" y="{y + SIDE + 13}" text-anchor="middle" font-weight="{weight}" fill="{OWN if own else "#555"}">{_words(name)}</text>',
    ]


def _cut(title: str) -> list[str]:
    """A title in up to three lines."""
    lines = [""]
    for word in title.split():
        if lines[-1] and _room(lines[-1]) + _room(word) >= LETTERS:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return lines[:3]


def _room(text: str) -> int:
    """Letters, a Chinese one as two."""
    return sum(2 if unicodedata.east_asian_width(letter) == "W" else 1 for letter in text)


def _words(text: str) -> str:
    return html.escape(text)
