"""The page on bundles names the files that a bundle has and the methods that it offers, in both languages."""

import re
from pathlib import Path

import pytest

from banyan.bundle import Bundle

DOCS = Path(__file__).parents[2] / "docs"
PAGES = ("bundle.md", "bundle.zh.md")


@pytest.mark.parametrize("page", PAGES)
def test_every_file_of_a_bundle_stands_in_the_page_and_no_other(run, page: str) -> None:
    told = set(re.findall(r"`([\w.-]+\.(?:safetensors|parquet|json|md))`", (DOCS / page).read_text(encoding="utf-8")))
    assert told == {re.sub(r"entity-\d+", "entity-N", each.name) for each in run.path.iterdir()}


@pytest.mark.parametrize("page", PAGES)
def test_every_method_in_the_page_is_there(page: str) -> None:
    told = set(re.findall(r"bundle\.(\w+)\(", (DOCS / page).read_text(encoding="utf-8")))
    assert told == {name for name in ("expects", "on", "predict", "recommend", "recommend_to", "with_entities", "with_events") if hasattr(Bundle, name)}
