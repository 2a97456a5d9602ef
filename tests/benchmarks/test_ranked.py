"""The benchmarks of rankings, on a few made-up users: what the last line says, and what goes into RESULTS.md."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from benchmarks import funnel, next_item

SMALL = ["--seeds", "1", "--set", "training.epochs=2", "training.batch=64", "model.width=8", "tasks.next.negatives=20"]


@pytest.fixture(scope="module")
def lists(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Users who go round a circle of items: what follows is known."""
    folder, rng = tmp_path_factory.mktemp("lists"), np.random.default_rng(0)
    begin, count = rng.integers(0, 40, 150), rng.integers(4, 12, 150)
    walks = [[int(b + i) % 40 + 1 for i in range(c)] for b, c in zip(begin, count, strict=True)]
    pl.DataFrame({"user": range(150), "items": walks}).write_parquet(folder / "sequences.parquet")
    pl.DataFrame({"item": range(1, 41), "attributes": [[i % 3, i % 5] for i in range(40)]}).write_parquet(folder / "attributes.parquet")
    return folder


def test_next_item_tells_both_fits_beside_the_neighbours(lists: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = ["--sequences", str(lists / "sequences.parquet"), "--attributes", str(lists / "attributes.parquet")]
    found = next_item.main([*files, *SMALL, "--results", str(lists / "R.md")])
    assert json.loads(capsys.readouterr().out.splitlines()[-1]) == found
    for fit in (found, found["train"]):
        assert 0 <= fit["N@10"] <= fit["R@10"] <= 1
        assert set(fit["sd"]) == {"R@10", "N@10"}
        assert fit["knn"]["R@10"] > 0.9  # the neighbours know a circle
    assert "| train+valid | banyan |" in (lists / "R.md").read_text()


@pytest.mark.parametrize("apart", [False, True])
def test_funnel_tells_its_slices(tmp_path: Path, capsys: pytest.CaptureFixture[str], apart: bool) -> None:
    rng = np.random.default_rng(0)
    users, items = np.repeat(np.arange(60), 12), rng.integers(0, 30, 720)
    pairs = pl.DataFrame({"user": users, "item": items, "behavior": rng.choice(["view", "cart", "buy"], 720, p=[0.5, 0.2, 0.3])}).unique(maintain_order=True)
    bought = set(pairs.filter(pl.col("behavior") == "buy").select("user", "item").rows())
    test = [(u, next(i for i in rng.permutation(30).tolist() if (u, i) not in bought)) for u in range(60)]
    pairs.write_parquet(tmp_path / "train_pairs.parquet")
    pl.DataFrame(test, schema=["user", "item"], orient="row").write_parquet(tmp_path / "test_buy.parquet")
    found = funnel.main(["--data", str(tmp_path), *SMALL, "--results", str(tmp_path / "R.md"), *(["--apart"] if apart else [])])
    assert json.loads(capsys.readouterr().out.splitlines()[-1]) == found
    assert set(funnel.SLICES) - set(found) == ({"observed"} if apart else set())  # apart, nobody's item was touched
    assert found["unobserved"]["HR@10"] >= found["unobserved_in_mixed"]["HR@10"]  # fewer items to pass
    assert "## funnel" in (tmp_path / "R.md").read_text()
