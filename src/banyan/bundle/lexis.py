"""The words of a shop in a bundle's folder: spellings and synonyms as JSON that a person can read, tokens of the items' texts as arrays."""

import json
from dataclasses import astuple
from pathlib import Path

import numpy as np
import safetensors.numpy

from banyan.bundle import folder
from banyan.errors import BundleError
from banyan.features.lexis import MOST, Lexis
from banyan.features.synonyms import MOST as MOST_SYNONYMS
from banyan.features.synonyms import Synonym

WORDS, TOKENS = "words.json", "words.safetensors"


def save(path: Path, lexis: Lexis) -> None:
    """Write both files into the folder."""
    counts = lexis.counts.tolist()
    told = {"words": [[word, *count] for word, count in zip(lexis.words, counts, strict=True)], "synonyms": [list(astuple(each)) for each in lexis.synonyms]}
    (path / WORDS).write_text(json.dumps(told, ensure_ascii=False), encoding="utf-8")
    found = {f"{part}/{key}": each for key, bag in lexis.bags.items() for part, each in zip(("offsets", "tokens"), bag, strict=True)}
    safetensors.numpy.save_file({key: np.ascontiguousarray(each) for key, each in found.items()}, path / TOKENS)


def load(path: Path, rows: int) -> Lexis:
    """The words of the bundle folder `path` with so many rows of items, the missing one counted. Raises BundleError that names the file."""
    arrays = folder.read_arrays(path / TOKENS)
    with folder.reading(path / WORDS):
        told = folder.read_json(path / WORDS)
        if len(told["words"]) > MOST or len(told["synonyms"]) > MOST_SYNONYMS:
            raise BundleError(
                f"{path / WORDS} has {len(told['words']):,} words and {len(told['synonyms']):,} synonyms; at most {MOST:,} and {MOST_SYNONYMS:,}."
            )
        words = [str(word) for word, _, _ in told["words"]]
        counts = np.array([[items, queries] for _, items, queries in told["words"]], np.int64).reshape(-1, 2)
        synonyms = [Synonym(str(word), str(other), float(weight), int(together)) for word, other, weight, together in told["synonyms"]]
    bags = {key.removeprefix("tokens/"): each for key, each in arrays.items() if key.startswith("tokens/")}
    found = {key: (arrays[f"offsets/{key}"], each) for key, each in bags.items() if f"offsets/{key}" in arrays}
    for key, (offsets, each) in found.items():
        if len(offsets) != rows + 1 or offsets[0] != 0 or (np.diff(offsets) < 0).any() or offsets[-1] != len(each):
            raise BundleError(f"{path / TOKENS}: the tokens of {key} do not fit the {rows - 1:,} items; save the bundle anew.")
    return Lexis(found, words, counts, synonyms)
