"""The columns of one source (an entity, or the context of the samples) as arrays: fitted on training rows, then applied to any."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl
from scipy import sparse

from banyan.errors import DataError
from banyan.features import lexicon, numbers, pictures, vocabulary, words
from banyan.features.numbers import Number
from banyan.features.texts import Texts
from banyan.features.times import DAY, TIME_PARTS, covers_a_year, time_parts
from banyan.features.vocabulary import Vocabulary
from banyan.store.schema import Feature
from banyan.types import Array

ID = "id"  # the name of an entity's own id among its category features


@dataclass
class Layout:
    """Which columns a source has, in the order of its tokens: categories, one token of numbers, then each bag and each vector."""

    name: str
    categories: dict[str, str] = field(default_factory=dict)  # feature -> name of its vocabulary
    numbers: list[Number] = field(default_factory=list)
    tags: dict[str, str] = field(default_factory=dict)  # feature -> vocabulary
    texts: dict[str, tuple[int, int]] = field(default_factory=dict)  # feature -> (first row, buckets) of its hashed n-grams
    dense: dict[str, tuple[str, int]] = field(default_factory=dict)  # feature -> (encoder, entries): text as a vector or as tokens, vector, time
    ages: dict[str, tuple[float, float]] = field(default_factory=dict)  # time feature -> mean and scale of its age in days
    seasons: dict[str, bool] = field(default_factory=dict)  # time feature -> whether training covers a year, so that its seasons are known
    features: dict[str, Feature] = field(default_factory=dict)
    letters: list[str] = field(default_factory=list)  # texts whose letters are kept: their words meet those of another text

    @property
    def tokens(self) -> list[str]:
        """Names of the tokens, in order."""
        return [*self.categories, *(["numbers"] if self.numbers else []), *self.tags, *self.texts, *self.dense]

    def only(self, wanted: Sequence[str]) -> "Layout":
        """The part of the layout that holds these features, in the layout's order."""
        return Layout(
            self.name,
            {k: v for k, v in self.categories.items() if k in wanted},
            [n for n in self.numbers if n.name in wanted],
            {k: v for k, v in self.tags.items() if k in wanted},
            {k: v for k, v in self.texts.items() if k in wanted},
            {k: v for k, v in self.dense.items() if k in wanted},
            {k: v for k, v in self.ages.items() if k in wanted},
            {k: v for k, v in self.seasons.items() if k in wanted},
            {k: v for k, v in self.features.items() if k in wanted},
            [k for k in self.letters if k in wanted],
        )

    @property
    def bags(self) -> list[str]:
        """Features of many ids a row; the bins of the numbers are one of them, named `numbers`."""
        return [*(["numbers"] if any(n.edges for n in self.numbers) else []), *self.tags, *self.texts]


@dataclass
class Values:
    """A source's columns as arrays of n rows; ids are rows of the fused table."""

    ids: Array  # (n, C) int32
    numbers: Array  # (n, M) float32, 0 where missing
    known: Array  # (n, M) bool
    bins: Array  # (n, M') int32, for the numbers that have bins
    bags: dict[str, tuple[Array, Array]]  # feature -> (n + 1,) int64 offsets and int32 ids
    dense: dict[str, Array]  # feature -> (n, E) float32, of pictures float16 or uint8; a row of zeros is missing

    def __len__(self) -> int:
        return len(self.ids)


