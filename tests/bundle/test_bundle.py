"""A bundle is whole or refused; it answers the unknown; a killed job goes on."""

import json
import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from banyan.bundle import Bundle, folder, save
from banyan.errors import BundleError, ConfigError, DataError


@pytest.fixture
def copy(run, tmp_path: Path) -> Path:
    return Path(shutil.copytree(run.path, tmp_path / "bundle"))


def restated(path: Path, change) -> None:
    """Edit a manifest as one would who wants it to be believed: the digest is made right again."""
    manifest = json.loads((path / folder.MANIFEST).read_text())
    change(manifest)
    (path / folder.MANIFEST).write_text(json.dumps({**manifest, "digest": folder.digest(manifest)}))


NAMES = ("weights.safetensors", "plan.json", "store.json", "facts.json", "log.safetensors", "statistics.safetensors", "item_vectors.safetensors", "README.md")


def test_it_holds_what_it_says(run) -> None:
    assert {each.name for each in run.path.iterdir()} >= {*NAMES, "manifest.json", "entity-0.safetensors", "entity-0.ids.parquet"}
    assert not [each for each in run.path.parent.iterdir() if each.name.startswith(".")], "nothing is left aside"


def test_every_weight_comes_back_exactly(run, bundle: Bundle) -> None:
    mine, theirs = bundle.network.state_dict(), run.network.state_dict()
    assert mine.keys() == theirs.keys()
    assert all(torch.equal(mine[key], theirs[key].float() if theirs[key].is_floating_point() else theirs[key]) for key in mine)
    assert bundle.plan == run.data.plan or bundle.plan.to_json() == json.loads(json.dumps(run.data.plan.to_json()))


def test_saving_twice_gives_the_same_bytes(run, tmp_path: Path) -> None:
    again = save(tmp_path / "again", run.network, run.data, run.shop.store, {"notes": run.shop.notes})
    for name in ("weights.safetensors", "plan.json", "store.json", "log.safetensors", "statistics.safetensors", "entity-1.safetensors"):
        assert (again / name).read_bytes() == (run.path / name).read_bytes(), name


@pytest.mark.parametrize("name", NAMES)
def test_a_changed_byte_is_refused(copy: Path, name: str) -> None:
    content = bytearray((copy / name).read_bytes())
    content[len(content) // 2] ^= 1
    (copy / name).write_bytes(content)
    with pytest.raises(BundleError, match=f"{name} was changed"):
        Bundle.load(copy)


@pytest.mark.parametrize("name", NAMES)
def test_a_missing_file_is_named(copy: Path, name: str) -> None:
    (copy / name).unlink()
    with pytest.raises(BundleError, match=f"{name} is missing"):
        Bundle.load(copy)


def test_a_shorter_file_is_refused(copy: Path) -> None:
    (copy / "plan.json").write_bytes((copy / "plan.json").read_bytes()[:-1])
    with pytest.raises(BundleError, match=r"plan\.json has .* bytes and had"):
        Bundle.load(copy)


def test_a_changed_manifest_is_refused(copy: Path) -> None:
    manifest = copy / folder.MANIFEST
    manifest.write_text(manifest.read_text().replace('"banyan": "', '"banyan": "9'))
    with pytest.raises(BundleError, match=r"manifest\.json was changed"):
        Bundle.load(copy)


def test_another_format_is_refused(copy: Path) -> None:
    restated(copy, lambda m: m.update(format=99))
    with pytest.raises(BundleError, match="format 99"):
        Bundle.load(copy)


@pytest.mark.parametrize("name", ["../u.parquet", "/etc/passwd", "a/b.json", ".hidden", ""])
def test_a_file_outside_of_the_folder_is_refused(copy: Path, name: str) -> None:
    def outside(manifest) -> None:
        manifest["files"][name] = {"bytes": 1, "sha256": "0" * 64}

    restated(copy, outside)
    with pytest.raises(BundleError, match="plain names"):
        Bundle.load(copy)


def test_a_link_is_refused(copy: Path, tmp_path: Path) -> None:
    shutil.move(copy / "plan.json", tmp_path / "elsewhere.json")
    (copy / "plan.json").symlink_to(tmp_path / "elsewhere.json")
    with pytest.raises(BundleError, match="link"):
        Bundle.load(copy)


def test_a_manifest_without_the_weights_is_refused(copy: Path) -> None:
    restated(copy, lambda m: m["files"].pop("weights.safetensors"))
    with pytest.raises(BundleError, match=r"does not list weights\.safetensors"):
        Bundle.load(copy)


@pytest.mark.parametrize("content", [b"{}", b"[1, 2]", b"no json", b"\xff\xfe", b"[" * 100_000])
@pytest.mark.parametrize("name", ["plan.json", "store.json", "facts.json"])
def test_a_file_of_other_content_is_refused_in_a_sentence(copy: Path, name: str, content: bytes) -> None:
    (copy / name).write_bytes(content)
    restated(copy, lambda m: m["files"].update({name: {"bytes": len(content), "sha256": folder.sha256(copy / name)}}))
    with pytest.raises(BundleError, match=name.replace(".", r"\.")):
        Bundle.load(copy)


def test_a_part_from_outside_is_not_imported(copy: Path) -> None:
    described = json.loads((copy / "store.json").read_text())
    described["model"]["sharing"] = "antigravity:Mine"
    (copy / "store.json").write_text(json.dumps(described))
    restated(copy, lambda m: m["files"].update({"store.json": {"bytes": (copy / "store.json").stat().st_size, "sha256": folder.sha256(copy / "store.json")}}))
    with pytest.raises(BundleError, match="from outside"):
        Bundle.load(copy)


def test_no_folder_and_no_bundle_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="no folder"):
        Bundle.load(tmp_path / "none")
    with pytest.raises(BundleError, match="is no bundle"):
        Bundle.load(tmp_path)


