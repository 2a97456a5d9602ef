"""A shop with every kind of feature, in memory and on disk, and a whole service over a bundle of it: what tests of many folders read."""

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
import yaml
from hypothesis import settings

from banyan.store.open import open_store
from banyan.store.shop import Shop

settings.register_profile("untimed", deadline=None)  # how long an example takes is no promise of the code's; time belongs in benchmarks
settings.load_profile("untimed")

USERS, ITEMS, EVENTS, SHOWN, JUDGED = 30, 20, 400, 150, 80
BEGIN = 1_700_000_000
DAY = 86_400
FIRST, SECOND, THIRD = ["red", "blue", "warm", "丝绸", "红色"], ["dress", "hammer", "裙", "shirt"], ["", " cotton", " 2"]

EVERY_KIND: dict[str, Any] = {
    "store": "every kind",
    "entities": {
        "user": {"table": "users.parquet", "id": "user_id", "features": {"city": "category", "age": "category", "joined": "time"}},
        "item": {
            "table": "items.parquet",
            "id": "item_id",
            "features": {
                "kind": "category",
                "price": "number",
                "same": "number",
                "title": {"kind": "text", "buckets": 500},
                "items": "tags",
                "look": "vector",
                "since": "time",
            },
        },
        "query": {"table": "queries.parquet", "id": "term", "embed_id": False, "features": {"text": {"kind": "text", "buckets": 500}}},
    },
    "events": {"table": "events.parquet", "user": "user_id", "item": "item_id", "behaviour": "event", "time": "ts", "scenario": "page"},
    "samples": {
        "viewed": {"recipe": "outcomes", "after": "view", "within": "2d", "labels": {"cart": "cart", "buy": "buy"}},
        "next": {"recipe": "next_item", "behaviours": ["cart", "buy"]},
        "people": {"recipe": "attributes", "of": "user", "labels": {"age": "age"}, "split": {"by": "user"}},
        "weekly": {"recipe": "counts", "of": "view", "by": ["item.kind"], "every": "week", "ahead": 2},
        "shown": {
            "table": "shown.parquet",
            "user": "who",
            "item": "what",
            "time": "at",
            "scenario": "page",
            "labels": {"liked": "liked", "spent": "spent", "moods": "moods"},
            "features": {"place": {"kind": "number", "training_only": 1}, "device": "category", "favourite": {"kind": "category", "like": "item.kind"}},
            "rate": "rate",
        },
        "judged": {
            "table": "judged.parquet",
            "query": "term",
            "item": "what",
            "time": "at",
            "labels": {"grade": "grade"},
            "features": {"length": "number", "device": "category"},
        },
    },
    "tasks": {
        "liked": {"kind": "binary", "samples": "shown", "label": "liked"},
        "bought": {"kind": "funnel", "samples": "viewed", "stages": ["cart", "buy"]},
        "next": {"kind": "ranking", "samples": "next", "negatives": 5},
        "type": {"kind": "classes", "samples": "people", "label": "age"},
        "demand": {"kind": "count", "samples": "weekly"},
        "grade": {"kind": "graded", "samples": "judged", "label": "grade"},
        "spent": {"kind": "amount", "samples": "shown", "label": "spent"},
        "moods": {"kind": "tags", "samples": "shown", "label": "moods"},
    },
    "split": {"by": "time", "valid": "7d", "test": "7d"},
    "model": {"width": 8, "length": 5, "pair_last": 12, "snapshot": "3d"},
}


def every_kind(seed: int = 3) -> dict[str, pl.DataFrame]:
    """The shop's tables. Times are whole hours, so that rows and events often meet; some ids are named by no event, the last item by nothing."""
    rng = np.random.default_rng(seed)

    def hours(count: int) -> pl.Series:
        return pl.from_epoch(pl.Series(BEGIN + 3600 * rng.integers(0, 40 * 24, count)), time_unit="s")

    def ids(letter: str, count: int, of: int) -> list[str]:
        return [f"{letter}{i}" for i in rng.integers(0, of, count)]

    titles = [f"{FIRST[i % 5]} {SECOND[i % 4]}{THIRD[i % 3]}" for i in range(ITEMS)]
    return {
        "users": pl.DataFrame(
            {
                "user_id": [f"u{i}" for i in range(USERS)],
                "city": rng.choice(["a", "b", None], USERS).tolist(),
                "age": rng.choice(["19-24", "25-34", "65+"], USERS),
                "joined": hours(USERS).scatter([1], None),
            }
        ),
        "items": pl.DataFrame(
            {
                "item_id": [f"i{i}" for i in range(ITEMS)],
                "kind": rng.choice(["p", "q", None], ITEMS).tolist(),
                "price": pl.Series(rng.lognormal(1, 2, ITEMS)).scatter([2], None),
                "same": [4.0] * ITEMS,
                "title": [None, "", *titles[2:]],
                "items": [[["old"], [], None, ["old", "new"]][i % 4] for i in range(ITEMS)],
                "look": [None if i % 5 == 0 else [float(i), 1.0, -2.0] for i in range(ITEMS)],
                "since": hours(ITEMS),
            }
        ),
        "queries": pl.DataFrame({"term": ["t0", "t1", "t2", "t3"], "text": ["red dress", "红色裙", "hammer", None]}),
        "events": pl.DataFrame(
            {
                "user_id": ids("u", EVENTS, USERS - 3),
                "item_id": ids("i", EVENTS, ITEMS - 2),
                "event": rng.choice(["view", "cart", "buy"], EVENTS, p=[0.5, 0.3, 0.2]),
                "ts": hours(EVENTS),
                "page": rng.choice(["home", "search"], EVENTS),
            }
        ),
        "shown": pl.DataFrame(
            {
                "who": pl.Series(ids("u", SHOWN, USERS)).scatter([3], None),
                "what": pl.Series(ids("i", SHOWN, ITEMS - 1)).scatter([4], None),
                "at": hours(SHOWN),
                "page": rng.choice(["home", None], SHOWN).tolist(),
                "liked": pl.Series(rng.integers(0, 2, SHOWN)).scatter([5, 6], None),
                "spent": np.where(rng.random(SHOWN) < 0.5, 0.0, rng.lognormal(size=SHOWN)),
                "moods": [["calm", "glad"][: i % 3] for i in range(SHOWN)],
                "place": rng.integers(1, 9, SHOWN).astype(float),
                "device": rng.choice(["phone", "desk", None], SHOWN).tolist(),
                "favourite": rng.choice(["p", "q", "z"], SHOWN),
                "rate": rng.choice([1.0, 0.25], SHOWN),
            }
        ),
        "judged": pl.DataFrame(
            {
                "term": pl.Series(ids("t", JUDGED, 4)).scatter([2], None),
                "what": ids("i", JUDGED, ITEMS - 1),
                "at": hours(JUDGED),
                "grade": rng.integers(0, 4, JUDGED),
                "length": rng.normal(size=JUDGED),
                "device": rng.choice(["phone", "watch"], JUDGED),
            }
        ),
    }


