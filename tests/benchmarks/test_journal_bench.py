"""The benchmark of the journal measures and writes its entry."""

from pathlib import Path

import pytest

from benchmarks import journal


def test_it_measures_intake_and_reading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "READS", 5)
    results = tmp_path / "RESULTS.md"
    results.write_text("# Results\n")
    found = journal.main(["--where", str(tmp_path), "--seconds", "0.2", "--results", str(results)])
    assert found["events"] >= 200
    assert set(found["intake"]) == {1, 8}
    assert found["reading"]["again_ms"] > 0
    assert "## journal" in results.read_text()
    assert sorted(each.name for each in tmp_path.iterdir()) == ["RESULTS.md"], "nothing is left in the folder asked about"
