"""Public sets in the forms in which they are published become stores that open without an error and train; what is broken is named by its line."""

import gzip
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner

from banyan.cli import app
from banyan.errors import ConfigError, DataError
from banyan.run import check, train
from banyan.store import datasets
from banyan.store.datasets import Converted, aliexpress, convert
from banyan.store.load import load
from banyan.store.open import open_store
from banyan.store.split import Split
from banyan.types import TEST, TRAIN, VALID
from tests.store import published

FORMS: dict[str, tuple[str, Callable[[Path], None]]] = {name: (name, maker) for name, maker in published.MAKERS.items()} | {
    "movielens 100K": ("movielens", published.movielens_100k),
    "movielens 1M": ("movielens", published.movielens_1m),
    "amazon last_out": ("amazon_reviews", published.amazon_last_out),
    "aliexpress merged": ("aliexpress", published.aliexpress_merged),
}
FEW = ["training.steps=2", "training.epochs=1", "training.batch=128", "model.width=4"]


@dataclass
class Made:
    """The published files of a set, and what became of them."""

    source: Path
    done: Converted

    def table(self, name: str) -> pl.DataFrame:
        return pl.read_parquet(self.done.page.parent / f"{name}.parquet")


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Made]:
    known: dict[str, Made] = {}

    def make(form: str) -> Made:
        if form not in known:
            name, maker = FORMS[form]
            folder = tmp_path_factory.mktemp("set")
            (folder / "source").mkdir()
            maker(folder / "source")
            known[form] = Made(folder / "source", convert(name, folder / "source", folder / "store"))
        return known[form]

    return make


def test_every_set_has_a_file_in_its_published_form() -> None:
    assert set(published.MAKERS) == set(datasets.names())


@pytest.mark.parametrize("name", datasets.names())
def test_a_set_says_what_to_download_from_where_and_on_which_terms(name: str) -> None:
    found = datasets.find(name)
    said = found.__doc__ or ""
    assert found.url in said.replace("\n    ", " ")
    assert "Download" in said
    assert "Split:" in said
    assert all((found.title, found.licence, found.paper, found.size, found.split, found.needs))


@pytest.mark.parametrize("form", FORMS)
def test_the_page_opens_without_an_error(made: Callable[[str], Made], form: str) -> None:
    done = made(form).done
    assert [f"{f.where} {f.found}" for f in check(done.page) if f.severity == "error"] == []
    assert done.page.read_text(encoding="utf-8").startswith(f"# {datasets.find(FORMS[form][0]).title}")
    assert sorted(p.name for p in done.page.parent.iterdir()) == sorted(["store.yaml", *(f"{name}.parquet" for name in done.rows)])


QUICK = ("taobao", "aliexpress")


@pytest.mark.parametrize("form", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in published.MAKERS])
def test_the_store_trains(made: Callable[[str], Made], form: str, tmp_path: Path) -> None:
    run = train(load(made(form).done.page, FEW), tmp_path / "run", alone=False, simple=False, draws=0, most=100)
    assert set(run.evaluation.figures) == set(run.store.tasks)
    assert run.record.steps > 0


def test_taobao_keeps_the_nine_days_and_tells_what_it_left_out(made: Callable[[str], Made]) -> None:
    found = made("taobao")
    events = found.table("events")
    assert set(events["behaviour"]) == {"view", "cart", "favourite", "purchase"}
    assert events["time"].min() >= datetime(2017, 11, 24, 16)  # type: ignore[operator]
    assert events["time"].max() < datetime(2017, 12, 3, 16)  # type: ignore[operator]
    assert any("2 of 2,400 rows are not in events" in note for note in found.done.notes)
    assert any("as published it has 100,150,807" in note for note in found.done.notes)


def test_a_state_of_an_item_is_not_known_before_it_was_written(made: Callable[[str], Made]) -> None:
    items = made("retailrocket").table("items").filter(pl.col("item") == 3).sort("time")
    assert items["category"].to_list() == ["3", "3", "4", "4"]
    assert items["parent"].to_list() == ["1", "1", "2", "2"]
    assert items["available"].to_list() == ["1", "0", "1", "0"]