Opened = Callable[..., Shop]


@pytest.fixture(scope="session")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Opened:
    """A function from (tables, description) to the shop that is read from them; both are those of every kind unless given."""

    def make(frames: dict[str, pl.DataFrame] | None = None, description: dict[str, Any] | None = None, **model: Any) -> Shop:
        folder: Path = tmp_path_factory.mktemp("shop")
        for name, frame in (frames or every_kind()).items():
            frame.write_parquet(folder / f"{name}.parquet")
        page = copy.deepcopy(description or EVERY_KIND)
        page.setdefault("model", {}).update(model)
        (folder / "store.yaml").write_text(yaml.safe_dump(page, allow_unicode=True, sort_keys=False))
        return open_store(folder / "store.yaml")

    return make


@pytest.fixture(scope="session")
def described() -> Callable[[], dict[str, Any]]:
    """A function that gives a fresh copy of the description of every kind."""
    return lambda: copy.deepcopy(EVERY_KIND)


@pytest.fixture(scope="session")
def tables() -> Callable[..., dict[str, pl.DataFrame]]:
    """A function that gives the tables of every kind."""
    return every_kind


@pytest.fixture(scope="session")
def shop(opened: Opened) -> Shop:
    """The shop of every kind."""
    return opened()


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory, shop: Shop) -> dict[str, Path]:
    """Two bundles of networks that were never trained."""
    import torch

    from banyan.bundle import save
    from banyan.features.build import build
    from banyan.model import Network

    folder, found = tmp_path_factory.mktemp("bundles"), {}
    for seed, name in enumerate(("old", "new")):
        torch.manual_seed(seed)
        data = build(shop)
        network = Network(data.plan, shop.store.model, shop.store.tasks)
        found[name] = save(folder / name, network, data, shop.store, {"metrics": {}, "notes": []})
    return found


class Visit:
    """A client with an admin's key, in front of a whole service in this process."""

    def __init__(self, client: Any, key: str, house: Any, service: Any) -> None:
        self.client, self.house, self.service = client, house, service
        self.head = {"Authorization": f"Bearer {key}"}

    def __call__(self, method: str, path: str, body: Any = None) -> Any:
        return self.client.request(method, path, json=body, headers=self.head)


@pytest.fixture(scope="session")
def visiting() -> Callable[[Any], Any]:
    """Opens the service of a house whose state holds a version that answers."""
    from litestar.testing import TestClient

    from banyan.serving.api import create

    @contextmanager
    def opened(house: Any) -> Iterator[Visit]:
        _, key = house.keys().add("admin", ["admin"])
        service = house.service()
        with TestClient(create(service), raise_server_exceptions=False) as client:  # type: ignore[arg-type]
            yield Visit(client, key, house, service)

    return opened


@pytest.fixture(scope="module")
def standing(tmp_path_factory: pytest.TempPathFactory, bundles: dict[str, Path], visiting: Callable[[Any], Any]) -> Iterator[Visit]:
    """One whole service with a real bundle for all tests of a file, which leave it as they found it, but for events."""
    from banyan.serving.house import House, settle

    house = House(tmp_path_factory.mktemp("standing"))
    settle(house, bundles["old"], lambda line: None)
    with visiting(house) as found:
        yield found


WORDS = ["red", "blue", "warm", "dress", "hammer", "shirt", "sofa", "velvet", "cotton", "the", "##s", "##er", "红", "色", "裙", "丝", "绸", "2"]


@pytest.fixture(scope="session")
def language_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a transformer of two layers with random weights and a vocabulary of a few words, as transformers itself writes it."""
    transformers = pytest.importorskip("transformers", reason="the extra `models` is not installed")
    pytest.importorskip("peft", reason="the extra `models` is not installed")
    folder = tmp_path_factory.mktemp("language") / "tiny-bert"
    folder.mkdir()
    (folder / "vocab.txt").write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]), encoding="utf-8")
    tokenizer = transformers.BertTokenizerFast(str(folder / "vocab.txt"))
    config = transformers.BertConfig(
        vocab_size=len(tokenizer), hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32, max_position_embeddings=24
    )
    torch.manual_seed(0)
    transformers.BertModel(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
