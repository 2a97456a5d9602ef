"""`banyan search`: a table a person can read, JSON a program can, and refusals in sentences."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from banyan.bundle import Bundle
from banyan.cli import app
from banyan.cli.terminal import out


@pytest.fixture
def asked(live: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A function from arguments behind the bundle to (exit status, output)."""
    monkeypatch.setattr(Bundle, "load", lambda *told, **options: live.bundle)
    monkeypatch.setattr(out, "width", 160)  # a narrower table breaks its headings

    def ask(*arguments: str) -> tuple[int, str]:
        result = CliRunner().invoke(app, ["search", "bundle", *arguments])
        return result.exit_code, result.output

    return ask


def test_a_table_says_how_the_items_were_found(asked: Any, tables: Any, tmp_path: Path) -> None:
    tables()["items"].select("item_id", "title").write_parquet(tmp_path / "items.parquet")
    status, told = asked("hamer", "--user", "u3", "--count", "3", "--items", str(tmp_path / "items.parquet"))
    assert status == 0, told
    for said in ("Showing results for 'hammer' in place of 'hamer'.", "hammer", "words x", "relevance x", "behaviour x", "kind: ", "price: ", "found in"):
        assert said in told, said


def test_json_holds_everything(asked: Any) -> None:
    status, told = asked("red dress", "--filter", "kind=p", "--filter", "price>=0.001", "--json", "--count", "2")
    assert status == 0, told
    found = json.loads(told)
    assert found["searched"]["step"] in ("words", "any")
    assert len(found["items"]) <= 2
    assert set(found["facets"]["kind"]) == {"p"}
    assert found["cpu_milliseconds"] >= 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["  "], "nothing to search for"),
        (["red", "--filter", "kind"], "is no filter"),
        (["red", "--filter", "price<=cheap"], "is no number"),
        (["red", "--filter", "price<=nan"], "no finite number"),
        (["red", "--filter", "knd=p"], "Did you mean 'kind'"),
        (["--picture", "nowhere.png"], "no picture nowhere.png"),
        (["red", "--picture", __file__], "reads no pictures"),
        (["red", "--synonyms", "nowhere.txt"], "cannot be read"),
    ],
)
def test_what_cannot_be_asked_is_refused_in_a_sentence(asked: Any, arguments: list[str], said: str) -> None:
    status, told = asked(*arguments)
    assert status == 2
    assert said in " ".join(told.split())


def test_a_file_of_synonyms_is_read_and_a_wrong_line_is_named(asked: Any, tmp_path: Path) -> None:
    path = tmp_path / "same.txt"
    path.write_text("# tools\nmallet, hammer  # both strike\n\n", encoding="utf-8")
    status, told = asked("mallet", "--synonyms", str(path))
    assert status == 0
    assert "asked for alike" in told
    for line, said in (("sofa", "has 1 words"), ("sofa, !!", "no word"), ("sofa, " + "x" * 61, "at most 60 letters")):
        path.write_text(f"a, b\n{line}\n", encoding="utf-8")
        status, told = asked("mallet", "--synonyms", str(path))
        assert status == 2
        assert "line 2" in told
        assert said in " ".join(told.split())
