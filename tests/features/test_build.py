"""Promises of fitting: training rows and nothing else; hidden columns nowhere; the plan survives its file."""

import copy
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
import pytest

from banyan.errors import ConfigError
from banyan.features import catalogue, taught, word_match
from banyan.features.build import build
from banyan.features.data import Data
from banyan.features.fit import fit
from banyan.features.plan import Plan
from banyan.features.statistics import BLOCKS
from banyan.features.texts import Texts
from banyan.store.load import load
from banyan.store.shop import Shop
from banyan.types import TRAIN


@pytest.fixture(scope="module")
def data(shop: Shop) -> Data:
    return build(shop)


def test_the_plan_survives_its_file(data: Data) -> None:
    written = data.plan.to_json()
    again = Plan.from_json(json.loads(json.dumps(written)))
    assert again == data.plan
    assert json.dumps(again.to_json()) == json.dumps(written)


def test_held_out_rows_change_nothing_that_is_fitted(shop: Shop) -> None:
    other = copy.deepcopy(shop)
    for table in other.samples.values():
        held = pl.Series(table.part != TRAIN)
        for name in ("context", "labels"):
            frame = getattr(table, name)
            setattr(table, name, frame.with_columns(pl.when(held).then(_other(frame[c])).otherwise(pl.col(c)).alias(c) for c in frame.columns))
        table.weight = np.where(table.part != TRAIN, 7, table.weight).astype(np.float32)
        table.rate = np.where(table.part != TRAIN, 0.01, table.rate).astype(np.float32)
    assert fit(other, Texts()).to_json() == fit(shop, Texts()).to_json()


def _other(column: pl.Series) -> pl.Expr:
    """Another value of the column's kind, of a label's range too."""
    kind = column.dtype
    if isinstance(kind, pl.List):
        return pl.lit(pl.Series([["elsewhere"]])).first()
    return pl.lit("elsewhere") if kind == pl.String else pl.lit(1, kind)


def test_things_and_events_of_the_time_after_training_change_nothing_that_is_fitted(shop: Shop) -> None:
    other = copy.deepcopy(shop)
    assert other.log is not None
    assert other.cut is not None
    late = other.log.time >= other.cut[0]
    other.log.item[late] = 1 + np.arange(late.sum()) % 3
    named = {row for t in shop.samples.values() if "item" in t.entities for row in t.entities["item"][t.part == TRAIN].tolist()}
    named |= set(shop.log.item[shop.log.time < shop.cut[0]].tolist())
    apart = np.array([row + 1 not in named for row in range(len(other.entities["item"].ids))])
    assert apart.any()
    frame = other.entities["item"].frame
    other.entities["item"].frame = frame.with_columns(
        pl.when(pl.Series(apart)).then(pl.lit("elsewhere")).otherwise(pl.col("title")).alias("title"),
        pl.when(pl.Series(apart)).then(1e6).otherwise(pl.col("price")).alias("price"),
    )
    assert fit(other, Texts()).to_json() == fit(shop, Texts()).to_json()


def test_a_label_is_no_input_anywhere(data: Data) -> None:
    everything = [*data.plan.entities.values(), data.plan.context]
    assert data.plan.entities["user"].tokens == ["id", "city", "joined"]
    assert not any("age" in layout.features for layout in everything if layout.name == "user")
    assert not any("user.age" in key for key in data.plan.books)


def test_every_row_of_the_fused_table_belongs_to_one_thing(data: Data) -> None:
    plan = data.plan
    runs = [(b.offset, len(b)) for b in plan.books.values()]
    for layout in (*plan.entities.values(), plan.context):
        runs += [(n.offset, len(n.edges) + 1) for n in layout.numbers] + list(layout.texts.values())
    owned = np.sort(np.concatenate([np.arange(first, first + size) for first, size in runs]))
    assert owned.tolist() == list(range(plan.rows))
    for name, values in data.stock.entities.items():
        for ids in (values.ids, values.bins, *(ids for key, (_, ids) in values.bags.items() if ":" not in key)):
            assert ids.size == 0 or (ids.min() >= 0 and ids.max() < plan.rows), name


def test_alike_features_share_rows_across_tables(data: Data) -> None:
    assert data.plan.context.categories["favourite"] == data.plan.entities["item"].categories["kind"] == "item.kind"


def test_rows_weigh_what_they_stand_for(data: Data, shop: Shop) -> None:
    table, raw = data.tables["shown"], shop.samples["shown"]
    train = table.part == TRAIN
    assert table.weight[train].mean() == pytest.approx(1, abs=1e-5)
    assert np.allclose(table.weight * raw.rate / table.weight[0] / raw.rate[0], 1, atol=1e-5)


