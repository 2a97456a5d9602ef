"""The pages' texts: one file for each language, the same keys in each. Knows no page."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

LANGUAGES = {"en": "English", "zh": "中文"}


@dataclass(frozen=True)
class Words:
    """The texts of one language."""

    language: str
    texts: Mapping[str, str]

    def __call__(self, key: str, **filled: object) -> str:
        """A text with its blanks filled. Raises KeyError for one that does not exist."""
        return self.texts[key].format(**filled)

    def known(self, key: str) -> bool:
        """Whether there is such a text."""
        return key in self.texts


@cache
def words(language: str) -> Words:
    """The texts of a language of `LANGUAGES`."""
    return Words(language, json.loads((files(__package__) / "texts" / f"{language}.json").read_text(encoding="utf-8")))


def preferred(chosen: str, accepted: str) -> str:
    """The language: the one that was chosen, else the browser's first that there is, by its `Accept-Language`, else English."""
    if chosen in LANGUAGES:
        return chosen
    ranked = []
    for place, each in enumerate(accepted[:500].split(",")):
        name, _, weight = each.strip().partition(";q=")
        ranked.append((-_weight(weight), place, name.partition("-")[0].lower()))
    return next((name for weight, _, name in sorted(ranked) if name in LANGUAGES and weight < 0), "en")


def _weight(told: str) -> float:
    try:
        return float(told) if told else 1.0
    except ValueError:
        return 0.0
