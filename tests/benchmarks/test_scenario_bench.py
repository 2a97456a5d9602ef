"""The figures of the scenario benchmark by hand."""

import math

import pytest
from scipy.stats import t

from benchmarks import scenarios


def test_gains_are_paired_over_worlds_and_turned_where_less_is_better() -> None:
    mmoe = [{"bought auc": 0.7, "demand wape": 0.3, "cpu_seconds": 40.0}, {"bought auc": 0.8, "demand wape": 0.2, "cpu_seconds": 50.0}]
    star = [{"bought auc": 0.71, "demand wape": 0.28, "cpu_seconds": 30.0}, {"bought auc": 0.83, "demand wape": 0.18, "cpu_seconds": 30.0}]
    found = scenarios.summary({"mmoe": mmoe, "star": star})
    assert found["mmoe"]["bought auc"] == {"mean": pytest.approx(0.75), "gain": None, "half": None}
    assert found["star"]["bought auc"]["gain"] == pytest.approx(0.02)
    assert found["star"]["bought auc"]["half"] == pytest.approx(t.ppf(0.975, 1) * math.sqrt(0.0002) / math.sqrt(2))
    assert found["star"]["demand wape"]["gain"] == pytest.approx(0.02)
    assert found["star"]["cpu_seconds"]["gain"] is None
    assert scenarios.lines(found)[-1].startswith("| star | 0.7700 (+0.0200 ± ")


def test_one_world_has_no_interval() -> None:
    found = scenarios.summary({"mmoe": [{"a": 1.0}], "home": [{"a": 2.0}]})
    assert found["home"]["a"] == {"mean": 2.0, "gain": 1.0, "half": None}
