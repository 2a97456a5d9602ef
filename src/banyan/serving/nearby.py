"""Items near to a text or a picture by what their own texts and pictures look like: one space for what is asked and what is offered."""

import logging
from dataclasses import dataclass

import numpy as np
import polars as pl

from banyan.bundle import Bundle
from banyan.errors import DataError, MissingExtraError
from banyan.features.pictures import Pictures
from banyan.features.stock import ITEM
from banyan.retrieval.sketch import Near, Sketch
from banyan.serving.pasts import Ground
from banyan.store import pictures
from banyan.store.pictures import Broken
from banyan.store.schema import Feature
from banyan.types import Array

LEAST = 0.35  # cosine of sentence vectors below which a text says something else
SPREADS = 1.5  # standard deviations above the mean of all items that a near one lies, too: some encoders find everything alike
MOST_PIXELS = 24_000_000  # of a picture that is asked with
MOST_BYTES = 8_000_000

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Space:
    """A text or a picture of the items as vectors."""

    feature: Feature
    sketch: Sketch


@dataclass(frozen=True)
class Sight:
    """What is near to a question in one space, and how near any item is."""

    near: Near
    sketch: Sketch
    vector: Array
    least: float  # the cosine from which on an item counts as near

    def share(self, rows: Array) -> Array:
        """(K,) float64 in [0, 1]: 0 at `least` and below, 1 for the nearest of all."""
        if not len(self.near.rows) or not len(rows):
            return np.zeros(len(rows))
        span = max(float(self.near.cosines[0]) - self.least, 1e-6)
        return np.clip((self.sketch.cosines(np.minimum(rows, len(self.sketch.norm) - 1), self.vector) - self.least) / span, 0, 1).astype(np.float64)


class Nearby:
    """The vector spaces of a bundle's items: of each frozen text, of each picture that is kept as a vector."""

    def __init__(self, ground: Ground) -> None:
        self.bundle: Bundle = ground.bundle
        values, layout = ground.stock.entities[ITEM], ground.bundle.plan.entities[ITEM]
        self.texts: dict[str, Space] = {}
        self.pictures: dict[str, Space] = {}
        for key, (encoder, width) in layout.dense.items():
            feature = layout.features.get(key)
            if feature is not None and feature.kind == "text" and feature.way == "frozen":
                self.texts[key] = Space(feature, Sketch(values.dense[key]))
            elif feature is not None and feature.kind == "image" and encoder == "image":
                self.pictures[key] = Space(feature, Sketch(values.dense[key], width // feature.views))
        self._lacking = False

    def warm(self) -> None:
        """Load what encodes queries, which would take the first of them some seconds."""
        for space in self.texts.values():
            self._vector("warm", space)

    def _vector(self, query: str, space: Space) -> Array | None:
        """(E,) of a query; None without the package that encodes it, which is told once."""
        try:
            return np.asarray(self.bundle.texts.vectors(pl.Series([query], dtype=pl.String), space.feature.model)[0])
        except MissingExtraError as error:
            if not self._lacking:
                log.warning("queries are searched by their words alone: %s", error)
            self._lacking = True
            return None

    def of_text(self, query: str, k: int, allowed: Array) -> list[Sight]:
        """For each text of the items those near to the query; none that says something else."""
        found = []
        for space in self.texts.values():
            vector = self._vector(query, space)
            if vector is None:
                return []
            found.append(_seen(space.sketch, vector, k, allowed, LEAST))
        return found

    def of_picture(self, picture: bytes, k: int, allowed: Array) -> list[Sight]:
        """For each picture of the items those that look most like this one. Raises DataError for a model without pictures, and for what is no picture."""
        if not self.pictures:
            raise DataError("The model reads no pictures of items, so nothing can be searched by a picture; train one with a feature of the kind image.")
        found = []
        for space in self.pictures.values():
            found.append(_seen(space.sketch, looked_at(picture, space.feature), k, allowed, -1.0))
        return found


def _seen(sketch: Sketch, vector: Array, k: int, allowed: Array, least: float) -> Sight:
    near = sketch.near(vector, k, allowed)
    least = min(max(least, near.mean + SPREADS * near.spread), 0.999)
    keep = near.cosines >= least
    return Sight(Near(near.rows[keep], near.cosines[keep], near.mean, near.spread), sketch, vector, least)


def looked_at(picture: bytes, feature: Feature) -> Array:
    """(E,) what the feature's own network says of a picture. Raises DataError that says why it cannot be read."""
    try:
        if len(picture) > MOST_BYTES:
            raise Broken("too many bytes")
        pictures.pixels(picture, pictures.LEAST, most=MOST_PIXELS)
    except Broken as reason:
        limits = f"{', '.join(pictures.FORMATS)} of at most {MOST_BYTES // 1_000_000} MB and {MOST_PIXELS // 1_000_000} million pixels"
        raise DataError(f"The picture cannot be read: {reason}. Send {limits}, at least {pictures.LEAST} pixels a side.") from reason
    return np.asarray(Pictures().arrays(pl.Series([picture], dtype=pl.Binary), feature, "the picture")[0])