def test_a_folder_of_something_else_is_not_replaced(run, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear")
    with pytest.raises(BundleError, match="is no bundle"):
        save(tmp_path / "mine", run.network, run.data, run.shop.store)
    assert (tmp_path / "mine" / "letter.txt").read_text() == "dear"


def test_a_writing_that_fails_leaves_the_old_bundle(copy: Path) -> None:
    def fails(aside: Path) -> None:
        (aside / "plan.json").write_text("{}")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        folder.write(copy, fails, {})
    Bundle.load(copy)


def test_weights_that_are_not_finite_are_not_saved(run, tmp_path: Path) -> None:
    import copy as copies

    broken = copies.deepcopy(run.network)
    broken.embeddings.weight[3, 0] = float("nan")
    with pytest.raises(BundleError, match=r"embeddings\.weight"):
        save(tmp_path / "broken", broken, run.data, run.shop.store)


def test_the_card_tells_tasks_metrics_rows_and_versions(run) -> None:
    card = (run.path / "README.md").read_text()
    for word in ("# Model card: corner shop", "| carted | auc | 0.6100 |", "| carted | gauc | undefined |", "viewed", "2,500 events", "torch", "mmoe"):
        assert word in card, word


@pytest.mark.parametrize(
    "url",
    ["postgresql://shop:hunter2@db.local/shop", "postgresql://shop:me@hunter2@db.local/shop", "postgresql://db.local/shop?Password=hunter2&sslmode=require"],
)
def test_passwords_of_databases_stay_at_home(run, url: str) -> None:
    from banyan.bundle.saving import described
    from banyan.store.schema import Source

    store = run.shop.store.model_copy(deep=True)
    store.events.table = Source(sql=url, query="select * from e")
    assert "hunter2" not in json.dumps(described(store))
    assert "db.local" in json.dumps(described(store))


def test_loading_leaves_random_numbers_alone(run) -> None:
    torch.manual_seed(7)
    wanted = torch.rand(1)
    torch.manual_seed(7)
    Bundle.load(run.path)
    assert torch.equal(torch.rand(1), wanted)


def test_unknown_ids_are_strangers_and_get_finite_answers(bundle: Bundle) -> None:
    rows = pl.DataFrame({"user_id": ["u1", "nobody", None], "item_id": ["nothing", "i1", "i2"]})
    found = bundle.predict("viewed", rows)
    assert found.columns == ["user_id", "item_id", "carted.cart", "bought.cart", "bought.buy"]
    answers = found.select(pl.col(pl.Float32)).to_numpy()
    assert ((answers > 0) & (answers < 1)).all()
    assert found["bought.buy"].dtype == pl.Float32


def test_two_strangers_are_answered_alike(bundle: Bundle) -> None:
    found = bundle.predict("viewed", pl.DataFrame({"user_id": ["nobody", "noone"], "item_id": ["i1", "i1"]}))
    assert found["carted.cart"][0] == found["carted.cart"][1]


def test_no_rows_get_no_answers(bundle: Bundle) -> None:
    found = bundle.predict("viewed", pl.DataFrame({"user_id": [], "item_id": []}, schema={"user_id": pl.String, "item_id": pl.String}))
    assert found.shape == (0, 5)


@pytest.mark.parametrize(
    ("table", "rows", "said"),
    [
        ("viewed", {"user_id": ["u1"]}, "no column 'item_id'"),
        ("viewed", {"user_id": ["u1"], "item_id": ["i1"], "ts": ["last week"]}, "column ts, row 1: found 'last week'"),
        ("viewed", {"user_id": ["u1", "u2"], "item_id": ["i1", "i2"], "ts": ["2024-02-20", None]}, "row 2"),
        ("viewed", {"user_id": ["u1", "u2"], "item_id": ["i1", "i2"], "ts": ["2024-02-20", "2020-01-01"]}, "row 2: its moment is 2020-01-01"),
        ("viewed", {"user_id": ["u1"], "item_id": ["i1"], "carted.cart": [0.5]}, "a column 'carted.cart' already"),
        ("shown", {"who": ["u1"], "what": ["i1"], "place": ["first"], "device": ["desk"]}, "column place, row 1: found 'first'"),
        ("shown", {"who": ["u1"], "what": ["i1"]}, "no column 'device'"),
    ],
)
def test_a_bad_row_is_named(bundle: Bundle, table: str, rows: dict, said: str) -> None:
    with pytest.raises(DataError) as caught:
        bundle.predict(table, pl.DataFrame(rows), where="rows.csv")
    assert said in str(caught.value)
    assert "rows.csv" in str(caught.value)


@pytest.mark.parametrize(
    ("table", "tasks", "said"), [("veiwed", None, "Did you mean 'viewed'"), ("viewed", ["cart"], "no task 'cart'"), ("next", None, "recommend")]
)
def test_a_wrong_question_is_answered_by_a_hint(bundle: Bundle, table: str, tasks: list | None, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        bundle.predict(table, pl.DataFrame({"user_id": ["u1"], "item_id": ["i1"]}), tasks=tasks)


def test_what_is_known_in_training_only_is_read_at_its_stated_value(bundle: Bundle) -> None:
    rows = pl.DataFrame({"who": ["u1"] * 3, "what": ["i1"] * 3, "device": ["desk"] * 3})
    found = bundle.predict("shown", rows.with_columns(place=pl.Series([1, 5, 9])))
    plain = bundle.predict("shown", rows)
    assert found["grade.grade"].n_unique() == 1
    assert found["grade.grade"][0] == plain["grade.grade"][0]


def test_the_columns_that_it_expects_are_enough(bundle: Bundle) -> None:
    for table in ("viewed", "people", "weekly", "shown"):
        expected = bundle.expects(table)
        kinds = {name: pl.Float64 if what == "number" else pl.String for name, what in expected.items()}
        kinds |= {name: pl.Datetime("us") for name, what in expected.items() if what.startswith("time")}
        row = {name: [None] if not what.startswith("time") else [np.datetime64("2024-03-01", "us").item()] for name, what in expected.items()}
        found = bundle.predict(table, pl.DataFrame(row, schema=kinds))
        assert found.height == 1


def test_users_without_events_are_recommended_something(bundle: Bundle) -> None:
    found = bundle.recommend(["newcomer", "u0"], 4)
    assert found["user"].to_list() == ["newcomer"] * 4 + ["u0"] * 4
    assert found["rank"].to_list() == [1, 2, 3, 4] * 2
    assert found["score"].is_finite().all()
    assert found.group_by("user").agg(pl.col("score").diff().drop_nulls().max())["score"].max() <= 0


def test_what_a_user_has_can_be_left_out_and_offers_limited(run, bundle: Bundle) -> None:
    had = set(zip(*run.frames["e"].filter(pl.col("event") == "buy").select("user_id", "item_id").to_dict(as_series=False).values(), strict=True))
    whole = bundle.with_events(run.frames["e"].filter(pl.col("ts").dt.epoch("us") < bundle.facts["since"]))
    found = whole.recommend("all", 100, leave_out=["buy"])
    assert not had & set(found.select("user", "item").rows())
    assert found.height == 61 * 41 - len(had)
    some = bundle.recommend(["u1"], 10, only=["i3", "i4"])
    assert set(some["item"]) == {"i3", "i4"}


@pytest.mark.parametrize(
    ("options", "said"),
    [({"task": "carted"}, "no ranking task"), ({"k": 0}, "at least one"), ({"leave_out": ["bought"]}, "no behaviour"), ({"scenario": "moon"}, "no scenario")],
)
def test_a_wrong_wish_is_named(bundle: Bundle, options: dict, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        bundle.recommend(["u1"], **options)


def test_an_unknown_offer_or_a_missing_user_is_named(bundle: Bundle) -> None:
    with pytest.raises(DataError, match="no item 'i999'"):
        bundle.recommend(["u1"], only=["i999"])
    with pytest.raises(DataError, match="row 2"):
        bundle.recommend(pl.Series(["u1", None]))


class Killed(Exception):
    """What a kill is in a test."""


@pytest.mark.parametrize("ending", ["parquet", "csv", "jsonl"])
@pytest.mark.parametrize("stop", [1, 3])
def test_a_killed_job_goes_on_where_it_stopped(bundle: Bundle, tmp_path: Path, monkeypatch, ending: str, stop: int) -> None:
    whole, broken = tmp_path / f"whole.{ending}", tmp_path / f"broken.{ending}"
    bundle.recommend_to(whole, "all", 3, block=13)

    def kill(done: int, of: int) -> None:
        assert of == 5
        if done == stop:
            raise Killed

    with pytest.raises(Killed):
        bundle.recommend_to(broken, "all", 3, block=13, progress=kill)
    assert not broken.exists()
    (tmp_path / f".{broken.name}.parts" / f".{stop:08d}.parquet.writing").write_bytes(b"half a part")
    asked = []
    best = Bundle._best
    monkeypatch.setattr(Bundle, "_best", lambda self, ask, users: asked.append(len(users)) or best(self, ask, users))
    bundle.recommend_to(broken, "all", 3, block=13)
    assert len(asked) == 5 - stop
    assert broken.read_bytes() == whole.read_bytes()
    assert sorted(each.name for each in tmp_path.iterdir()) == sorted([whole.name, broken.name])


def test_another_question_does_not_take_the_parts_of_a_killed_one(bundle: Bundle, tmp_path: Path) -> None:
    def kill(done: int, of: int) -> None:
        raise Killed

    with pytest.raises(Killed):
        bundle.recommend_to(tmp_path / "top.parquet", "all", 3, block=13, progress=kill)
    bundle.recommend_to(tmp_path / "top.parquet", "all", 5, block=13)
    found = pl.read_parquet(tmp_path / "top.parquet")
    wanted = bundle.recommend("all", 5)
    assert found.drop("score").equals(wanted.drop("score"))
    assert np.allclose(found["score"].to_numpy(), wanted["score"].to_numpy(), atol=1e-6)  # blocks of other sizes add up in another order


def test_an_ending_that_cannot_be_written_is_refused_before_the_work(bundle: Bundle, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"\.xlsx"):
        bundle.recommend_to(tmp_path / "top.xlsx", "all")


def test_rows_of_a_file_are_answered_into_a_file(bundle: Bundle, tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("user_id,item_id,note\nu1,i1,007\nu2,i2,x\n")
    bundle.predict_file("viewed", tmp_path / "rows.csv", tmp_path / "out.csv")
    found = pl.read_csv(tmp_path / "out.csv", infer_schema=False)
    assert found["note"].to_list() == ["007", "x"]
    wanted = bundle.predict("viewed", pl.DataFrame({"user_id": ["u1", "u2"], "item_id": ["i1", "i2"]}))
    assert np.allclose(found["carted.cart"].cast(pl.Float32).to_numpy(), wanted["carted.cart"].to_numpy(), atol=1e-6)


def new_items(run, ids: list[str]) -> pl.DataFrame:
    return run.frames["i"].head(len(ids)).with_columns(pl.Series("item_id", ids))


def test_a_new_item_is_answered_by_its_features(run, bundle: Bundle) -> None:
    grown = bundle.with_entities("item", new_items(run, ["n1", "n2"]))
    found = grown.recommend(["u1"], 100)
    assert found.height == 43
    assert {"n1", "n2"} <= set(found["item"])
    rows = pl.DataFrame({"user_id": ["u1"] * 3, "item_id": ["n1", "n2", "nothing"]})
    one, two, stranger = grown.predict("viewed", rows)["carted.cart"].to_list()
    assert len({one, two, stranger}) == 3
    assert bundle.predict("viewed", rows)["carted.cart"].n_unique() == 1, "the first bundle is as it was"


def test_what_was_known_is_answered_as_before_when_it_grows(run, bundle: Bundle) -> None:
    users = pl.DataFrame({"user_id": ["n1", "n2"], "city": ["a", None], "joined": [None, "2024-01-01"]})
    grown = bundle.with_entities("item", new_items(run, ["n1", "n2"])).with_entities("user", users)
    rows = run.frames["e"].tail(200).select("user_id", "item_id")
    assert grown.predict("viewed", rows).equals(bundle.predict("viewed", rows))
    assert grown.recommend(["nobody"], 40, only=run.frames["i"]["item_id"].to_list()).select("item").equals(bundle.recommend(["nobody"], 40).select("item"))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (pl.Series("item_id", ["n1", "i1"]), "row 2: found 'i1'; this item is in the bundle already"),
        (pl.lit(None, pl.String).alias("item_id"), "needs an id"),
        (pl.lit("n1").alias("item_id"), "stands in one row"),
        (pl.lit("dear").alias("price"), "column price, row 1"),
        (pl.Series("look", [[1.0, 2.0]] * 2), "2 entries"),
    ],
)
def test_a_bad_new_item_is_named(run, bundle: Bundle, change: pl.Expr | pl.Series, said: str) -> None:
    with pytest.raises(DataError, match=said):
        bundle.with_entities("item", new_items(run, ["n1", "n2"]).with_columns(change))


def test_a_new_users_events_change_the_answers(run, bundle: Bundle) -> None:
    events = pl.DataFrame({"user_id": ["late"] * 3, "item_id": ["i1", "i1", "brand new"], "event": ["cart", "buy", "view"], "ts": ["2024-03-05"] * 3})
    grown = bundle.with_events(events)
    rows = pl.DataFrame({"user_id": ["late"], "item_id": ["i1"]})
    assert grown.predict("viewed", rows, as_of="2024-03-06")["carted.cart"][0] != bundle.predict("viewed", rows, as_of="2024-03-06")["carted.cart"][0]
    assert "brand new" in grown.recommend(["late"], 50)["item"]


def test_a_behaviour_that_training_did_not_see_is_named(bundle: Bundle) -> None:
    events = pl.DataFrame({"user_id": ["u1"] * 2, "item_id": ["i1"] * 2, "event": ["cart", "steal"], "ts": ["2024-03-05"] * 2})
    with pytest.raises(DataError, match="column event, row 2: found 'steal'"):
        bundle.with_events(events)
