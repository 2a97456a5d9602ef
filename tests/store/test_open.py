"""A store opens into numbered entities, one log, and samples that agree with each other; what cannot be right is refused."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from banyan.errors import ConfigError, DataError
from banyan.store.load import dump, load
from banyan.store.open import open_store
from banyan.store.schema import Store
from banyan.store.shop import Shop
from banyan.types import TEST, TRAIN, VALID

DAY = 86_400_000_000
BASE = np.datetime64("2024-01-01", "us")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rng, n = np.random.default_rng(0), 3000
    pl.DataFrame({"user_id": np.arange(1, 101), "age": rng.choice(["a", "b"], 100), "kids": rng.integers(0, 3, 100)}).write_parquet(tmp_path / "users.parquet")
    pl.DataFrame({"item_id": [f"i{k}" for k in range(40)], "price": rng.random(40), "kind": rng.choice(["k", "l"], 40)}).write_csv(tmp_path / "items.csv")
    stamps = BASE + rng.integers(0, 86_400 * 100, n).astype("timedelta64[s]")
    behaviours, pages = rng.choice(["view", "cart", "purchase"], n), rng.choice(["home", "search"], n)
    log = {"user_id": rng.integers(1, 104, n), "item_id": [f"i{k}" for k in rng.integers(0, 42, n)], "event": behaviours, "ts": stamps, "page": pages}
    pl.DataFrame(log).write_parquet(tmp_path / "events.parquet")
    judged = {"term": rng.choice(["red", "blue"], 300), "item_id": [f"i{k}" for k in rng.integers(0, 44, 300)], "grade": rng.integers(1, 4, 300)}
    judged |= {"part": rng.choice(["train", "valid", "test"], 300), "place": ["shelf"] * 300, "rank": rng.integers(0, 9, 300)}
    pl.DataFrame(judged).write_csv(tmp_path / "judged.csv")
    return tmp_path


def described(folder: Path, **changed: Any) -> Store:
    values: dict[str, Any] = {
        "entities": {
            "user": {"table": "users.parquet", "id": "user_id", "features": {"age": "category", "kids": "number"}},
            "item": {"table": "items.csv", "id": "item_id", "features": {"price": "number", "kind": "category"}},
            "query": {"id": "term"},
        },
        "events": {"table": "events.parquet", "user": "user_id", "item": "item_id", "behaviour": "event", "time": "ts", "scenario": "page"},
        "samples": {
            "viewed": {"recipe": "outcomes", "after": "view", "within": "7d", "labels": {"cart": "cart", "buy": "purchase"}},
            "next": {"recipe": "next_item", "behaviours": ["purchase"]},
            "people": {"recipe": "attributes", "of": "user", "labels": {"age": "age"}, "drop": ["kids"], "split": {"by": "user"}},
            "weekly": {"recipe": "counts", "of": "purchase", "by": ["item.kind", "scenario"], "every": "week", "ahead": 2},
            "judged": {
                "table": "judged.csv",
                "query": "term",
                "item": "item_id",
                "scenario": "place",
                "features": {"rank": "number"},
                "labels": {"grade": "grade"},
                "split": {"by": "given", "column": "part"},
            },
        },
        "tasks": {
            "bought": {"kind": "funnel", "samples": "viewed", "stages": ["cart", "buy"]},
            "next": {"kind": "ranking", "samples": "next"},
            "age": {"kind": "classes", "samples": "people"},
            "demand": {"kind": "count", "samples": "weekly"},
            "grade": {"kind": "graded", "samples": "judged"},
        },
        "split": {"valid": "14d", "test": "14d"},
        "folder": folder,
    }
    for path, value in changed.items():
        here = values
        *way, last = path.split("__")
        for step in way:
            here = here[step]
        here[last] = value
    return Store.model_validate(values)


@pytest.fixture
def shop(folder: Path) -> Shop:
    return open_store(described(folder))


def test_five_tables_open_into_one_shop(shop: Shop) -> None:
    assert list(shop.samples) == ["viewed", "next", "people", "weekly", "judged"]
    assert shop.hidden == {"user": {"age", "kids"}}
    assert shop.scenarios == ("", "home", "search", "shelf")
    assert shop.log is not None
    assert shop.log.scenarios == shop.scenarios
    assert shop.samples["judged"].labels["grade"].dtype == pl.Float64
    assert shop.samples["people"].labels["age"].dtype == pl.String
    assert set(shop.samples["judged"].scenario.tolist()) == {3}
    assert {len(each) for each in (shop.samples["viewed"].part, shop.samples["viewed"].end, shop.samples["viewed"].labels)} == {len(shop.samples["viewed"])}


def test_nothing_after_the_cut_reaches_training_through_any_table(shop: Shop) -> None:
    assert shop.cut is not None
    assert shop.log is not None
    for table in shop.samples.values():
        trains = table.part == TRAIN
        if table.time is not None:
            assert (table.time[trains] < shop.cut[0]).all()
        ends = table.end[trains & (table.end > 0)]
        starts = shop.log.start[table.entities["user"][trains & (table.end > 0)]] if "user" in table.entities else ends
        newest = ends[ends > starts] - 1
        assert (shop.log.time[newest] < shop.cut[0]).all(), table.name


def test_a_pointer_holds_only_what_was_strictly_earlier(shop: Shop) -> None:
    log, table = shop.log, shop.samples["viewed"]
    assert log is not None
    assert table.time is not None
    has = table.end > log.start[table.entities["user"]]
    assert has.any()
    assert (log.time[table.end[has] - 1] < table.time[has]).all()
    more = table.end < log.start[table.entities["user"] + 1]
    assert (log.time[table.end[more]] >= table.time[more]).all()


def test_ids_that_only_one_table_knows_are_rows_of_the_same_entity(shop: Shop) -> None:
    assert {"i40", "i41", "i42", "i43"} <= set(shop.entities["item"].ids.tolist())
    assert set(shop.entities["query"].ids.tolist()) == {"red", "blue"}
    assert any(note.startswith("samples.judged: 2 ids of item have no row in items.csv") for note in shop.notes)
    assert shop.log is not None
    assert len(shop.log.start) == len(shop.entities["user"]) + 1


def test_a_page_on_disk_opens_the_same(folder: Path, shop: Shop) -> None:
    dump(shop.store, folder / "store.yaml")
    again = open_store(folder / "store.yaml", ["model.width=8"])
    assert again.store.model.width == 8
    assert again.notes == shop.notes
    assert all(np.array_equal(again.samples[name].part, table.part) for name, table in shop.samples.items())
    with pytest.raises(ConfigError, match="go with the path"):
        open_store(load(folder / "store.yaml"), ["model.width=8"])


@pytest.mark.parametrize(
    "changed, said",
    [
        ({"tasks__bought__stages": ["cart", "by"]}, r"tasks\.bought: the samples viewed have no label 'by'\. Did you mean 'buy'"),
        ({"tasks__bought__stages": None, "tasks__bought__kind": "binary"}, r"tasks\.bought: say which label of the samples viewed"),
        ({"tasks__next__samples": "viewed"}, "a ranking needs samples of the recipe next_item"),
        ({"samples__people__labels": {"age": "aeg"}}, r"samples\.people: labels names 'aeg', which is no feature of user\. Did you mean 'age'"),
        ({"samples__people__drop": ["kid"]}, "drop names 'kid'.*Did you mean 'kids'"),
        ({"samples__people__of": "usr"}, "of is 'usr', which is no entity"),
        ({"samples__people__split": None}, r"samples\.people: its rows have no time.*\{by: user\}"),
        ({"samples__judged__features": {"grade": "number"}}, r"samples\.judged: the column 'grade' is the label 'grade' and the feature 'grade'"),
        ({"samples__judged__item": "sku"}, r"judged\.csv has no column 'sku'"),
        (
            {"samples__judged__labels": {"grade": "place"}, "tasks__grade__kind": "amount"},
            r"judged\.csv, column place, row 1: found 'shelf'; it must be a number",
        ),
        ({"samples__judged__features": {}, "samples__judged__labels": {"grade": "rank"}, "tasks__grade__kind": "binary"}, "a yes-or-no task is 0, 1 or empty"),
        ({"samples__judged__split": {"by": "given", "column": "place"}}, "row 1: found 'shelf'; a part is train, valid or test"),
        ({"samples__judged__rate": "rank"}, "a sampling rate lies above 0"),
        ({"samples__judged__window": "7d"}, "window 7d is a span of time, and its rows have no time"),
    ],
)
def test_what_cannot_be_right_is_refused(folder: Path, changed: dict[str, Any], said: str) -> None:
    with pytest.raises((ConfigError, DataError), match=said):
        open_store(described(folder, **changed))


def test_a_mistake_that_only_the_tables_show_still_names_the_line(folder: Path) -> None:
    dump(described(folder, samples__judged__item="sku"), folder / "store.yaml")
    line = 1 + (folder / "store.yaml").read_text().splitlines().index("    item: sku")
    with pytest.raises(ConfigError, match=rf"^store\.yaml, line {line}: samples\.judged\.item: judged\.csv has no column 'sku'"):
        open_store(folder / "store.yaml")


def test_a_missing_file_names_the_line_too(folder: Path) -> None:
    dump(described(folder), folder / "store.yaml")
    (folder / "items.csv").unlink()
    with pytest.raises(ConfigError, match=r"^store\.yaml, line 8: entities\.item: There is no file items\.csv"):
        open_store(folder / "store.yaml")


def test_cold_items_are_in_no_history(folder: Path) -> None:
    keep = {name: each for name, each in described(folder).samples.items() if name == "viewed"}
    store = Store.model_validate({**described(folder).model_dump(), "samples": {}, "tasks": {}, "split": {"by": "cold_item"}, "folder": folder})
    store.samples = keep
    shop = open_store(store)
    table, log = shop.samples["viewed"], shop.log
    assert log is not None
    cold = set(table.entities["item"][np.isin(table.part, (VALID, TEST))].tolist())
    assert cold
    assert not cold & set(log.item.tolist())
    assert not cold & set(table.entities["item"][table.part == TRAIN].tolist())
    assert any("set aside" in note for note in shop.notes)


def test_without_a_clock_what_is_asked_about_is_in_no_history(folder: Path) -> None:
    raw = described(folder).model_dump(exclude={"samples", "tasks"})
    raw["events"].pop("time")
    samples = {"next": {"recipe": "next_item", "behaviours": ["purchase"]}}
    shop = open_store(Store.model_validate({**raw, "samples": samples, "tasks": {}, "split": {"by": "leave_one_out"}, "folder": folder}))
    table, log = shop.samples["next"], shop.log
    assert log is not None
    assert table.exclude is not None
    held = table.part != TRAIN
    assert (table.exclude[held] == -1).all()
    assert (table.exclude[~held] >= 0).all()
    assert table.targets is not None
    offsets, items = table.targets
    assert (log.item[table.exclude[~held]] == items[offsets[:-1][~held]]).all()
    assert any("the log is a set" in note for note in shop.notes)


def test_rows_without_a_time_take_their_given_part_along(folder: Path) -> None:
    table = pl.DataFrame({"item_id": ["i1", "i2", "i3", "i4"], "when": ["2024-01-01", None, "2024-01-03", "2024-01-04"], "y": [0, 1, 1, 0]})
    table.with_columns(part=pl.Series(["train", "train", "valid", "test"])).write_csv(folder / "own.csv")
    samples = {"own": {"table": "own.csv", "item": "item_id", "time": "when", "labels": {"y": "y"}}}
    entities = {"item": {"id": "item_id"}}
    shop = open_store(
        Store.model_validate({"entities": entities, "samples": samples, "tasks": {}, "split": {"by": "given", "column": "part"}, "folder": folder})
    )
    assert shop.samples["own"].part.tolist() == [TRAIN, VALID, TEST]
    assert shop.samples["own"].end.tolist() == [-1, -1, -1]
    assert shop.notes == ["samples.own: 1 of 4 rows of own.csv have no time and were left out."]


@pytest.fixture
def three_files(folder: Path) -> Store:
    """A table in three files: Parquet trains, CSV and JSON lines judge; the last one brings an item of its own."""
    rng = np.random.default_rng(1)

    def table(n: int, items: list[str]) -> pl.DataFrame:
        columns = {"item_id": rng.choice(items, n), "when": ["2024-01-01"] * n, "x": rng.normal(size=n), "mood": rng.choice(["a", "b"], n)}
        return pl.DataFrame({**columns, "y": rng.integers(0, 2, n)})

    table(50, ["i1", "i2"]).write_parquet(folder / "train.parquet")
    table(20, ["i1", "i2"]).write_csv(folder / "val.csv")
    table(30, ["i2", "i9999"]).write_ndjson(folder / "test.jsonl")
    own = {"table": "train.parquet", "item": "item_id", "time": "when", "features": {"x": "number", "mood": "category"}, "labels": {"y": "y"}}
    own["split"] = {"by": "given", "files": {"valid": "val.csv", "test": "test.jsonl"}}
    item = {"table": "items.csv", "id": "item_id", "features": {"price": "number"}}
    return Store.model_validate(
        {"entities": {"item": item}, "samples": {"own": own}, "tasks": {"y": {"kind": "binary", "samples": "own"}}, "folder": folder}
        | {"split": {"by": "random"}}
    )


def test_a_split_by_files_reads_them_as_one_table(folder: Path, three_files: Store) -> None:
    shop = open_store(three_files)
    own = shop.samples["own"]
    assert own.part.tolist() == [TRAIN] * 50 + [VALID] * 20 + [TEST] * 30
    read = [pl.read_parquet(folder / "train.parquet"), pl.read_csv(folder / "val.csv"), pl.read_ndjson(folder / "test.jsonl")]
    assert own.context["x"].to_list() == pytest.approx([x for each in read for x in each["x"]])
    assert own.labels["y"].to_list() == [y for each in read for y in each["y"]]
    assert [shop.entities["item"].ids[row - 1] for row in own.entities["item"]] == [i for each in read for i in each["item_id"]]
    assert any("samples.own: 1 ids of item have no row" in note for note in shop.notes)


def test_a_split_by_files_survives_the_page_and_another_folder(folder: Path, three_files: Store, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    for page in (folder / "store.yaml", elsewhere / "store.yaml"):
        dump(three_files, page)
        assert open_store(page).samples["own"].part.tolist() == open_store(three_files).samples["own"].part.tolist()
    assert "valid: val.csv" in (folder / "store.yaml").read_text()


def test_a_mistake_in_one_of_the_files_names_that_file(folder: Path, three_files: Store) -> None:
    whole = pl.read_csv(folder / "val.csv")
    whole.rename({"mood": "moods"}).write_csv(folder / "val.csv")
    with pytest.raises(ConfigError, match=r"val\.csv has no column 'mood'\. Did you mean 'moods'"):
        open_store(three_files)
    whole.with_columns(y=pl.Series([0] * 4 + [7] + [0] * 15)).write_csv(folder / "val.csv")
    with pytest.raises(DataError, match=r"val\.csv, column y, row 5: found '7'"):
        open_store(three_files)
    (folder / "val.csv").unlink()
    with pytest.raises(ConfigError, match=r"There is no file val\.csv"):
        open_store(three_files)


def test_a_recipe_has_no_files(folder: Path) -> None:
    with pytest.raises(ConfigError, match=r"samples\.next: a split that is given reads files, and a recipe has none"):
        open_store(described(folder, samples__next__split={"by": "given", "files": {"test": "judged.csv"}}))
