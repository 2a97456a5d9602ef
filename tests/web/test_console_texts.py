"""The console's texts: one table, both languages, every text used; and nothing said in a page's code that the table does not hold."""

import ast
import json
import re
import string
from pathlib import Path

import pytest

import banyan.web.console
from banyan.client import AsyncClient
from banyan.web.console import sessions as sessions_module
from banyan.web.console.desk import console_words, number
from banyan.web.console.sessions import IDLE, Sessions
from banyan.web.words import LANGUAGES

FOLDER = Path(banyan.web.console.__file__).parent
FILES = sorted(FOLDER.rglob("*.py"))
SOURCE = "\n".join(path.read_text(encoding="utf-8") for path in FILES)
TABLE = json.loads((FOLDER / "texts.json").read_text(encoding="utf-8"))
SAID = {"tag": 2, "trouble": 0, "nothing": 0, "badge": 0, "button": 0, "panel": 0, "Field": 0, "look_up": 1}  # function -> place of the text that people read
MARKS = {"#", " ", " → ", "Banyan"}


def blanks(text):
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def test_every_text_is_there_in_every_language_with_the_same_blanks():
    for key, texts in TABLE.items():
        assert len(texts) == len(LANGUAGES), key
        assert all(text.strip() for text in texts), key
        assert len({frozenset(blanks(text)) for text in texts}) == 1, key
        assert not re.search("[一-鿿]", texts[0]), key
    assert console_words("zh")("page.value") == TABLE["page.value"][1]


def test_every_text_is_used_and_every_used_one_is_there():
    used = set(re.findall(r'words\(\s*"([a-z0-9.]+)"', SOURCE)) | set(re.findall(r'words\(\s*"[a-z.]+" if [^")]+ else "([a-z.]+)"', SOURCE))
    families = set(re.findall(r'words\(\s*f"([a-z.]+\.)\{', SOURCE)) | {"tasks.", "value."}
    assert not used - set(TABLE)
    unused = {key for key in TABLE if f'"{key}"' not in SOURCE and not key.startswith(tuple(families))}
    assert not unused


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_no_file_says_a_thing_of_its_own(path):
    """Texts come from the table, figures from the service; and nothing is set as HTML."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Call):
            continue
        name = getattr(node.func, "id", getattr(node.func, "attr", ""))
        assert name not in ("html", "markdown", "add_body_html", "run_javascript"), f"{path.name}:{node.lineno}"
        place = SAID.get(name)
        said = node.args[place] if place is not None and len(node.args) > place else None
        if isinstance(said, ast.Constant) and isinstance(said.value, str):
            assert said.value in MARKS or not re.search(r"\w", said.value), f"{path.name}:{node.lineno} says {said.value!r}"


@pytest.mark.parametrize(
    ("value", "text"), [(None, "–"), (float("nan"), "–"), (0, "0"), (1234567, "1,234,567"), (12345.6, "12,346"), (0.123456, "0.1235"), ("a", "a")]
)
def test_a_number_is_written_as_people_read_it(value, text):
    assert number(value) == text


def test_a_session_ends_when_it_is_ended_or_idle_and_their_number_is_bounded(monkeypatch):
    now, client = [0.0], AsyncClient("http://service", "secret")
    sessions = Sessions(lambda: now[0])
    first = sessions.begin(client)
    held = sessions.of(first)
    assert held is not None
    assert held.client is client
    assert "secret" not in repr(held)
    assert sessions.of("another") is None
    now[0] += IDLE + 1
    assert sessions.of(first) is None
    assert not held.open
    monkeypatch.setattr(sessions_module, "MOST", 2)
    words = [sessions.begin(client) for _ in range(3)]
    assert [sessions.of(word) is not None for word in words] == [False, True, True]
    sessions.end(words[2])
    assert sessions.of(words[2]) is None
