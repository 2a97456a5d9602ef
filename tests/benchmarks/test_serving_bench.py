"""The benchmark of the service finds the largest rate that holds, says what failed, and measures a whole service."""

import asyncio
from pathlib import Path

import pytest

from benchmarks import serving
from benchmarks._load import Found


def _largest(holds: float, most: float = 1000, fails: bool = False) -> tuple[float, list[float]]:
    tried: list[float] = []

    async def asked(rate: float) -> Found:
        tried.append(rate)
        found = Found([0.001 if rate <= holds or fails else 0.2] * 100)
        if fails and rate > holds:
            found.failures["503"] += 1
        return found

    async def swift() -> float:
        return await serving._largest(asked, 10, most, 0.05, "requests", lambda line: None)

    return asyncio.run(swift()), tried


@pytest.mark.parametrize("fails", [False, True], ids=["late", "failed"])
@pytest.mark.parametrize("holds", [3.0, 37.0, 700.0])
def test_the_largest_rate_is_found_from_below(holds: float, fails: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "PAUSE", 0.0)
    found, tried = _largest(holds, fails=fails)
    assert 0.85 * holds <= found <= holds
    assert len(tried) < 20


def test_where_no_rate_holds_it_is_0(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "PAUSE", 0.0)
    assert _largest(0.0)[0] == 0.0


def test_failures_are_told_with_what_they_were() -> None:
    found = Found([0.01, 0.02])
    found.failures.update({"503": 3, "TimeoutError": 1})
    assert found.failed == 4
    assert str(found) == "p50 15.0 ms, p99 19.9 ms, 4 failed (3 x 503, 1 x TimeoutError)"
    assert "inf" in str(Found())


def test_a_bundle_or_the_reference_but_not_both(tmp_path: Path) -> None:
    for words in ([], [str(tmp_path), "--reference", str(tmp_path)]):
        with pytest.raises(SystemExit, match="Name a bundle, or --reference"):
            serving.main(words)


@pytest.mark.slow
def test_a_short_run_over_a_small_reference_has_every_figure(tmp_path: Path) -> None:
    told = ["--reference", str(tmp_path / "reference"), "--items", "600", "--short", "--plain", "--rate", "10", "--seconds", "2", "--most", "20"]
    found = serving.main([*told, "--requests", "60", "--events", "1", "--results", str(tmp_path / "RESULTS.md")])
    assert found["failed"] == 0
    assert found["p50_ms"] > 0
    assert found["cpu_ms"] > 0
    assert found["plain_cpu_ms"] > 0
    assert found["ratio_cpu_vs_plain"] == pytest.approx(found["plain_cpu_ms"] / found["cpu_ms"], abs=0.01)
    assert {"p99_ms", "max_rps_p99_50ms", "events_per_s", "rss_growth", "first_answer_s", "load_before"} <= set(found)
    assert "## serving" in (tmp_path / "RESULTS.md").read_text()