def test_the_test_file_of_the_census_is_halved(made: Callable[[str], Made]) -> None:
    people = made("census_income").table("people")
    parts = dict(people.group_by("part").len().rows())
    assert parts["train"] == 600
    assert parts["valid"] + parts["test"] == 400
    assert 150 < parts["valid"] < 250
    assert not {"marital_stat", "instance_weight", "income_50k"} & set(people.columns)
    assert 0 < people["never_married"].mean() < 1  # type: ignore[operator]


@pytest.mark.parametrize(("form", "title", "genres"), [("movielens 100K", "Fiancée, La 0 (1960)", None), ("movielens 1M", "Misérables, Les: Part 0 (1995)", 2)])
def test_titles_of_the_old_releases_keep_their_accents(made: Callable[[str], Made], form: str, title: str, genres: int | None) -> None:
    item = made(form).table("items").sort("item").row(0, named=True)
    assert item["title"] == title
    assert item["year"] == float(title[-5:-1])
    assert genres is None or len(item["genres"]) == genres


def test_a_film_without_genres_has_none(made: Callable[[str], Made]) -> None:
    items = made("movielens").table("items").sort("item")
    assert items["genres"].to_list()[:2] == [None, ["Comedy", "Drama"]]
    assert items["title"][0] == 'American President, The "0" (1980)'


def test_prices_are_numbers_however_they_were_written(made: Callable[[str], Made]) -> None:
    items = made("amazon_reviews").table("items").sort("item")
    assert items["price"].to_list()[:5] == [12.5, None, None, 9.99, 1299.0]
    assert len(items) == published.ITEMS  # products without a review are left out


def test_the_moments_of_the_paper_cut_the_reviews(made: Callable[[str], Made]) -> None:
    shop = open_store(made("amazon_reviews").done.page)
    assert shop.cut is not None
    assert abs(shop.cut[0] - 1_628_643_414_042_000) <= 1_000_000
    assert abs(shop.cut[1] - 1_658_002_729_837_000) <= 1_000_000


def test_parts_that_leave_one_out_stay_what_they_are(made: Callable[[str], Made]) -> None:
    found = made("amazon last_out")
    shop = open_store(found.done.page)
    assert shop.store.split == Split(by="leave_one_out")
    part = shop.samples["rated"].part
    assert (part == TEST).sum() == (part == VALID).sum() == published.USERS
    held = pl.read_csv(gzip.decompress((found.source / "Books.test.csv.gz").read_bytes()))
    test = found.table("events").filter(pl.Series(part == TEST))
    assert set(test.select("user", "item").rows()) == set(held.select("user_id", "parent_asin").rows())


def test_the_last_field_of_an_aliexpress_item_is_click_and_purchase(made: Callable[[str], Made]) -> None:
    shown = made("aliexpress").table("shown")
    by = shown.group_by("click", "conversion").len().sort("click", "conversion").select("click", "conversion").rows()
    assert by == [(0, 0), (1, 0), (1, 1)]
    assert (shown["click"] == (shown["numerical_24"] >= 0.5)).all()  # how the small file was made
    assert shown["country"].unique().sort().to_list() == ["ES", "NL"]
    assert any("4 of 4,084 rows are not in shown" in note for note in made("aliexpress").done.notes)


def test_both_forms_of_aliexpress_are_one_table(made: Callable[[str], Made]) -> None:
    raw, merged = made("aliexpress"), made("aliexpress merged")
    for name in ("searches", "shown"):
        assert raw.table(name).schema == merged.table(name).schema
    assert merged.table("shown")["country"].unique().to_list() == ["FR"]
    assert merged.table("searches")["search"].is_unique().all()
    assert len(merged.table("searches")) == 170


def test_products_of_a_search_stand_in_one_part(made: Callable[[str], Made]) -> None:
    for name, key in (("aliexpress", "search"), ("ali_ccp", "visit")):
        rows = made(name).table("shown" if name == "aliexpress" else "impressions")
        assert rows.group_by(key).agg(pl.col("part").n_unique())["part"].max() == 1
        assert set(rows["part"]) == {"train", "valid", "test"}


