"""The planted store as files: entity tables, the event log, and the page that describes them."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import yaml

from banyan.store.world import words
from banyan.store.world.labels import Draw, Table, names, stamps
from banyan.store.world.log import DAY, SECOND, START, Views
from banyan.store.world.truth import AGES, KINDS, PAGES, K, Side, Truth
from banyan.types import Array


def entities(rng: np.random.Generator, draw: Draw) -> dict[str, pl.DataFrame]:
    """The tables of users, items, queries and offers, as a model may see them."""
    truth, calendar = draw.truth, draw.calendar
    users, queries, offers = truth.users, truth.queries, truth.offers
    return {
        "users": pl.DataFrame(
            {
                "user_id": names("u", np.arange(len(users))),
                "age_group": [AGES[c] for c in users.codes["age_group"]],
                "city": [f"city {c:02d}" for c in users.codes["city"]],
                "channel": [("shop", "friend", "search", "advert")[c] for c in users.codes["channel"]],
                "joined": stamps(START - rng.integers(1, 700, len(users)) * DAY),
            }
        ),
        "items": _items(rng, draw, calendar.test),
        "queries": pl.DataFrame({"query_id": names("q", np.arange(len(queries))), "words": _asked(queries)}),
        "offers": pl.DataFrame(
            {
                "offer_id": names("o", np.arange(len(offers["kind"]))),
                "kind": [KINDS[k] for k in offers["kind"]],
                "discount": offers["discount"].round(2),
            }
        ),
    }


def _items(rng: np.random.Generator, draw: Draw, launch: int) -> pl.DataFrame:
    items, codes = draw.truth.items, draw.truth.items.codes
    price = np.exp(2.5 + 0.4 * items.visible[:, 0] + 0.5 * items.visible[:, 1] + 0.3 * rng.standard_normal(len(items))).round(2)
    listed = np.where(draw.truth.cold, launch, START - rng.integers(1, 400, len(items)) * DAY)
    return pl.DataFrame(
        {
            "item_id": names("i", np.arange(len(items))),
            "title": _titles(items),
            "category": [words.CATEGORIES[c] for c in codes["category"]],
            "brand": [f"brand {c:02d}" for c in codes["brand"]],
            "price": price,
            "look": pl.Series(draw.truth.look.round(4).tolist(), dtype=pl.List(pl.Float32)),
            "listed": stamps(listed),
        }
    )


def _titles(side: Side) -> list[str]:
    """Half of the titles are in both languages, a quarter in each one."""
    codes, made = side.codes, []
    for adjective, category, noun, shape, language in zip(*(codes[k].tolist() for k in ("adjective", "category", "noun", "shape", "language")), strict=True):
        spoken = ((False,), (True,), (False, True), (True, False))[language]
        made.append(" ".join(words.phrase(adjective, category, noun, shape, chinese) for chinese in spoken))
    return made


def _asked(side: Side) -> list[str]:
    codes = side.codes
    each = zip(*(codes[k].tolist() for k in ("adjective", "category", "noun", "language")), strict=True)
    return [words.phrase(adjective, category, noun, 0, bool(language)) for adjective, category, noun, language in each]


def events(rng: np.random.Generator, views: Views, viewed: Table) -> pl.DataFrame:
    """Views, the carts and purchases that followed within a minute, and the money of purchases."""
    cart, buy = viewed.frame["cart"].to_numpy() == 1, viewed.frame["buy"].to_numpy() == 1
    row = np.concatenate([np.arange(len(cart)), np.flatnonzero(cart), np.flatnonzero(buy)])
    kind = np.repeat([0, 1, 2], [len(cart), int(cart.sum()), int(buy.sum())])
    time = views.time[row] + np.array([0, 20, 45])[kind] * SECOND
    time = np.minimum(time, int(views.time.max()))  # the log ends with its last view
    order = np.lexsort((views.user[row], time))
    row, kind, time = row[order], kind[order], time[order]
    spent: Array = np.exp(2.5 + 0.3 * rng.standard_normal(len(row))).round(2)
    return pl.DataFrame(
        {
            "user_id": names("u", views.user[row]),
            "item_id": names("i", views.item[row]),
            "event": np.array(["view", "cart", "purchase"])[kind],
            "ts": stamps(time),
            "page": np.array(PAGES)[views.page[row]],
            "value": pl.Series(np.where(kind == 2, spent, np.nan)).fill_nan(None),
        }
    )


def page(null: bool, pictures: bool = False) -> dict[str, Any]:
    """The description of the store, as `store.yaml` holds it; `pictures` where items have a photo."""
    by_user = {"table": "club.parquet", "user": "user_id", "time": "asof", "split": {"by": "given", "column": "split"}}
    samples: dict[str, Any] = {
        "viewed": {
            "table": "viewed.parquet",
            "user": "user_id",
            "item": "item_id",
            "time": "ts",
            "scenario": "page",
            "window": "1min",
            "labels": _same("cart", "buy"),
        },
        "next": {"recipe": "next_item", "behaviours": ["view"]},
        "trials": {"table": "trials.parquet", "user": "user_id", "item": "item_id", "time": "ts", "labels": _same("keeps", "returns")},
        "people": by_user | {"table": "people.parquet", "labels": _same("loyal", "lifestage", "interests")},
        "club": by_user | {"labels": _same("vip")},
        "till": {"table": "till.parquet", "user": "user_id", "time": "ts", "window": "13d", "labels": _same("spend")},
        "demand": {
            "table": "demand.parquet",
            "time": "day",
            "scenario": "page",
            "window": "1d",
            "features": {"category": "category", "day": "time", "lag_1": "number", "lag_7": "number", "mean_7": "number", "mean_28": "number"},
            "labels": _same("units"),
        },
        "judged": {"table": "judged.parquet", "query": "query_id", "item": "item_id", "split": {"by": "given", "column": "split"}, "labels": _same("grade")},
        "campaign": {
            "table": "campaign.parquet",
            "user": "user_id",
            "offer": "offer_id",
            "time": "ts",
            "features": {"treated": "category"},
            "labels": _same("redeemed"),
        },
    }
    features = {"title": "text", "category": "category", "brand": "category", "price": "number", "look": "vector"} | ({"photo": "image"} if pictures else {})
    if null:
        _with_cues(samples)
    return {
        "store": "planted world" + (", null" if null else ""),
        "entities": {
            "user": {
                "table": "users.parquet",
                "id": "user_id",
                "features": {"age_group": "category", "city": "category", "channel": "category", "joined": "time"},
            },
            "item": {
                "table": "items.parquet",
                "id": "item_id",
                "features": features,
            },
            "query": {"table": "queries.parquet", "id": "query_id", "features": {"words": "text"}},
            "offer": {"table": "offers.parquet", "id": "offer_id", "features": {"kind": "category", "discount": "number"}},
        },
        "events": {"table": "events.parquet", "user": "user_id", "item": "item_id", "behaviour": "event", "time": "ts", "scenario": "page", "value": "value"},
        "samples": samples,
        "tasks": {
            "bought": {"kind": "funnel", "samples": "viewed", "stages": ["cart", "buy"]},
            "next": {"kind": "ranking", "samples": "next", "negatives": 200, "temperature": 0.2},  # long vectors from short steps
            "keeps": {"kind": "binary", "samples": "trials", "label": "keeps"},
            "returns": {"kind": "binary", "samples": "trials", "label": "returns"},
            "loyal": {"kind": "binary", "samples": "people", "label": "loyal"},
            "vip": {"kind": "binary", "samples": "club", "label": "vip"},
            "lifestage": {"kind": "classes", "samples": "people", "label": "lifestage", "calibration": "temperature"},
            "interests": {"kind": "tags", "samples": "people", "label": "interests"},
            "spend": {"kind": "amount", "samples": "till", "label": "spend"},
            "demand": {"kind": "count", "samples": "demand", "label": "units"},
            "relevance": {"kind": "graded", "samples": "judged", "label": "grade"},
            "redeemed": {"kind": "binary", "samples": "campaign", "label": "redeemed"},
        },
        "split": {"by": "time", "valid": "14d", "test": "14d"},
        # from the validation curves of seed 0: a few labels a user are soon learned by heart, demand improves for longer than the rest
        "model": {"sharing": {"part": "mmoe", "dropout": 0.15}, "cross": "dcn"},
        "training": {"passes": 1.5, "passes_of": {"people": 0.8, "club": 0.8, "demand": 3.0}, "embedding_lr": 0.004, "epochs": 5, "patience": 2},
    }


def _same(*labels: str) -> dict[str, str]:
    return {name: name for name in labels}


CUES = {
    "viewed": ("cart", "buy"),
    "trials": ("keeps", "returns"),
    "club": ("vip",),
    "till": ("visit", "purse"),
    "judged": ("grade",),
    "campaign": ("redeemed",),
    "people": ("loyal", "lifestage", "art", "cooking", "travel", "games", "nature", "fashion"),
}


def _with_cues(samples: dict[str, Any]) -> None:
    """The null world's own inputs: a number for each label, in no other table."""
    for name, labels in CUES.items():
        samples[name]["features"] = samples[name].get("features", {}) | {f"cue_{label}": "number" for label in labels}


def write(folder: Path, frames: dict[str, pl.DataFrame], truth: Truth, null: bool, oracle: dict[str, pl.DataFrame]) -> Path:
    """Write every table as Parquet, the oracles, the truths and store.yaml; returns the path of store.yaml."""
    for part in ("oracle", "truth"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    for name, frame in frames.items():
        frame.write_parquet(folder / f"{name}.parquet")
    for name, frame in oracle.items():
        frame.write_parquet(folder / "oracle" / f"{name}.parquet")
    for name, letter, side in (("users", "u", truth.users), ("items", "i", truth.items), ("queries", "q", truth.queries)):
        latent = pl.DataFrame(side.latent, schema=[f"taste_{k + 1}" for k in range(K)] + ["popularity"])
        pl.DataFrame({"id": names(letter, np.arange(len(side)))}).hstack(latent).write_parquet(folder / "truth" / f"{name}.parquet")
    path = folder / "store.yaml"
    path.write_text(yaml.safe_dump(page(null, "photo" in frames["items"].columns), sort_keys=False, allow_unicode=True), encoding="utf-8")
    return path
