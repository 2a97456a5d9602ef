"""`check`: each planted fault is found where it is, and a sound store has neither errors nor warnings."""

from io import StringIO

import numpy as np
import polars as pl
import pytest
from rich.console import Console

from banyan.store import giveaway
from banyan.store.doctor import check, show
from banyan.store.open import open_store
from banyan.store.schema import Store

DAY = 86_400_000_000
START = 1_700_000_000_000_000
NOW = START + 400 * DAY


def tables(seed=0):
    """Events, users, items and judgements without a fault."""
    draw = np.random.default_rng(seed)
    users, items, n = 60, 40, 3000
    events = pl.DataFrame(
        {
            "user_id": [f"u{k}" for k in draw.integers(0, users, n)],
            "item_id": [f"i{k}" for k in draw.integers(0, items, n)],
            "event": draw.choice(["view", "purchase"], n, p=[0.7, 0.3]),
            "ts": START + draw.integers(0, 100 * DAY, n),
            "page": draw.choice(["home", "search"], n),
        }
    )
    people = pl.DataFrame({"user_id": [f"u{k}" for k in range(users)], "city": draw.choice(["x", "y"], users), "points": draw.normal(size=users).round(3)})
    goods = pl.DataFrame({"item_id": [f"i{k}" for k in range(items)], "brand": draw.choice(["p", "q", "r"], items), "price": draw.random(items).round(3)})
    judged = pl.DataFrame(
        {
            "by": draw.choice(people["user_id"].to_numpy(), 600),
            "item": draw.choice(goods["item_id"].to_numpy(), 600),
            "x": draw.normal(size=600).round(6),
            "good": draw.integers(0, 2, 600),
        }
    )
    return {"events": events, "users": people, "items": goods, "judged": judged}


def description():
    return {
        "entities": {
            "user": {"table": "users.parquet", "id": "user_id", "features": {"city": "category", "points": "number"}},
            "item": {"table": "items.parquet", "id": "item_id", "features": {"brand": "category", "price": "number"}},
        },
        "events": {"table": "events.parquet", "user": "user_id", "item": "item_id", "behaviour": "event", "time": "ts", "scenario": "page"},
        "samples": {
            "viewed": {"recipe": "outcomes", "after": "view", "within": "3d", "labels": {"buy": "purchase"}},
            "judged": {
                "table": "judged.parquet",
                "user": "by",
                "item": "item",
                "features": {"x": "number"},
                "labels": {"good": "good"},
                "split": {"by": "user"},
            },
        },
        "tasks": {"bought": {"kind": "binary", "samples": "viewed"}, "good": {"kind": "binary", "samples": "judged"}},
        "split": {"by": "time", "valid": "10d", "test": "15d"},
        "training": {"batch": 64},
    }


@pytest.fixture
def findings(tmp_path):
    def look(changed=None, page=None, now=NOW):
        for name, frame in (tables() | (changed or {})).items():
            frame.write_parquet(tmp_path / f"{name}.parquet")
        store = Store.model_validate(page or description())
        store.folder = tmp_path
        return check(open_store(store), now)

    return look


def said(found, severity, where, words):
    return [f for f in found if f.severity == severity and f.where == where and words in f.found]


def test_a_sound_store_has_neither_errors_nor_warnings(findings):
    found = findings()
    assert [f for f in found if f.severity != "info"] == []
    assert said(found, "info", "events", "3,000 events of 60 users with 40 items")
    assert said(found, "info", "samples.viewed.labels.buy", "mean: train 0.0")


def test_few_rows_in_large_batches_are_a_handful_of_steps(findings):
    rows = 1973
    few = description() | {"training": {"epochs": 4, "batch": 1024}}
    (found,) = said(findings(page=few), "warning", "training.batch", f"{rows:,} training rows by batches of 1,024 are 2 steps an epoch, 8 in 4 epochs")
    assert found.what_to_do.startswith("With `batch: 32` ")  # 62 steps an epoch
    assert not said(findings(page=description() | {"training": {"epochs": 4, "batch": 32}}), "warning", "training.batch", "")


def with_column(name, table="users"):
    frame = tables()[table]
    return {table: frame.with_columns(pl.Series(name, np.random.default_rng(1).normal(size=len(frame))))}


