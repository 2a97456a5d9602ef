"""Promises of labels: each kind as its task reads it, shares on the unsampled population, wrong ones refused by name."""

import numpy as np
import polars as pl
import pytest

from banyan.errors import ConfigError, DataError
from banyan.features import labels
from banyan.store.schema import TaskSpec
from banyan.store.shop import SampleTable
from banyan.types import TEST, TRAIN, VALID, Array, Target

Targets = tuple[Array, Array]


def table(columns: dict[str, object], part: list[int] | None = None, rate: list[float] | None = None, targets: Targets | None = None) -> SampleTable:
    frame = pl.DataFrame(columns)
    n = frame.height
    parts = np.array(part or [TRAIN] * n, np.int8)
    rates = np.array(rate or [1.0] * n, np.float32)
    none = np.full(n, -1, np.int64)
    return SampleTable("rows", {}, None, np.zeros(n, np.int32), pl.DataFrame(), frame, np.ones(n, np.float32), rates, parts, none, none, targets)


def spec(kind: str, **options: object) -> TaskSpec:
    return TaskSpec(kind=kind, samples="rows", **options)


def test_shares_are_those_before_sampling() -> None:
    """Two negatives stand for four each: 2 of 10 rows are positive."""
    found, target = labels.read("t", spec("binary"), table({"y": [1, 1, 0, 0, None]}, rate=[1, 1, 0.25, 0.25, 1]))
    assert target.prior == pytest.approx((0.2,))
    assert found.seen[:, 0].tolist() == [True] * 4 + [False]
    assert found.value[:, 0].tolist() == [1, 1, 0, 0, 0]
    _, target = labels.read("t", spec("classes"), table({"y": ["a", "b", "b", None]}, rate=[0.25, 1, 1, 0.1]))
    assert dict(zip(target.classes, target.prior, strict=True)) == pytest.approx({"a": 4 / 6, "b": 2 / 6})
    _, target = labels.read("t", spec("tags"), table({"y": [["a"], ["b", "a"], [], None]}, rate=[0.5, 1, 1, 0.1]))
    assert dict(zip(target.classes, target.prior, strict=True)) == pytest.approx({"a": 3 / 4, "b": 1 / 4})


def test_nothing_but_training_rows_is_fitted() -> None:
    part = [TRAIN, TRAIN, VALID, TEST]
    _, binary = labels.read("t", spec("binary"), table({"y": [1, 0, 1, 1]}, part))
    assert binary.prior == (0.5,)
    found, classes = labels.read("t", spec("classes"), table({"y": ["a", "b", "b", "new"]}, part))
    assert classes.classes == ("a", "b")
    assert found.seen[:, 0].tolist() == [True, True, True, False]
    found, tags = labels.read("t", spec("tags"), table({"y": [["a"], [], ["new"], ["a", "new"]]}, part))
    assert tags.classes == ("a",)
    assert found.value[:, 0].tolist() == [1, 0, 0, 1]
    _, graded = labels.read("t", spec("graded"), table({"y": [1, 3, 9, 0]}, part))
    assert graded.classes == ("1", "2", "3")


def test_a_target_that_is_brought_is_kept() -> None:
    target = Target(("y",), ("x", "y"), (0.9, 0.1))
    found, kept = labels.read("t", spec("classes"), table({"y": ["y", "z"]}), target)
    assert kept is target
    assert (found.value.tolist(), found.seen[:, 0].tolist()) == ([1, 0], [True, False])


@pytest.mark.parametrize(("kind", "wrong", "limits"), [("binary", 2.0, "0 to 1"), ("amount", -3.0, "0 to inf"), ("count", -1.0, "0 to inf")])
def test_a_label_out_of_range_is_named(kind: str, wrong: float, limits: str) -> None:
    with pytest.raises(DataError, match=rf"samples\.rows, row 3: label 'y' is {wrong:g}; task 't' takes values from {limits}"):
        labels.read("t", spec(kind), table({"y": [1.0, None, wrong]}))


def test_tags_spread_over_columns_are_yes_or_no() -> None:
    given = spec("tags", labels=["a", "b"])
    found, target = labels.read("t", given, table({"a": [1, 0, None], "b": [1, None, None]}))
    assert found.seen[:, 0].tolist() == [True, True, False]
    assert target.prior == pytest.approx((0.5, 0.5))
    with pytest.raises(DataError, match=r"row 2: label 'b' is 3"):
        labels.read("t", given, table({"a": [1, 0], "b": [1, 3]}))


def test_the_share_above_nothing_stands_beside_the_mean_amount() -> None:
    _, target = labels.read("t", spec("amount"), table({"y": [0.0, 0.0, 6.0]}, rate=[1, 1, 0.5]))
    assert target.prior == pytest.approx((3.0, 0.5))


def test_words_are_no_numbers() -> None:
    with pytest.raises(DataError, match=r"samples\.rows: labels y must be numbers"):
        labels.read("t", spec("binary"), table({"y": ["yes", "no"]}))


@pytest.mark.parametrize(("kind", "empty"), [("classes", pl.Series(["a"])), ("tags", pl.Series([["a"]]))])
def test_a_task_that_training_shows_nothing_of_is_refused(kind: str, empty: pl.Series) -> None:
    with pytest.raises(DataError, match=r"no training row has .*'t'"):
        labels.read("t", spec(kind), table({"y": empty}, [TEST]))


def test_labels_are_found_by_name() -> None:
    many = table({"x": [1], "t": [0]})
    assert labels.read("t", spec("binary"), many)[1].names == ("t",)
    assert labels.read("other", spec("binary"), table({"x": [1]}))[1].names == ("x",)
    assert labels.read("other", spec("binary", label="t"), many)[1].names == ("t",)
    assert labels.read("other", spec("count"), many)[1].names == ("x", "t")
    assert labels.read("other", spec("funnel", stages=["t", "x"]), many)[1].names == ("t", "x")


def test_a_label_is_never_guessed_among_many() -> None:
    with pytest.raises(ConfigError, match="which label"):
        labels.read("other", spec("binary"), table({"x": [1], "t": [0]}))


def test_classes_stand_in_the_order_of_their_numbers() -> None:
    _, target = labels.read("t", spec("classes"), table({"y": ["65+", "Under 18", "100-149", "19-24", "none"]}))
    assert target.classes == ("Under 18", "19-24", "65+", "100-149", "none")


def test_a_ranking_sees_rows_with_targets() -> None:
    targets = np.array([0, 2, 2, 3]), np.array([4, 5, 4], np.int32)
    found, _ = labels.read("t", spec("ranking"), table({"y": [1, 1, 1]}, targets=targets))
    assert found.seen[:, 0].tolist() == [True, False, True]
    with pytest.raises(DataError, match="next_item"):
        labels.read("t", spec("ranking"), table({"y": [1]}))
