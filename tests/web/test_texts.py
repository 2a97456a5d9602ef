import re
import string
from pathlib import Path

import pytest

import banyan.web
from banyan.web.words import LANGUAGES, preferred, words

SOURCE = "\n".join(path.read_text() for path in Path(banyan.web.__file__).parent.glob("*.py"))


def blanks(text):
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def test_every_language_says_the_same_things():
    english = words("en").texts
    for language in LANGUAGES:
        told = words(language).texts
        assert set(told) == set(english)
        assert {key: blanks(text) for key, text in told.items()} == {key: blanks(text) for key, text in english.items()}
        assert all(text.strip() for text in told.values())


def test_every_text_is_used_and_every_used_one_is_there():
    known = set(words("en").texts)
    assert not set(re.findall(r'\bwords\(\s*"([a-z.]+)"', SOURCE)) - known
    assert not {key for key in known if f'"{key}"' not in SOURCE and not key.startswith("why.")}


def test_an_unknown_text_is_an_error():
    with pytest.raises(KeyError):
        words("en")("nothing.like.it")


@pytest.mark.parametrize(
    ("chosen", "accepted", "language"),
    [
        ("", "zh-CN,zh;q=0.9,en;q=0.8", "zh"),
        ("", "fr, en;q=0.5, zh;q=0.7", "zh"),
        ("en", "zh", "en"),
        ("xx", "", "en"),
        ("", "zh;q=0, en", "en"),
        ("", "zh;q=no", "en"),
        ("", ",;q=,", "en"),
    ],
)
def test_the_language_is_the_chosen_one_or_the_browsers(chosen, accepted, language):
    assert preferred(chosen, accepted) == language