def test_times_in_the_future_and_before_the_first_shop(findings):
    assert said(findings(now=START + 50 * DAY), "error", "events.time", "lie in the future")
    events = tables()["events"]
    old = events.with_columns(pl.when(pl.int_range(pl.len()) < 5).then(pl.lit(100_000_000_000_000)).otherwise("ts").alias("ts"))
    assert said(findings({"events": old}), "warning", "events.time", "5 events lie before 1990")


def test_events_that_stand_twice_and_a_robot(findings):
    events = tables()["events"]
    assert said(findings({"events": pl.concat([events, events[:100]])}), "warning", "events", "stand twice")
    few = events.filter(pl.col("user_id") != "u0").group_by("user_id").head(2)
    robot = pl.concat([few, pl.concat([events] * 2).with_columns(user_id=pl.lit("u0"))])
    assert said(findings({"events": robot}), "warning", "events.user", "'u0' has 6,000")


def test_a_feature_that_gives_the_label_away(findings):
    judged = tables()["judged"].with_columns(x=pl.col("good") * 2.0 + pl.col("x").clip(-0.4, 0.4))
    found = said(findings({"judged": judged}), "warning", "samples.judged", "x alone tells good almost surely")
    assert len(found) == 1
    assert "leave it out" in found[0].what_to_do


def test_a_sibling_of_an_attribute_is_named_with_its_cure(findings):
    page = description()
    page["entities"]["user"]["features"]["region"] = "category"
    page["samples"]["people"] = {"recipe": "attributes", "of": "user", "labels": {"town": "city"}, "split": {"by": "user"}}
    page["tasks"]["town"] = {"kind": "classes", "samples": "people"}
    users = pl.concat([tables()["users"].with_columns(user_id=pl.lit(f"{k}") + pl.col("user_id")) for k in ("", "a", "b")])
    found = findings({"users": users.with_columns(region=pl.lit("north ") + pl.col("city"))}, page)
    assert any("drop: [region]" in f.what_to_do for f in said(found, "warning", "samples.people", "user.region alone tells town"))
    assert not said(found, "warning", "samples.people", "user.city alone")  # the label itself is hidden already


def test_broken_pictures_are_named_by_row(findings):
    page = description()
    page["entities"]["item"]["features"]["photo"] = "image"
    pytest.importorskip("PIL.Image")
    photos = [b"GIF89a, nearly"] + [None] * 39
    found = said(findings({"items": tables()["items"].with_columns(photo=pl.Series(photos, dtype=pl.Binary))}, page), "error", "entities.item.photo", "1 of 1")
    assert "'i0': not a picture" in found[0].found
    assert "`under`" in found[0].what_to_do


def test_columns_that_change_with_time(findings):
    page = description()
    page["entities"]["user"]["features"]["total_spend"] = "number"
    page["entities"]["user"]["features"]["orders_made"] = "number"
    page["entities"]["user"]["features"]["seen"] = "time"
    counts = tables()["events"].group_by("user_id").len("orders_made")
    users = tables()["users"].join(counts, on="user_id", how="left").with_columns(total_spend=pl.col("points"), seen=pl.lit(START + 99 * DAY))
    found = findings({"users": users}, page)
    assert said(found, "warning", "entities.user.total_spend", "sounds like something that changes")
    assert said(found, "warning", "entities.user.orders_made", "follows the number of events")
    assert said(found, "warning", "entities.user.seen", "after training ends")


def test_missing_values_and_ids_of_decimals(findings):
    users = tables()["users"].with_columns(city=pl.when(pl.int_range(pl.len()) < 40).then(None).otherwise("city"), points=pl.lit(None, pl.Float64))
    found = findings({"users": users})
    assert said(found, "warning", "entities.user.city", "67 % of the values are missing")
    assert said(found, "error", "entities.user.points", "every value is missing")
    numbered = tables()
    as_float = {
        "events": numbered["events"].with_columns(pl.col("user_id").str.slice(1).cast(pl.Float64)),
        "users": numbered["users"].with_columns(pl.col("user_id").str.slice(1).cast(pl.Float64)),
    }
    found = findings(as_float)
    assert said(found, "warning", "entities.user", "holds decimals")
    assert said(found, "warning", "events", "holds decimals")


def test_rows_without_their_entity_and_rows_that_stand_twice(findings):
    judged = tables()["judged"]
    lost = judged.with_columns(item=pl.when(pl.int_range(pl.len()) < 100).then(None).otherwise("item"))
    assert said(findings({"judged": lost}), "warning", "samples.judged", "name no known item")
    found = findings({"judged": pl.concat([judged, judged[:60]])})
    assert said(found, "warning", "samples.judged", "stand twice")