def fit(
    name: str,
    frame: pl.DataFrame,
    features: Mapping[str, Feature],
    books: dict[str, Vocabulary],
    texts: Texts,
    ids: Vocabulary | None = None,
    prefix: str = "",
) -> Layout:
    """Fit a layout on training rows. New vocabularies join `books`; `ids` is the one of an entity's own ids."""
    layout = Layout(name, features=dict(features))
    if ids is not None:
        layout.categories[ID] = ids.name
        books[ids.name] = ids
    for key, feature in features.items():
        book = feature.like or f"{prefix}{key}"
        match feature.kind:
            case "category":
                layout.categories[key] = book
                books.setdefault(book, vocabulary.fit(book, frame[key], feature.least))
            case "number":
                layout.numbers.append(numbers.fit(key, frame[key], feature.bins))
            case "tags":
                layout.tags[key] = book
                books.setdefault(book, vocabulary.fit(book, frame[key].explode(empty_as_null=True, keep_nulls=True), feature.least))
            case "text" if feature.way == "ngrams":
                layout.texts[key] = (0, feature.buckets)
            case "text" if feature.way == "tuned":
                layout.dense[key] = ("tuned", feature.tokens)
            case "text":
                layout.dense[key] = ("vector", texts.width(feature.model))
            case "vector":
                layout.dense[key] = ("vector", _entries(name, key, frame[key]))
            case "image":
                layout.dense[key] = ("pixels" if feature.pixels else "image", pictures.entries(feature))
            case "time":
                days = frame[key].drop_nulls().to_numpy() / DAY
                layout.ages[key] = (float(days.mean()) if len(days) else 0.0, float(days.std()) + 1.0 if len(days) else 1.0)
                layout.seasons[key] = covers_a_year(frame[key].drop_nulls().to_numpy())
                layout.dense[key] = ("time", TIME_PARTS)
    return layout


def _entries(name: str, key: str, vectors: pl.Series) -> int:
    if isinstance(vectors.dtype, pl.Array):
        return int(vectors.dtype.size)
    present = vectors.drop_nulls()
    if not len(present) or not isinstance(present.dtype, pl.List):
        raise DataError(f"{name}.{key}: no training row has a vector, so its length is unknown; leave the feature out.")
    return int(present.list.len().cast(pl.Int64).to_numpy().max())


def apply(layout: Layout, frame: pl.DataFrame, books: Mapping[str, Vocabulary], texts: Texts, ids: pl.Series | None = None, *, blank: bool = False) -> Values:
    """The arrays of any rows. With `blank`, a first row stands for the missing entity."""
    rows = frame.height + blank
    categories = [ids if key == ID and ids is not None else frame[key] for key in layout.categories]
    columns = [books[book].rows(_blanked(series, blank)) for book, series in zip(layout.categories.values(), categories, strict=True)]
    standard, known, bins = _numbers(layout.numbers, frame, rows, blank)
    return Values(
        np.stack(columns, 1) if columns else np.zeros((rows, 0), np.int32),
        standard,
        known,
        bins,
        {**_tags(layout, frame, books, blank), **_texts(layout, frame, blank), **_letters(layout, frame, blank)},
        {key: _dense(layout, key, frame[key], texts, blank) for key in layout.dense},
    )


def _blanked(series: pl.Series, blank: bool) -> pl.Series:
    series = series.cast(pl.String)
    return pl.concat([pl.Series([None], dtype=pl.String), series.alias("")]) if blank else series


def _numbers(wanted: Sequence[Number], frame: pl.DataFrame, rows: int, blank: bool) -> tuple[Array, Array, Array]:
    values = np.zeros((rows, len(wanted)), np.float32)
    known = np.zeros((rows, len(wanted)), bool)
    bins = []
    for i, number in enumerate(wanted):
        raw = frame[number.name].cast(pl.Float64).to_numpy()
        raw = np.concatenate([[np.nan], raw]) if blank else raw
        known[:, i] = number.known(raw)
        values[:, i], binned = number.standard(raw)
        if number.edges:
            bins.append(binned)
    return values, known, np.stack(bins, 1) if bins else np.zeros((rows, 0), np.int32)


def _tags(layout: Layout, frame: pl.DataFrame, books: Mapping[str, Vocabulary], blank: bool) -> dict[str, tuple[Array, Array]]:
    found = {}
    for key, book in layout.tags.items():
        counts = frame[key].list.len().fill_null(0).to_numpy().astype(np.int64)
        flat = frame[key].filter(frame[key].list.len() > 0).explode(empty_as_null=True, keep_nulls=True)
        found[key] = (_offsets(counts, blank), books[book].rows(flat))
    return found


def _texts(layout: Layout, frame: pl.DataFrame, blank: bool) -> dict[str, tuple[Array, Array]]:
    found = {}
    for key, (offset, buckets) in layout.texts.items():
        offsets, values = words.grams(frame[key], buckets, layout.features[key].grams, layout.features[key].letters)
        found[key] = (_offsets(np.diff(offsets), blank), (values + offset).astype(np.int32))
    return found


