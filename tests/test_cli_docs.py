"""The pages on the command line and on Python name every command, option, name and argument that there is, in both languages."""

import inspect
import re
from pathlib import Path

import pytest
from typer.main import get_command

import banyan
from banyan.cli import app

DOCS = Path(__file__).parents[1] / "docs"


def sections(page: str) -> dict[str, str]:
    """Title -> text of each part of a page."""
    found = re.split(r"^## (.+)$", (DOCS / page).read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {"": found[0], **dict(zip(found[1::2], found[2::2], strict=True))}


def options(command: object) -> set[str]:
    return {name for each in command.params if each.param_type_name == "option" for name in (*each.opts, *each.secondary_opts)}  # type: ignore[attr-defined]


@pytest.mark.parametrize("page", ["cli.md", "cli.zh.md"])
def test_every_command_has_its_section_with_every_option_and_no_other(page: str) -> None:
    said = sections(page)
    commands = get_command(app).commands  # type: ignore[attr-defined]
    assert set(commands) == {title for title in said if title.isascii() and title and " " not in title}
    for name, command in commands.items():
        text = said[name]
        told = set(re.findall(r"`(--?[a-z][\w-]*)", text.split("`--install-completion`")[0]))
        known = options(command)
        assert {each for each in known - told if each.replace("--no-", "--", 1) not in told} == set(), f"{page}, {name}"
        assert told <= known, f"{page}, {name}"


@pytest.mark.parametrize("page", ["cli.md", "cli.zh.md"])
def test_the_options_of_the_program_itself_stand_in_the_page(page: str) -> None:
    text = (DOCS / page).read_text(encoding="utf-8")
    assert all(f"`{option}`" in text for option in options(get_command(app)))


@pytest.mark.parametrize("page", ["python.md", "python.zh.md"])
def test_every_public_name_stands_in_the_page(page: str) -> None:
    text = sections(page)[""]
    assert set(re.findall(r"`(\w+)(?:\([^)]*\))?`", text)) >= set(banyan.__all__)


@pytest.mark.parametrize("page", ["python.md", "python.zh.md"])
def test_arguments_with_their_defaults_and_attributes_are_those_of_the_code(page: str) -> None:
    said = sections(page)
    told = dict(re.findall(r"^\| `(\w+)` \| (\S+) \|", said["train"], flags=re.MULTILINE))
    known = {name: p.default for name, p in inspect.signature(banyan.train).parameters.items() if p.kind is p.KEYWORD_ONLY}
    assert told == {name: str(default) for name, default in known.items()}
    attributes = set(re.findall(r"run\.(\w+)", said["Run"]))
    fields = set(banyan.Run.__dataclass_fields__) | {"table", "bundle", "report"}
    assert attributes == fields