def test_test_rows_that_stand_in_training(findings):
    page = description()
    page["samples"]["judged"]["split"] = {"by": "given", "column": "part"}
    judged = tables()["judged"]
    given = pl.concat(
        [judged.with_columns(part=pl.lit("train")), judged[:50].with_columns(part=pl.lit("test")), judged[50:60].with_columns(part=pl.lit("valid"))]
    )
    assert said(findings({"judged": given}, page), "error", "samples.judged", "100 % of the test rows stand in training")


def test_a_label_that_never_changes_and_a_scenario_where_nothing_happens(findings):
    assert said(findings({"judged": tables()["judged"].with_columns(good=pl.lit(1))}), "error", "tasks.good", "nothing to learn")
    events = tables()["events"].with_columns(page=pl.when(pl.col("event") == "view").then("page").otherwise(pl.lit("home")))
    page = description()
    page["samples"]["judged"] |= {"scenario": "where"}
    judged = tables()["judged"].with_columns(where=pl.when(pl.int_range(pl.len()) < 250).then(pl.lit("shelf")).otherwise(pl.lit("desk")))
    judged = judged.with_columns(good=pl.when(pl.col("where") == "shelf").then(0).otherwise("good"))
    assert said(findings({"events": events, "judged": judged}, page), "warning", "samples.judged", "good never happens in 'shelf'")


def test_a_time_that_is_only_known_afterwards(findings):
    page = description()
    page["samples"]["sent"] = {"table": "sent.parquet", "user": "user", "time": "at", "features": {"opened": "time"}, "labels": {"used": "used"}}
    draw = np.random.default_rng(3)
    at = START + draw.integers(0, 99 * DAY, 500)
    sent = pl.DataFrame({"user": [f"u{k}" for k in draw.integers(0, 60, 500)], "at": at, "opened": at + DAY, "used": draw.integers(0, 2, 500)})
    assert said(findings({"sent": sent}, page), "error", "samples.sent.features.opened", "after the row's own time")


def test_a_log_without_a_clock_says_which_guarantee_is_lost(findings):
    page = description()
    del page["events"]["time"]
    page["samples"]["viewed"]["split"] = {"by": "user"}
    page["split"] = {"by": "user"}
    assert said(findings(page=page), "warning", "opening the store", "neither time nor order")


@pytest.mark.parametrize(
    ("score", "answer", "expected"), [([1, 2, 3, 4], [0, 0, 1, 1], 1.0), ([1, 1, 1, 1], [0, 1, 0, 1], 0.5), ([1, 3, 2, 4], [0, 0, 1, 1], 0.75)]
)
def test_auc_by_hand(score, answer, expected):
    assert giveaway.auc(np.array(score), np.array(answer, bool)) == expected


def test_rare_values_give_nothing_away():
    draw = np.random.default_rng(0)
    answer = draw.random(2000) < 0.3
    unique = pl.Series([str(k) for k in range(2000)])  # every value once: purity 1 on the rows themselves, nothing on the others
    assert giveaway.strength(unique, answer) < 0.6
    assert giveaway.strength(pl.Series(np.where(answer, "yes", "no")), answer) == 1.0


def test_printing_names_every_severity(findings):
    out = StringIO()
    show(findings({"judged": tables()["judged"].with_columns(good=pl.lit(1))}), Console(file=out, width=160))
    assert "tasks.good" in out.getvalue()
    assert "1 error, 0 warnings" in out.getvalue()


def test_a_random_split_of_rows_with_a_time_and_of_equal_rows(findings):
    page, judged = description(), tables()["judged"]
    page["samples"]["judged"]["split"] = {"by": "random"}
    found = findings(page=page)
    assert [f for f in found if f.severity != "info"] == []
    page["samples"]["judged"]["time"] = "at"
    stamped = {"judged": judged.with_columns(at=pl.lit(START) + pl.int_range(pl.len()) * DAY // 10)}
    assert said(findings(stamped, page), "warning", "samples.judged", "the future leaks into the past")
    del page["samples"]["judged"]["time"]
    few = {"judged": judged.with_columns(by=pl.lit("u1"), item=pl.lit("i1"), x=pl.lit(1.0))}
    assert said(findings(few, page), "warning", "samples.judged", "many rows are equal")
