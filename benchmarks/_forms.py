"""Generated files in the published forms of large sets: as many rows as asked for, nothing in them to learn."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl

CHUNK = 1_000_000  # rows that are made at a time
BETWEEN, OF, WORTH = "\x01", "\x02", "\x03"
IMPRESSIONS = 58  # of a visit, as in the published training part
PAST = 60  # features of each kind of a visit's past


def taobao(folder: Path, rows: int, rng: np.random.Generator) -> None:
    """UserBehavior.csv: users with a hundred events each, items and categories in the published proportion."""
    users, items = max(rows // 100, 1), max(rows // 24, 1)
    with (folder / "UserBehavior.csv").open("wb") as file:
        for begin in range(0, rows, CHUNK):
            count = min(CHUNK, rows - begin)
            item = (items * rng.random(count) ** 3).astype(np.int64)
            columns = {
                "user": np.sort(rng.integers(0, users, count)),
                "item": item,
                "category": item % 9439,
                "behaviour": rng.choice(["pv", "cart", "fav", "buy"], count, p=[0.895, 0.056, 0.029, 0.02]),
                "seconds": 1_511_539_200 + rng.integers(0, 9 * 86_400, count),
            }
            pl.DataFrame(columns).write_csv(file, include_header=False)


def ali_ccp(folder: Path, rows: int, rng: np.random.Generator) -> None:
    """Both files of both parts: three quarters of the rows train."""
    for part, count in (("train", rows * 3 // 4), ("test", rows - rows * 3 // 4)):
        visits = max(count // IMPRESSIONS, 1)
        index = pl.Series([f"{n:016x}" for n in rng.permutation(visits)])
        with (folder / f"common_features_{part}.csv").open("wb") as file:
            for begin in range(0, visits, CHUNK // 100):
                _write(file, _common(index[begin : begin + CHUNK // 100], rng))
        with (folder / f"sample_skeleton_{part}.csv").open("wb") as file:
            for begin in range(0, count, CHUNK):
                _write(file, _skeleton(begin, min(CHUNK, count - begin), index, rng))


def _common(index: pl.Series, rng: np.random.Generator) -> list[pl.Series]:
    n = len(index)
    fields = [_feature("101", rng.integers(0, 400_000, n), np.ones(n))]
    fields += [_feature(field, rng.integers(3_438_000, 3_438_010, n), np.ones(n)) for field in ("121", "122", "124", "125", "126", "127", "128", "129")]
    fields += [_feature(field, rng.integers(0, 100_000, n), 4 * rng.random(n)) for field in ("109_14", "110_14", "127_14", "150_14") for _ in range(PAST)]
    return [index, pl.Series([len(fields)] * n), _joined(fields)]


def _skeleton(begin: int, n: int, index: pl.Series, rng: np.random.Generator) -> list[pl.Series]:
    item = (1_000_000 * rng.random(n) ** 2).astype(np.int64)
    ones, click = np.ones(n), (rng.random(n) < 0.04).astype(np.int64)
    fields = [_feature("205", item, ones), _feature("206", item % 8000, ones), _feature("207", item % 90_000, ones), _feature("216", item % 40_000, ones)]
    fields += [_feature("210", rng.integers(0, 90_000, n), ones) for _ in range(4)]
    fields += [_feature(field, item % 5000, 4 * rng.random(n)) for field in ("508", "509", "702")]
    fields += [_feature("853", rng.integers(0, 90_000, n), 4 * rng.random(n)) for _ in range(2)]
    fields += [_feature("301", rng.integers(9_351_665, 9_351_668, n), ones)]
    bought = click * (rng.random(n) < 0.005)
    visit = index[np.sort(rng.integers(0, len(index), n))]
    return [pl.Series(np.arange(begin, begin + n)), pl.Series(click), pl.Series(bought), visit, pl.Series([len(fields)] * n), _joined(fields)]


def _feature(field: str, feature: np.ndarray, value: np.ndarray) -> pl.Series:
    frame = pl.DataFrame({"f": feature, "v": value.round(5)})
    return frame.select(pl.concat_str(pl.lit(field + OF), "f", pl.lit(WORTH), "v")).to_series()


def _joined(columns: list[pl.Series]) -> pl.Series:
    return pl.DataFrame([each.alias(str(n)) for n, each in enumerate(columns)]).select(pl.concat_str(pl.all(), separator=BETWEEN)).to_series()


def _write(file: object, columns: list[pl.Series]) -> None:
    frame = pl.DataFrame([each.alias(str(n)) for n, each in enumerate(columns)])
    frame.write_csv(file, include_header=False, quote_style="never")  # type: ignore[call-overload]


FORMS: dict[str, Callable[[Path, int, np.random.Generator], None]] = {"taobao": taobao, "ali_ccp": ali_ccp}