def _letters(layout: Layout, frame: pl.DataFrame, blank: bool) -> dict[str, tuple[Array, Array]]:
    """The texts whose words are compared, as they are read; under names that no feature has."""
    found = {}
    for key in layout.letters:
        offsets, codes = lexicon.letters(frame[key])
        found[lettered(key)] = (_offsets(np.diff(offsets), blank), codes)
    return found


def lettered(key: str) -> str:
    """The name under which the letters of a text stand among the bags of its entity."""
    return f"{key}:letters"


def _offsets(counts: Array, blank: bool) -> Array:
    return np.concatenate([np.zeros(1 + blank, np.int64), np.cumsum(counts, dtype=np.int64)])


def _dense(layout: Layout, key: str, series: pl.Series, texts: Texts, blank: bool) -> Array:
    feature = layout.features[key]
    width = layout.dense[key][1]
    if feature.kind == "time":
        found = time_parts(series.to_numpy(), *layout.ages[key], season=layout.seasons[key])
    elif feature.model is not None and feature.way == "tuned":
        found = texts.tokens(series, feature.model, width)
    elif feature.kind == "text":
        found = texts.vectors(series, feature.model)
    elif feature.kind == "image":
        found = texts.pictures.arrays(series, feature, f"{layout.name}.{key}")
    else:
        found = np.zeros((len(series), width), np.float32)
        present = series.is_not_null().to_numpy()
        if present.any():
            found[present] = series.drop_nulls().cast(pl.Array(pl.Float32, width)).to_numpy()
    kind = found.dtype if feature.kind == "image" else np.dtype(np.float32)  # pictures keep their few bytes
    return np.concatenate([np.zeros((int(blank), width), kind), found.astype(kind, copy=False)])


def terms(values: Values, layout: Layout, books: Mapping[str, Vocabulary]) -> sparse.csr_array:
    """(n, terms) float32, 1 where a row says a term: a category (not its own id), a tag, a hash of its words. What is missing or new says none."""
    keys = [i for i, key in enumerate(layout.categories) if key != ID]
    rows = [np.repeat(np.arange(len(values)), len(keys)), *(np.repeat(np.arange(len(values)), np.diff(offsets)) for offsets, _ in values.bags.values())]
    said = [values.ids[:, keys].reshape(-1), *(ids for _, ids in values.bags.values())]
    row, term = np.concatenate(rows), np.concatenate(said).astype(np.int64)
    silent = [each for book in books.values() for each in (book.missing, book.unseen)]
    keep = (row > 0) & ~np.isin(term, silent)
    names, place = np.unique(term[keep], return_inverse=True)
    found = sparse.csr_array((np.ones(int(keep.sum()), np.float32), (row[keep], place.reshape(-1))), shape=(len(values), max(len(names), 1)))
    found.sum_duplicates()
    found.data[:] = 1.0
    return found


def plain(layout: Layout) -> dict[str, Any]:
    """The layout as JSON-able values."""
    return {
        "name": layout.name,
        "categories": layout.categories,
        "numbers": [vars(n) for n in layout.numbers],
        "tags": layout.tags,
        "texts": layout.texts,
        "dense": layout.dense,
        "ages": layout.ages,
        "seasons": layout.seasons,
        "features": {key: f.model_dump(mode="json") for key, f in layout.features.items()},
        "letters": layout.letters,
    }


def restored(found: Mapping[str, Any]) -> Layout:
    """The layout that `plain` wrote."""
    return Layout(
        found["name"],
        dict(found["categories"]),
        [Number(**n) for n in found["numbers"]],
        dict(found["tags"]),
        {key: (int(a), int(b)) for key, (a, b) in found["texts"].items()},
        {key: (str(a), int(b)) for key, (a, b) in found["dense"].items()},
        {key: (float(a), float(b)) for key, (a, b) in found["ages"].items()},
        {key: bool(s) for key, s in found["seasons"].items()},
        {key: Feature(**f) for key, f in found["features"].items()},
        list(found.get("letters", [])),
    )
