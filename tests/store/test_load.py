"""A description is read whole or refused with a sentence that says which line, what was found and what would be right."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from banyan.errors import ConfigError
from banyan.store.load import dump, load
from banyan.store.schema import Store

PAGE = """\
store: corner shop
entities:
  user: {table: users.parquet, id: user_id, features: {age_group: category, joined: time}}
  item:
    table: items.csv
    id: item_id
    features: {title: text, price: {kind: number, bins: 8}}
events: {table: events.parquet, user: user_id, item: item_id, behaviour: event, time: ts}
samples:
  viewed:
    recipe: outcomes
    after: view
    within: 7d
    labels: {cart: cart, buy: purchase}
  judged: {table: judged.csv, item: item_id, labels: {grade: relevance}, split: {by: given, column: part}}
tasks:
  bought: {kind: funnel, samples: viewed, stages: [cart, buy]}
  grade: {kind: graded, samples: judged}
split: {by: time, valid: 14d, test: 0.2}
model:
  sharing: {part: mmoe, experts: 6}
  width: 8
"""


@pytest.fixture
def page(tmp_path: Path) -> Path:
    path = tmp_path / "store.yaml"
    path.write_text(PAGE)
    return path


def said(path: Path, old: str, new: str, overrides: tuple[str, ...] = ()) -> str:
    assert old in PAGE
    path.write_text(PAGE.replace(old, new, 1))
    with pytest.raises(ConfigError) as error:
        load(path, overrides)
    return str(error.value)


def test_a_page_is_read_and_paths_begin_at_its_folder(page: Path) -> None:
    store = load(page)
    assert store.folder == page.parent
    assert store.entities["item"].features["price"].bins == 8
    assert store.samples["judged"].entities == {"item": "item_id"}


@pytest.mark.parametrize(
    "old, new, parts",
    [
        ("within: 7d", "within: 7 dayz", ["line 13: samples.viewed.within is '7 dayz'", "such as 7d"]),
        ("    recipe: outcomes", "    recipes: outcomes", ["line 11: samples.viewed.recipes", "Did you mean 'recipe'?"]),
        ("width: 8", "wdth: 8", ["line 22: model.wdth: 'wdth' is no key here", "Did you mean 'width'?"]),
        ("width: 8", "width: 0", ["line 22: model.width is 0;", "greater than or equal to 1"]),
        ("experts: 6", "expert: 6", ["line 21: model.sharing.expert", "Did you mean 'experts'?"]),
        ("experts: 6", "experts: many", ["line 21: model.sharing.experts", "'many'"]),
        ("part: mmoe", "part: mmo", ["line 21: model.sharing", "Did you mean 'mmoe'?"]),
        ("kind: graded", "kind: grade", ["line 18: tasks.grade.kind", "Did you mean 'graded'?"]),
        ("samples: judged}", "samples: judged, lable: x}", ["line 18: tasks.grade.lable", "Did you mean 'label'?"]),
        ("samples: judged}", "samples: judgd}", ["line 18: tasks.grade: samples 'judgd' are not described", "judged"]),
        ("title: text", "title: txt", ["line 7: entities.item.features.title is 'txt'", "'text'"]),
        ("    id: item_id\n", "", ["line 4: entities.item needs the key 'id'"]),
        ("test: 0.2", "test: 1.5", ["line 19: split", "1.5"]),
        ("width: 8", "width: 8\n  width: 9", ["line 23: the key 'width' stands twice, first on line 22"]),
        ("  width: 8", "  - width: 8", ["line 22", "no YAML"]),
        ("store: corner shop", "store: [a, b]", ["line 1: store is ['a', 'b']"]),
        ("model:", "model: &m\n  <<: *m", ["line 21", "merge keys"]),
    ],
)
def test_a_mistake_is_named_with_its_line(page: Path, old: str, new: str, parts: list[str]) -> None:
    message = said(page, old, new)
    assert all(part in message for part in parts), message


def test_a_mistake_in_a_setting_names_the_setting(page: Path) -> None:
    with pytest.raises(ConfigError, match=r"setting 'model.width=no'.*model.width is False"):
        load(page, ["model.width=no"])
    with pytest.raises(ConfigError, match=r"setting 'training.epoch=2'.*Did you mean 'epochs'"):
        load(page, ["training.epoch=2"])


@pytest.mark.parametrize(
    "override, where, value",
    [
        ("sharing=ple", ("model", "sharing"), "ple"),
        ("model.sharing.experts=3", ("model", "sharing"), {"part": "mmoe", "experts": 3}),
        ("balancing=dwa", ("model", "balancing"), "dwa"),
        ("history=", ("model", "history"), None),
        ("training.epochs=3", ("training", "epochs"), 3),
        ("samples.viewed.after=[view, search]", ("samples", "viewed", "after"), ["view", "search"]),
        ("entities.user.features.age_group.least=5", ("entities", "user", "features", "age_group", "least"), 5),
        ("events.table.separator=;", ("events", "table", "separator"), ";"),
    ],
)
def test_a_setting_changes_what_it_names(page: Path, override: str, where: tuple[str, ...], value: Any) -> None:
    here: Any = load(page, [override])
    for step in where:
        here = here[step] if isinstance(here, dict) else getattr(here, step)
    assert here == value


def test_an_option_of_a_part_opens_its_short_form(page: Path) -> None:
    page.write_text(PAGE.replace("  sharing: {part: mmoe, experts: 6}\n", "  sharing: ple\n  balancing: dwa\n"))
    store = load(page, ["sharing.shared=2", "balancing.temperature=1.5"])
    assert store.model.sharing == {"part": "ple", "shared": 2}
    assert store.model.balancing == {"part": "dwa", "temperature": 1.5}


@pytest.mark.parametrize("override", ["sharing", "=x", "model..width=1", "model.width.deep=1"])
def test_a_setting_that_cannot_be_read_is_refused(page: Path, override: str) -> None:
    with pytest.raises(ConfigError, match="setting"):
        load(page, [override])


def test_what_is_written_reads_as_it_was(page: Path) -> None:
    store = load(page, ["history="])
    dump(store, page.parent / "again.yaml")
    assert load(page.parent / "again.yaml") == store
    assert not list(page.parent.glob(".again*"))


@settings(max_examples=30, deadline=None)
@given(
    epochs=st.integers(1, 99),
    lr=st.floats(1e-6, 1.0),
    valid=st.sampled_from(["14d", "2w", 0.1, 0.25]),
    word=st.text("abcxyz_:#'\" ü值-", min_size=1, max_size=8),
)
def test_any_store_survives_the_page(tmp_path_factory: pytest.TempPathFactory, epochs: int, lr: float, valid: Any, word: str) -> None:
    folder = tmp_path_factory.mktemp("any")
    values = {**yaml.safe_load(PAGE), "store": word, "training": {"epochs": epochs, "lr": lr}, "split": {"valid": valid}}
    store = Store.model_validate({**values, "folder": folder})
    dump(store, folder / "s.yaml")
    assert load(folder / "s.yaml") == store


def test_a_store_written_elsewhere_still_finds_its_tables(page: Path, tmp_path: Path) -> None:
    store = load(page)
    (tmp_path / "far").mkdir()
    dump(store, tmp_path / "far" / "s.yaml")
    table = load(tmp_path / "far" / "s.yaml").entities["item"].table
    assert table is not None
    assert table.path == str(page.parent.resolve() / "items.csv")


def test_a_file_that_is_not_there_or_no_description_is_refused(tmp_path: Path) -> None:
    (tmp_path / "store.yml").write_text("a: 1")
    with pytest.raises(ConfigError, match=r"Did you mean 'store\.yml'"):
        load(tmp_path / "store.yaml")
    (tmp_path / "big.yaml").write_text("#" * 4_000_001)
    with pytest.raises(ConfigError, match="at most 4000000"):
        load(tmp_path / "big.yaml")
    (tmp_path / "list.yaml").write_text("- a\n- b\n")
    with pytest.raises(ConfigError, match="is a mapping"):
        load(tmp_path / "list.yaml")
    (tmp_path / "latin.yaml").write_bytes(b"store: caf\xe9")
    with pytest.raises(ConfigError, match="UTF-8"):
        load(tmp_path / "latin.yaml")


def test_a_page_of_aliases_is_refused_before_it_is_written_out(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"] + [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 10)]
    (tmp_path / "bomb.yaml").write_text("\n".join(lines))
    with pytest.raises(ConfigError, match="too many values"):
        load(tmp_path / "bomb.yaml")
    (tmp_path / "ring.yaml").write_text("a: &a [*a]")
    with pytest.raises(ConfigError, match="too deep"):
        load(tmp_path / "ring.yaml")
