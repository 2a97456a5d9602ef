"""A catalogue's titles to the item vectors that an index holds, by Banyan and by a plain loop of torch. Measures nothing."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from torch import Tensor, nn

from banyan import inference
from banyan.features import columns
from banyan.features.build import build
from banyan.features.stock import ITEM
from banyan.features.texts import Texts
from banyan.model import Network
from banyan.run import feeder_of
from banyan.store.open import open_store
from benchmarks import _ranked
from benchmarks._text_encoders import BUCKETS, WIDTH, Work

HIDDEN, EVENTS, USERS, DAY = 32, 2_000, 100, 86_400
PAGE: dict[str, Any] = {
    "store": "titles",
    "entities": {
        "user": {"table": "users.parquet", "id": "user"},
        "item": {"table": "items.parquet", "id": "item", "features": {"title": {"kind": "text", "buckets": BUCKETS}}},
    },
    "events": {"table": "events.parquet", "user": "user", "item": "item", "behaviour": "event", "time": "at"},
    "samples": {"next": {"recipe": "next_item"}},
    "tasks": {"next": {"kind": "ranking", "samples": "next"}},
    "split": {"by": "time", "valid": "2d", "test": "2d"},
    "model": {"width": WIDTH},
}


def catalogue(texts: list[str], folder: Path) -> dict[str, Work]:
    """Items of a title and an id each -> (items, H) vectors, of a network that nobody trained."""
    shop = open_store(_ranked.write(folder, PAGE, _tables(texts)))
    data = build(shop, Texts())
    torch.manual_seed(0)
    network = Network(data.plan, shop.store.model, shop.store.tasks).eval()
    feeder, items = feeder_of(data, shop.store), shop.entities[ITEM]
    ids = pl.Series(items.ids, dtype=pl.String)

    def ours() -> Tensor:
        feeder.stock.entities[ITEM] = columns.apply(data.plan.entities[ITEM], items.frame, data.plan.books, Texts(), ids, blank=True)
        return inference.vectors(network, feeder)

    plain = Bare(len(texts), ours().shape[1])
    return {"catalogue": (len(texts), ours), "catalogue peer": (len(texts), lambda: plain(texts))}


def _tables(texts: list[str]) -> dict[str, pl.DataFrame]:
    """The titles, and random events of few people: what makes a store of them."""
    rng = np.random.default_rng(0)
    users = [f"u{i}" for i in range(USERS)]
    at = np.sort(rng.integers(0, 20 * DAY, EVENTS)) + 1_700_000_000
    who, what = rng.integers(0, USERS, EVENTS), rng.integers(0, len(texts), EVENTS)
    return {
        "users": pl.DataFrame({"user": users}),
        "items": pl.DataFrame({"item": [f"i{i}" for i in range(len(texts))], "title": texts}),
        "events": pl.DataFrame({"user": [users[i] for i in who], "item": [f"i{i}" for i in what], "event": "view", "at": at}),
    }


class Bare(nn.Module):
    """Ids and hashed words, pairs and trigrams -> an id's row, the mean of the n-grams' rows and a residual layer on it -> a vector."""

    def __init__(self, items: int, width: int) -> None:
        from sklearn.feature_extraction.text import HashingVectorizer

        super().__init__()
        shape: dict[str, Any] = {"n_features": BUCKETS, "norm": None, "alternate_sign": False}
        self.words = [HashingVectorizer(ngram_range=(1, 2), **shape), HashingVectorizer(analyzer="char_wb", ngram_range=(3, 3), **shape)]
        self.ids, self.rows = nn.Embedding(items, WIDTH), nn.EmbeddingBag(2 * BUCKETS, WIDTH, mode="mean")
        self.residual = nn.Sequential(nn.LayerNorm(WIDTH), nn.Linear(WIDTH, HIDDEN), nn.GELU(), nn.Linear(HIDDEN, WIDTH))
        self.out = nn.Linear(2 * WIDTH, width)

    @torch.inference_mode()
    def forward(self, texts: list[str]) -> Tensor:
        """(items, width), in blocks as large as ours."""
        found = []
        for start in range(0, len(texts), inference.BLOCK):
            piece = texts[start : start + inference.BLOCK]
            bags = [self._means(piece, number) for number in range(len(self.words))]
            mean = torch.stack(bags).mean(0)
            ids = self.ids(torch.arange(start, start + len(piece)))
            found.append(self.out(torch.cat([ids, mean + self.residual(mean)], 1)))
        return torch.cat(found)

    def _means(self, piece: list[str], number: int) -> Tensor:
        said = self.words[number].transform(piece)
        each: Tensor = self.rows(torch.from_numpy(said.indices.astype(np.int64)) + number * BUCKETS, torch.from_numpy(said.indptr[:-1].astype(np.int64)))
        return each
