"""How near items are to one of them: by what behaviour taught, by what goes together, by features. Knows no user."""

from collections.abc import Callable

import numpy as np
import torch

from banyan import inference
from banyan.errors import ConfigError
from banyan.features.columns import ID
from banyan.features.stock import ITEM
from banyan.serving.answering import Answering
from banyan.serving.signalled import together
from banyan.store.hints import hint
from banyan.types import Array

KINDS = {"text": "text", "photo": "image"}  # ways that read features of one kind
LIKE = ("taste", "together", "words", "text", "photo", "content", "behaviour")  # ways of being similar


class Likeness:
    """The items' vectors of each way of being similar, made when they are first asked for."""

    def __init__(self, answering: Answering, met: Callable[[int], Array | None]) -> None:
        """`met`: row -> (rows,) how often each item is met with it, None where nothing is."""
        self.answering, self.met = answering, met
        self.layout = answering.plan.entities[ITEM]
        self._made: dict[str, tuple[Array, Array]] = {}  # way -> vectors, and their lengths

    def near(self, row: int, by: str) -> Array:
        """(rows,) cosine of each item with one, or what goes with it; -inf for an item that has nothing to compare, everywhere where the one has none.

        Raises ConfigError for an unknown way, and for a kind of feature that the items do not have.
        """
        if by == "together":
            found = together(self.answering.ground.stock, row)
            found = self.met(row) if found is None else found
            if found is not None:
                return np.where(found > 0, found, -np.inf)
        way = self._way(by)
        vectors, lengths = self._of(way)
        cosine = np.asarray(vectors @ vectors[row] / np.maximum(lengths * lengths[row], 1e-24))
        return np.where((lengths > 0) & (lengths[row] > 0), cosine, -np.inf) if way in KINDS else cosine

    def vectors(self, by: str) -> Array:
        """(rows, F) what is compared; raises as `near` does."""
        return self._of(self._way(by))[0]

    def _of(self, way: str) -> tuple[Array, Array]:
        if way not in self._made:
            vectors = self._vectors(way)
            self._made[way] = vectors, np.linalg.norm(vectors, axis=1)
        return self._made[way]

    def _way(self, by: str) -> str:
        """What stands for a way: texts for words where items have any, features where no task ranks items."""
        if by not in LIKE:
            raise ConfigError(f"similar knows no {by!r}.{hint(by, LIKE)}")
        if by in KINDS or (by == "words" and self._features("text")):
            return by if by in KINDS else "text"
        return "content" if by in ("words", "content") or self.answering.vectors is None else "taste"

    def _vectors(self, way: str) -> Array:
        if way == "taste" and self.answering.vectors is not None:
            return self.answering.vectors.cpu().numpy()
        if way == "content":
            return self._tokens([key for key in self.layout.tokens if key != ID])
        if not (features := self._features(way)):
            kind = KINDS[way]
            raise ConfigError(f"similar by {way!r} compares features of the kind {kind!r}, and this bundle's items have none; ask by 'taste' or 'content'.")
        return self._tokens(features, gaps=True)

    def _features(self, way: str) -> list[str]:
        return [key for key in self.layout.tokens if key in self.layout.features and self.layout.features[key].kind == KINDS[way]]

    @torch.inference_mode()
    def _tokens(self, features: list[str], *, gaps: bool = False) -> Array:
        """(rows, F) the tokens of some features side by side, each at length 1; up to the first row that nobody knows. `gaps`: 0 where it is missing."""
        count = self.answering.last + 1
        if not features:
            return np.zeros((count, 1), np.float32)
        places = [self.layout.tokens.index(key) for key in features]
        blocks = []
        for start in range(0, count, inference.BLOCK):
            stop = min(start + inference.BLOCK, count)
            tokens = self.answering.ahead.items(np.arange(start, stop))[0][0][:, places]
            made = torch.nn.functional.normalize(tokens, dim=2).cpu().numpy()
            blocks.append((made * self._there(features, start, stop) if gaps else made).reshape(stop - start, -1))
        return np.concatenate(blocks)

    def _there(self, features: list[str], start: int, stop: int) -> Array:
        """(n, features, 1) whether each of some items has each."""
        values = self.answering.ground.stock.entities[ITEM]
        bags = {key: np.diff(values.bags[key][0][start : stop + 1]) > 0 for key in features if key in values.bags}
        each = [bags[key] if key in bags else (values.dense[key][start:stop] != 0).any(1) for key in features]
        return np.stack(each, 1)[:, :, None]