def test_features_of_ali_ccp_are_found_wherever_they_stand(made: Callable[[str], Made]) -> None:
    found = made("ali_ccp")
    rows = found.table("impressions").join(found.table("visits").select("visit", "index", "user"), on="visit")
    lines = (found.source / "sample_train" / "sample_skeleton_train.csv").read_text().splitlines()
    sample = next(line for line in lines if "\x01508\x02" in line or ",508\x02" in line).split(",")
    fields = {each.split("\x02")[0]: each.split("\x02")[1].split("\x03") for each in sample[5].split("\x01")}
    mine = rows.filter((pl.col("index") == sample[3]) & (pl.col("item") == fields["205"][0]) & (pl.col("user_category") == fields["508"][0])).rows(named=True)
    assert any(row["user_category_strength"] == pytest.approx(float(fields["508"][1])) and row["category"] == fields["206"][0] for row in mine)
    several = sum(each.startswith("210\x02") for each in sample[5].split("\x01"))
    assert any(len(row["intentions"]) == several for row in mine)


def test_the_largest_of_a_past_come_first(made: Callable[[str], Made]) -> None:
    found = made("ali_ccp")
    line = (found.source / "sample_train" / "common_features_train.csv").read_text().splitlines()[2]
    index, _, features = line.split(",")
    values = [each.split("\x02")[1].split("\x03") for each in features.split("\x01") if each.startswith("109_14\x02")]
    wanted = [feature for feature, value in sorted(values, key=lambda pair: -float(pair[1]))][:20]
    assert found.table("visits").filter(pl.col("index") == index)["categories_before"].item().to_list() == wanted


def test_a_share_keeps_whole_users_and_the_same_ones(tmp_path: Path, made: Callable[[str], Made]) -> None:
    source, whole = made("taobao").source, made("taobao").table("events")
    counts = dict(whole.group_by("user").len().rows())
    kept = [convert("taobao", source, tmp_path / name, share=0.3) for name in ("a", "b")]
    events = [pl.read_parquet(each.page.parent / "events.parquet") for each in kept]
    assert events[0].equals(events[1])
    assert 5 < events[0]["user"].n_unique() < 35
    assert all(counts[user] == count for user, count in events[0].group_by("user").len().rows())


def test_compressed_and_plain_files_are_one_table(tmp_path: Path, made: Callable[[str], Made]) -> None:
    (tmp_path / "source").mkdir()
    for path in made("amazon_reviews").source.iterdir():
        (tmp_path / "source" / path.stem).write_bytes(gzip.decompress(path.read_bytes()))
    done = convert("amazon_reviews", tmp_path / "source", tmp_path / "store")
    assert pl.read_parquet(done.page.parent / "events.parquet").equals(made("amazon_reviews").table("events"))


def test_small_blocks_give_the_same_tables(tmp_path: Path, made: Callable[[str], Made], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("banyan.store.datasets._text.BLOCK", 1000)
    for form in ("taobao", "ali_ccp", "movielens", "amazon_reviews"):
        done = convert(form, made(form).source, tmp_path / form)
        for name in done.rows:
            small, large = pl.read_parquet(tmp_path / form / f"{name}.parquet"), made(form).table(name)
            assert small.equals(large), f"{form}, {name}"


def test_a_missing_file_is_named_with_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "UserBehavior.csv.zip").write_bytes(b"PK")
    with pytest.raises(ConfigError, match=r"no file UserBehavior.csv in .*; it holds UserBehavior.csv.zip. Unpack UserBehavior.csv.zip first. .*tianchi"):
        convert("taobao", tmp_path, tmp_path / "store")
    with pytest.raises(ConfigError, match="no folder"):
        convert("taobao", tmp_path / "nowhere", tmp_path / "store")
    with pytest.raises(ConfigError, match=r"no set 'taobo'. Did you mean 'taobao'"):
        convert("taobo", tmp_path, tmp_path / "store")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("1,2,x,pv,1511600000", r"line 3, column category: found 'x'; it must be a number"),
        ("1,2,3,click,1511600000", r"line 3, column behaviour: found 'click'; it is one of pv, cart, fav, buy"),
        ("1,2,3,pv", r"line 3: seconds is empty|line 3: found 4 fields"),
        ("1,2,3,pv,1511600000,9", r"line 3: found 6 fields"),
        (",2,3,pv,1511600000", r"line 3: user is empty"),
    ],
)
def test_a_broken_line_is_named_by_its_number(tmp_path: Path, line: str, said: str) -> None:
    (tmp_path / "UserBehavior.csv").write_text(f"1,2,3,pv,1511600000\n1,2,3,buy,1511600000\n{line}\n1,2,3,pv,1511600000\n")
    with pytest.raises(DataError, match=said):
        convert("taobao", tmp_path, tmp_path / "store")
    assert not (tmp_path / "store").exists()


