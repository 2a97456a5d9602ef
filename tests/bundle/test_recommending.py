"""A bundle recommends to everybody; what is not to be offered is not; a killed job goes on."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from banyan.bundle import Bundle
from banyan.errors import ConfigError, DataError


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
