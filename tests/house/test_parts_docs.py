"""Every part of every family, each of its options and each default stand on the family's page, in both languages."""

import re
from pathlib import Path
from typing import Any

import pytest

from banyan import parts

DOCS = Path(__file__).parents[2] / "docs"
PAGES = {family: family for family in parts.FAMILIES} | {"cross": "sharing", "auxiliary": "scarcity"}
CASES = [(family, name, language) for family in parts.FAMILIES for name in parts.names(family) for language in ("", ".zh")]


def written(default: Any) -> set[str]:
    """How a default may stand on a page."""
    if isinstance(default, bool):
        return {str(default).lower()}
    if isinstance(default, float):
        return {f"{default:g}", str(default)}
    if isinstance(default, tuple):
        return {str(default), str(list(default))}
    return {str(default)}


def rows(lines: list[str], name: str) -> str:
    """The rows of the page's tables that tell of a part: it stands in the first cell, or in the second, behind what it reads."""
    return "\n".join(line for line in lines if line.startswith("|") and any(f"`{name}`" in cell for cell in line.split("|")[1:3]))


@pytest.mark.parametrize(("family", "name", "language"), CASES)
def test_the_page_tells_of_a_part_its_options_and_their_defaults(family: str, name: str, language: str) -> None:
    page = (DOCS / f"{PAGES[family]}{language}.md").read_text(encoding="utf-8")
    own = rows(page.splitlines(), name)
    assert own, f"{family} {name}"
    alike = set.intersection(*(set(parts.options(family, each)) for each in parts.names(family)))  # said once for the family
    for key, option in parts.options(family, name).items():
        said = page if key in alike else own
        assert f"`{key}`" in said, key
        if option.default not in (None, (), option.empty):  # nothing, which prose may say as it likes
            stated = "|".join(re.escape(each) for each in written(option.default))
            assert re.search(rf"`{key}`[^`|]{{0,40}}?`?(?<![\w.])({stated})(?![\w.])", said), f"{key}: {option.default!r}"


def tables(page: str) -> list[list[str]]:
    """The tables of a page, each as its rows, the header first."""
    return [block.splitlines() for block in re.findall(r"(?:^\|.*\n)+", page, re.M)]


@pytest.mark.parametrize("family", parts.FAMILIES)
@pytest.mark.parametrize("language", ["", ".zh"])
def test_the_page_names_no_option_that_is_gone(family: str, language: str) -> None:
    """In a table of options, a word in backticks before a bracket is one of them."""
    page = (DOCS / f"{PAGES[family]}{language}.md").read_text(encoding="utf-8")
    told = [row for table in tables(page) if re.search("option|选项", table[0]) for row in table]
    for name in parts.names(family):
        for key in re.findall(r"`(\w+)`\s*[(（]", rows(told, name)):
            assert key in parts.options(family, name), f"{name}: {key}"
