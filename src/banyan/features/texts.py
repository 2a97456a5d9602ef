"""The texts of a store as vectors and as tokens of a language model, each model loaded once. Knows no table.

Which model is which is kept by content, so that whoever loads a bundle encodes new texts as training did, or is told that the model is another one.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from banyan import hub
from banyan.errors import ConfigError, MissingExtraError
from banyan.features import vectors
from banyan.features.pictures import Pictures
from banyan.features.vectors import PACKAGED, Progress, Sentences
from banyan.types import Array

BATCH = 4_096  # texts cut into tokens together


class Texts:
    """Turns text columns into vectors, which are cached on disk by content, and into tokens."""

    def __init__(self, cache: Path | None = None, progress: Progress | None = None) -> None:
        """`cache` and `progress` as in `vectors.embed_texts`."""
        self.cache, self.progress = cache, progress
        self.pictures = Pictures(cache.with_name("pictures.sqlite") if cache else None)
        self.expected: dict[str, str] = {}
        self._sentences: dict[str | None, Sentences] = {}
        self._tokenizers: dict[str, Any] = {}

    def expect(self, models: Mapping[str, str]) -> None:
        """From now on each of these models (name -> what tells its content) must be that one; any other is refused when a text has to be encoded."""
        self.expected = dict(models)
        self._sentences.clear()
        self._tokenizers.clear()

    def identity(self, model: str | None, *, tuned: bool = False) -> tuple[str, str]:
        """(name, what tells its content) of a model; None for the packaged encoder."""
        return (model, hub.digest(hub.found(model))) if tuned and model is not None else (model or PACKAGED, self._of(model).name)

    def width(self, model: str | None = None) -> int:
        """Entries of a sentence vector."""
        return int(vectors.embed_texts(["width"], self.cache, self._of(model))[0].shape[1])

    def vectors(self, texts: pl.Series, model: str | None = None) -> Array:
        """(n, E) float32; a missing text is a row of zeros."""
        found, known = vectors.embed_texts(texts, self.cache, self._of(model), self.progress)
        return np.where(known[:, None], found, 0.0).astype(np.float32)

    def tokens(self, texts: pl.Series, model: str, most: int) -> Array:
        """(n, most) float32 places in a model's vocabulary, from 1; 0 behind the last one. A missing or blank text is a row of zeros.

        Raises ConfigError where the model has no tokenizer of its own that can be read without running code.
        """
        column = pl.Series("text", texts, dtype=pl.String).fill_null("").str.strip_chars().str.slice(0, vectors.LONGEST)
        distinct = column.filter(column != "").unique(maintain_order=True)
        rows = np.zeros((len(distinct) + 1, most), np.float32)
        cut = self._tokenizer(model) if len(distinct) else None
        for start in range(0, len(distinct), BATCH):
            piece = distinct.slice(start, BATCH).to_list()
            found = cut(piece, truncation=True, max_length=most, padding="max_length", return_tensors="np") if cut is not None else {}
            ids, real = found["input_ids"].astype(np.int64), found["attention_mask"] > 0
            rows[start + 1 : start + 1 + len(piece)] = np.where(real, ids + 1, 0)
        place = column.to_frame().join(distinct.to_frame().with_row_index("place", 1), on="text", how="left", maintain_order="left")["place"]
        return np.asarray(rows[place.fill_null(0).to_numpy()])

    def _of(self, model: str | None) -> Sentences:
        if model not in self._sentences:
            self._sentences[model] = Sentences(model, self.expected)
        return self._sentences[model]

    def _tokenizer(self, model: str) -> Any:
        if model not in self._tokenizers:
            folder = hub.same(model, self.expected)
            try:
                from transformers import AutoTokenizer
            except ImportError as error:
                raise MissingExtraError(f"The language model {model!r}", "models") from error
            try:
                found = AutoTokenizer.from_pretrained(str(folder), local_files_only=True, trust_remote_code=False)
            except (OSError, ValueError, KeyError) as error:
                raise ConfigError(f"The tokenizer of the language model {model!r} ({folder}) cannot be read: {error}.") from error
            if found.pad_token_id is None:
                found.pad_token = found.eos_token or found.unk_token
            self._tokenizers[model] = found
        return self._tokenizers[model]