def test_one_name_is_one_feature(opened: Callable[..., Shop], described: Callable[[], dict[str, Any]], tables: Callable[..., dict[str, pl.DataFrame]]) -> None:
    page = described()
    page["samples"]["judged"]["features"]["place"] = {"kind": "category", "column": "device"}
    with pytest.raises(ConfigError, match="'place' is of kind"):
        build(opened(tables(), page))


def test_query_and_title_are_compared_without_a_user(data: Data, shop: Shop) -> None:
    table, plan = data.tables["judged"], data.plan
    assert table.moment is None
    assert table.pair is not None
    names = [f"query.text:item.title:{figure}" for figure in ("in", "of", "cosine", *word_match.FIGURES, *catalogue.FIGURES, *taught.FIGURES)]
    own = len(names)
    assert plan.pair[-own:] == names
    assert not table.pair[:, :-own].any()
    titles, queries = (["", *shop.entities[name].frame[text].fill_null("").to_list()] for name, text in (("item", "title"), ("query", "text")))
    asked = [(queries[q], titles[i]) for q, i in zip(table.entities["query"], table.entities["item"], strict=True)]
    hammers = np.array([query == "hammer" for query, _ in asked])
    for name in ("in", "met_exact"):
        assert np.array_equal(
            table.pair[hammers, names.index(f"query.text:item.title:{name}") - own] > 0.9, ["hammer" in title for query, title in asked if query == "hammer"]
        )
    assert not table.pair[[query == "" for query, _ in asked]].any()
    assert not data.tables["shown"].pair[:, -own:].any()
    assert data.tables["next"].pair is None


def test_words_alone_make_pairs(opened: Callable[..., Shop], described: Callable[[], dict[str, Any]], tables: Callable[..., dict[str, pl.DataFrame]]) -> None:
    """A store without a log."""
    page = described()
    del page["events"]
    page["samples"] = {"judged": page["samples"]["judged"]}
    page["tasks"] = {"grade": page["tasks"]["grade"]}
    data = build(opened(tables(), page))
    assert len(data.plan.pair) == 3 + len(word_match.FIGURES) + len(catalogue.FIGURES) + len(taught.FIGURES)
    assert data.tables["judged"].pair is not None
    assert data.tables["judged"].pair.any()


def test_without_a_clock_training_rows_read_earlier_users_only(
    opened: Callable[..., Shop], described: Callable[[], dict[str, Any]], tables: Callable[..., dict[str, pl.DataFrame]]
) -> None:
    page = described()
    del page["events"]["time"]
    page["samples"] = {"viewed": {"recipe": "outcomes", "after": "view", "within": "1d", "labels": {"buy": "buy"}}, "next": page["samples"]["next"]}
    page["tasks"] = {"buy": {"kind": "binary", "samples": "viewed", "label": "buy"}, "next": page["tasks"]["next"]}
    page["split"] = {"by": "leave_one_out"}
    data = build(opened(tables(), page))
    table, snapshots = data.tables["viewed"], data.stock.snapshots
    assert table.moment is not None
    assert snapshots is not None
    assert snapshots.block is not None
    assert np.array_equal(table.moment.fitted, table.part == TRAIN)
    place = data.plan.pair.index("item:view:all")
    log = data.stock.log
    for row in range(0, len(table), 7):
        user, item = int(table.moment.user[row]), int(table.entities["item"][row])
        seen = (log.item == item) & (log.behaviour == log.behaviours.index("view"))
        block = int(snapshots.block[user])
        wanted = (seen & (snapshots.block[log.user] < block)).sum() * BLOCKS / max(block, 1) if table.moment.fitted[row] else (seen & (log.user != user)).sum()
        assert table.pair[row, place] == pytest.approx(np.log1p(wanted), abs=1e-5)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda page: page["model"].update(encoders={"text": {"part": "text", "hiden": 3}}), r"line \d+.*encoders 'text' has no option 'hiden'.*'hidden'"),
        (lambda page: page["model"].update(encoders={"txt": "text"}), r"line \d+.*'txt' is no kind of feature"),
        (lambda page: page["tasks"]["next"].update(negativs=3), r"line \d+: tasks\.next\.negativs.*'negatives'"),
        (lambda page: page["entities"].update(history={"id": "x"}), "'history' is a word of the house's own"),
        (lambda page: page["samples"]["judged"]["features"].update(scenario={"kind": "category", "column": "device"}), "'scenario' is the house's own"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_its_line(
    change: Callable[[dict[str, Any]], None], said: str, described: Callable[[], dict[str, Any]], tmp_path: Any
) -> None:
    import yaml

    page = described()
    change(page)
    (tmp_path / "store.yaml").write_text(yaml.safe_dump(page, sort_keys=False))
    with pytest.raises(ConfigError, match=said):
        load(tmp_path / "store.yaml")
