"""One command from the published files of two countries to figures beside the published bars; files and finished runs are not made again."""

import json
from pathlib import Path

import pytest

from benchmarks import aliexpress, convert
from tests.store import published

FEW = ["training.epochs=1", "training.steps=2", "training.batch=128", "model.width=4", "sharing=bottom"]


def test_one_command_compares_with_the_published_bars(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    published.aliexpress(tmp_path / "data")
    arguments = ["--data", str(tmp_path / "data"), "--folder", str(tmp_path / "runs"), "--results", str(tmp_path / "R.md"), "--set", *FEW]
    result = aliexpress.main([*arguments, "--country", "NL"])
    said = capsys.readouterr().out
    assert json.loads(said.splitlines()[-1]) == result
    assert result["NL"]["published"] == {"click": 0.7292, "buy": 0.8615}
    assert result["NL"]["test_rows"] == 600
    assert 0 < result["NL"]["click"] < 1
    assert "| NL | 600 |" in (tmp_path / "R.md").read_text()
    again = aliexpress.main([*arguments, "--country", "NL"])
    assert "converting" not in capsys.readouterr().out
    assert again["NL"] == result["NL"]


def test_what_cannot_be_compared_is_said(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="no file"):
        aliexpress.main(["--data", str(tmp_path)])
    published.aliexpress_merged(tmp_path)
    with pytest.raises(SystemExit, match="holds FR"):
        aliexpress.main(["--data", str(tmp_path), "--country", "NL"])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["taobao", "ali_ccp"])
def test_the_cost_of_a_conversion_is_measured(tmp_path: Path, name: str) -> None:
    result = convert.main(["--set", name, "--rows", "20000", "--folder", str(tmp_path), "--results", str(tmp_path / "R.md")])
    assert result["peak_mb"] > 0
    assert max(result["tables"].values()) == 20000
    assert f"convert, {name}" in (tmp_path / "R.md").read_text()