def test_a_header_without_a_column_is_refused(tmp_path: Path, made: Callable[[str], Made]) -> None:
    shutil.copytree(made("movielens").source, tmp_path / "source")
    path = tmp_path / "source" / "ml-32m" / "ratings.csv"
    path.write_text(path.read_text().replace("movieId", "film", 1))
    with pytest.raises(DataError, match=r"ratings.csv, line 1: the header has no movieId; it has userId, film, rating, timestamp"):
        convert("movielens", tmp_path / "source", tmp_path / "store")


def test_a_broken_line_of_json_is_named(tmp_path: Path) -> None:
    (tmp_path / "Toys.jsonl").write_text('{"user_id": "a", "parent_asin": "b", "rating": 5.0, "timestamp": 1}\n{"user_id": \n')
    with pytest.raises(DataError, match=r"Toys.jsonl, line 2: .*is no JSON object"):
        convert("amazon_reviews", tmp_path, tmp_path / "store")


def test_a_compressed_file_that_ends_early_is_named(tmp_path: Path) -> None:
    rows = b'{"user_id": "a", "parent_asin": "b", "rating": 5.0, "timestamp": 1}\n' * 5000
    (tmp_path / "Toys.jsonl.gz").write_bytes(gzip.compress(rows)[:-40])
    with pytest.raises(DataError, match="broken or incomplete"):
        convert("amazon_reviews", tmp_path, tmp_path / "store")


def test_a_stopped_run_goes_on_with_the_tables_that_are_whole(tmp_path: Path, made: Callable[[str], Made]) -> None:
    source, target = tmp_path / "source", tmp_path / "store"
    shutil.copytree(made("retailrocket").source, source)
    tree = source / "category_tree.csv"
    kept = tree.read_bytes()
    tree.write_bytes(kept + b"x,y,z\n")
    with pytest.raises(DataError, match=r"category_tree.csv, line 7"):
        convert("retailrocket", source, target)
    tree.write_bytes(kept)
    read: list[str] = []
    done = convert("retailrocket", source, target, tell=lambda what, done, of: read.append(what))
    assert read == []  # the two large tables were there
    assert pl.read_parquet(target / "items.parquet").equals(made("retailrocket").table("items"))
    assert done.notes == made("retailrocket").done.notes
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_a_page_that_is_there_is_kept_unless_forced(tmp_path: Path, made: Callable[[str], Made]) -> None:
    source = made("taobao").source
    page = convert("taobao", source, tmp_path).page
    page.write_text("mine")
    with pytest.raises(ConfigError, match="is there already"):
        convert("taobao", source, tmp_path)
    assert page.read_text() == "mine"
    assert convert("taobao", source, tmp_path, force=True).page.read_text().startswith("# Taobao UserBehavior")


def test_the_command_converts_and_lists(tmp_path: Path, made: Callable[[str], Made]) -> None:
    listed = CliRunner().invoke(app, ["dataset", "--list"], env={"COLUMNS": "200"})
    assert listed.exit_code == 0
    assert all(name in listed.stdout for name in datasets.names())
    done = CliRunner().invoke(app, ["dataset", "taobao", "--from", str(made("taobao").source), "--to", str(tmp_path / "store")])
    assert done.exit_code == 0, done.output
    assert f"banyan check {tmp_path / 'store' / 'store.yaml'}" in " ".join(done.stdout.split())
    assert "as published it has 100,150,807" in done.output
    refused = CliRunner().invoke(app, ["dataset", "taobao", "--from", str(tmp_path)])
    assert refused.exit_code == 2


def test_fields_of_aliexpress_are_all_named_once() -> None:
    user, item = aliexpress.USER_FIELDS, aliexpress.ITEM_FIELDS
    assert sorted(user.values()) == list(range(2, 34))
    assert sorted(item.values()) == list(range(2, 49))
    assert not set(user) & set(item)
    assert len(user) + len(item) == 16 + 63


def test_training_rows_of_a_public_split_train(made: Callable[[str], Made]) -> None:
    for form in ("census_income", "ali_ccp", "aliexpress"):
        shop = open_store(made(form).done.page)
        assert all((table.part == TRAIN).sum() > 0 for table in shop.samples.values())
