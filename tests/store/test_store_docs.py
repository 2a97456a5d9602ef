"""The page of `store.yaml` names every key of the schema with the default that the schema has, in both languages."""

import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from banyan.store.schema import AuxiliarySpec, Entity, Events, Feature, ModelSpec, PseudoSpec, Samples, Source, Split, Store, TaskSpec, Training

DOCS = Path(__file__).parents[2] / "docs"
SECTIONS: list[type[BaseModel]] = [  # in the page's order
    Store,
    Source,
    Entity,
    Feature,
    Events,
    Samples,
    TaskSpec,
    AuxiliarySpec,
    PseudoSpec,
    Split,
    ModelSpec,
    Training,
]


def tables(page: Path) -> list[dict[str, str]]:
    """Key -> default as written, for each section of the keys."""
    found = re.split(r"^### .*$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    return [dict(re.findall(r"^\| `(\w+)` \| ((?:\\\||[^|])+?) \|", section, flags=re.MULTILINE)) for section in found]


def shown(field: Any) -> str | None:
    if field.default is PydanticUndefined:
        return "required" if field.default_factory is None else None if issubclass_(field) else str(field.default_factory())
    if field.default is None:
        return "none"
    return str(field.default).lower() if isinstance(field.default, bool) else str(field.default).replace("|", r"\|")


def issubclass_(field: Any) -> bool:
    return isinstance(field.default_factory, type) and issubclass(field.default_factory, BaseModel)


@pytest.mark.parametrize("name", ["store.md", "store.zh.md"])
def test_every_key_and_default_is_on_the_page(name: str) -> None:
    sections = tables(DOCS / name)
    assert len(sections) == len(SECTIONS)
    for model, written in zip(SECTIONS, sections, strict=True):
        fields = {key: field for key, field in model.model_fields.items() if key != "folder"}
        assert set(written) == set(fields), f"{name}, {model.__name__}"
        for key, field in fields.items():
            if (default := shown(field)) is not None:
                assert written[key] == default, f"{name}, {model.__name__}.{key}"


def test_the_page_opens_with_a_description_that_is_valid(tmp_path: Path) -> None:
    from banyan.store.load import load

    for name in ("store.md", "store.zh.md"):
        page = re.search(r"```yaml\n(.*?)```", (DOCS / name).read_text(encoding="utf-8"), flags=re.DOTALL)
        assert page
        (tmp_path / "store.yaml").write_text(page[1], encoding="utf-8")
        assert len(load(tmp_path / "store.yaml").tasks) == 4
