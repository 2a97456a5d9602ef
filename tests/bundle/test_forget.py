"""Who is forgotten is a stranger to the bundle: no id, event or embedding of theirs is in any file, and nobody else's answers change."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

from banyan.bundle import Bundle, folder, forget
from banyan.errors import BundleError
from banyan.features.columns import ID
from banyan.features.stock import USER

NAME = "anna-karenina-1877"  # can stand in a file only where it was left


def untimed(description: dict[str, Any]) -> None:
    """The same store as a set of events: counts without a clock are kept for each pair of user and item."""
    del description["events"]["time"]
    del description["samples"]["shown"]["time"]
    description["samples"] = {name: each for name, each in description["samples"].items() if name in ("next", "people", "shown")}
    description["samples"]["next"] = {"recipe": "next_item", "behaviours": ["cart", "buy"]}
    description["tasks"] = {name: each for name, each in description["tasks"].items() if each["samples"] in description["samples"]}
    description["split"] = {"by": "user"}


def trained(train: Callable[..., Any], path: Path, change: Callable[[dict[str, Any]], None] | None = None) -> Any:
    """The store whose busiest user is called by the name."""
    tables = train.__globals__["tables"]

    def renamed(to: Path) -> dict[str, pl.DataFrame]:
        frames = tables(to)
        for key, frame in frames.items():
            frames[key] = frame.with_columns(pl.col(c).replace("u0", NAME) for c in ("user_id", "who") if c in frame.columns)
            frames[key].write_parquet(to / f"{key}.parquet")
        return frames

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(train.__globals__, "tables", renamed)
        return train(path, change)


@pytest.fixture(scope="module", params=[None, untimed], ids=["timed", "untimed"])
def named(request: pytest.FixtureRequest, train: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Any:
    return trained(train, tmp_path_factory.mktemp("named"), request.param)


@pytest.fixture
def path(named: Any, tmp_path: Path) -> Path:
    return Path(shutil.copytree(named.path, tmp_path / "bundle"))


def holding(path: Path, name: str) -> list[str]:
    """The files in which a name stands, as text or in UTF-16."""
    return sorted(each.name for each in path.rglob("*") if each.is_file() and any(name.encode(code) in each.read_bytes() for code in ("utf-8", "utf-16-le")))


def test_no_file_holds_the_id(path: Path) -> None:
    assert holding(path, NAME) == ["entity-0.ids.parquet", "plan.json"], "they did before"
    assert forget.without(path, [NAME]) == 1
    assert holding(path, NAME) == []
    assert [each for each in path.parent.iterdir() if each.name.startswith(".")] == [], "nothing is left aside"
    assert forget.without(path, [NAME]) == 0
    assert not forget.knows(path, [NAME])


def test_their_events_counts_features_and_embedding_are_gone(path: Path) -> None:
    old = Bundle.load(path, device="cpu")
    row = old.stock.ids[USER].tolist().index(NAME) + 1
    forget.without(path, [NAME])
    new = Bundle.load(path, device="cpu")
    for bundle, there in ((old, True), (new, False)):
        log, counts = bundle.stock.log, bundle.stock.snapshots
        assert (log.start[row + 1] > log.start[row]) == there
        assert (counts.users.until(np.array([row]), 0, np.array([1 << 40])) > 0).all() == there
    book = old.plan.books[old.plan.entities[USER].categories[ID]]
    line = book.rows(pl.Series([NAME]))[0]
    weight = new.network.embeddings.weight
    assert not torch.equal(old.network.embeddings.weight[line], weight[line])
    assert torch.equal(weight[line], weight[book.unseen])
    values, blank = new.stock.entities[USER], len(new.stock.entities[USER]) - 1
    for key in ("ids", "numbers", "known", "bins"):
        assert np.array_equal(getattr(values, key)[row], getattr(values, key)[blank]), key


def test_row_numbers_stay_and_the_rest_of_the_log_is_the_same(path: Path) -> None:
    old = Bundle.load(path, device="cpu")
    row = old.stock.ids[USER].tolist().index(NAME) + 1
    forget.without(path, [NAME])
    new = Bundle.load(path, device="cpu")
    assert len(new.stock.ids[USER]) == len(old.stock.ids[USER])
    assert [a for a, b in zip(old.stock.ids[USER], new.stock.ids[USER], strict=True) if a != b] == [NAME]
    others = old.stock.log.user != row
    for key in ("user", "item", "behaviour", "time", "scenario", "value"):
        assert np.array_equal(getattr(new.stock.log, key), getattr(old.stock.log, key)[others], equal_nan=key == "value"), key


def test_they_are_answered_as_a_stranger_and_others_as_before(path: Path, named: Any) -> None:
    old = Bundle.load(path, device="cpu")
    forget.without(path, [NAME])
    new = Bundle.load(path, device="cpu")
    table = "viewed" if "viewed" in old.plan.tables else "shown"
    rows = pl.DataFrame({"user_id": [NAME, "nobody", "u1", "u7"], "who": [NAME, "nobody", "u1", "u7"], "item_id": ["i1"] * 4, "what": ["i1"] * 4})
    rows = rows.with_columns(device=pl.lit("phone"))
    before, after = old.predict(table, rows), new.predict(table, rows)
    said = [c for c in after.columns if "." in c]
    assert after[0].select(said).equals(after[1].select(said))
    assert not before[0].select(said).equals(after[0].select(said))
    assert before[1:].equals(after[1:])
    users = [NAME, "nobody", "u3", "u5"]
    old_lists, lists = old.recommend(users, 10), new.recommend(users, 10)
    assert lists.filter(user=NAME).drop("user").equals(lists.filter(user="nobody").drop("user"))
    assert lists.filter(pl.col("user") != NAME).equals(old_lists.filter(pl.col("user") != NAME))


def test_lists_for_all_leave_them_out(path: Path) -> None:
    forget.without(path, [NAME])
    listed = Bundle.load(path, device="cpu").recommend("all", 1)["user"].to_list()
    assert len(listed) > 30
    assert not [user for user in listed if user == NAME or user.startswith("\0")]


def test_several_are_forgotten_at_once_and_one_after_the_other(path: Path) -> None:
    assert forget.without(path, ["u1", "u2", "nobody"]) == 2
    assert forget.without(path, ["u1", NAME]) == 1
    bundle = Bundle.load(path, device="cpu")
    assert not {"u1", "u2", NAME} & set(bundle.stock.ids[USER])
    assert bundle.predict("shown", pl.DataFrame({"who": ["u4"], "what": ["i1"], "device": ["phone"]})).height == 1


def test_a_value_that_only_looks_like_the_id_stays(path: Path) -> None:
    """The city a, and a user who is called a: only the user goes."""
    before = Bundle.load(path, device="cpu")
    assert forget.without(path, ["a", "phone", "i1"]) == 0
    assert Bundle.load(path, device="cpu").plan.to_json() == before.plan.to_json()


def test_it_can_be_written_elsewhere(path: Path, tmp_path: Path) -> None:
    bytes_before = {each.name: each.read_bytes() for each in path.iterdir()}
    forget.without(path, [NAME], tmp_path / "else")
    assert {each.name: each.read_bytes() for each in path.iterdir()} == bytes_before
    assert holding(tmp_path / "else", NAME) == []
    Bundle.load(tmp_path / "else", device="cpu")


def test_a_kill_before_the_end_leaves_the_old_bundle(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    before = {each.name: each.read_bytes() for each in path.iterdir()}
    with monkeypatch.context() as cut:
        cut.setattr(folder, "sync", killed)
        with pytest.raises(KeyboardInterrupt):
            forget.without(path, [NAME])
    assert {each.name: each.read_bytes() for each in path.iterdir()} == before
    assert forget.without(path, [NAME]) == 1


def test_a_bundle_that_is_not_whole_is_refused(path: Path) -> None:
    (path / "plan.json").write_bytes(b"{}")
    with pytest.raises(BundleError, match=r"plan\.json has 2 bytes"):
        forget.without(path, [NAME])


def test_bundles_are_found_at_any_depth(path: Path, tmp_path: Path) -> None:
    shutil.copytree(path, tmp_path / "runs" / "one" / "bundle")
    shutil.copytree(path, tmp_path / ".bundle.old")
    assert sorted(forget.bundles(tmp_path)) == [path, tmp_path / "runs" / "one" / "bundle"]
    assert list(forget.bundles(path)) == [path]
