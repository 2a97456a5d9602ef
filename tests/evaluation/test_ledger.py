"""Promises of the ledger: what is added is there after a kill, a torn line is not, and other settings are refused."""

import math
from pathlib import Path

import pytest

from banyan.errors import BanyanError, ConfigError
from banyan.evaluation.ledger import Ledger

SAME = {"seeds": 3, "minutes": None, "arms": [1, 2]}


def test_what_was_added_is_read_back(tmp_path: Path) -> None:
    first = Ledger(tmp_path / "l.jsonl", SAME)
    first.add("one", {"score": 0.5, "none": math.nan, "list": [1.0, math.nan]})
    again = Ledger(tmp_path / "l.jsonl", SAME)
    assert "one" in again
    assert again["one"]["score"] == 0.5
    assert math.isnan(again["one"]["none"])
    assert math.isnan(again["one"]["list"][1])
    assert "two" not in again


def test_a_torn_line_is_cut_off_and_written_again(tmp_path: Path) -> None:
    path = tmp_path / "l.jsonl"
    Ledger(path, SAME).add("one", 1)
    with path.open("ab") as file:
        file.write(b'{"key": "two", "val')
    again = Ledger(path, SAME)
    assert "two" not in again
    again.add("two", 2)
    assert Ledger(path, SAME)["two"] == 2


def test_a_file_torn_in_its_first_line_begins_anew(tmp_path: Path) -> None:
    (tmp_path / "l.jsonl").write_bytes(b'{"same": {"se')
    Ledger(tmp_path / "l.jsonl", SAME).add("one", 1)
    assert Ledger(tmp_path / "l.jsonl", SAME)["one"] == 1


def test_other_settings_are_refused_by_name(tmp_path: Path) -> None:
    Ledger(tmp_path / "l.jsonl", SAME)
    with pytest.raises(ConfigError, match="holds a run with another seeds"):
        Ledger(tmp_path / "l.jsonl", {**SAME, "seeds": 4})


def test_a_file_that_is_no_ledger_is_named(tmp_path: Path) -> None:
    (tmp_path / "l.jsonl").write_text("no json\n")
    with pytest.raises(BanyanError, match=r"l\.jsonl"):
        Ledger(tmp_path / "l.jsonl", SAME)
