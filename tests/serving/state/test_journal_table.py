"""A journal's events as a table that a store reads."""

from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from banyan.errors import ConfigError
from banyan.serving.state import Event, Journal
from banyan.store.load import load
from banyan.store.open import open_store

Make = Callable[..., Event]


def test_events_become_a_table_that_a_store_reads(journal: Journal, make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("banyan.serving.state.export.ROWS", 8)
    journal.append([make(i, user=f"u-{i % 4}", value=i / 2, scenario="home") for i in range(20)])
    until = journal.last()
    journal.append([make(99)])
    out = tmp_path / "events"
    assert journal.table(out, until, names={"behaviour": "event", "time": "ts"}) == 20
    assert sorted(each.name for each in out.iterdir()) == [f"part-00000{i}.parquet" for i in range(3)]
    page = {
        "store": "shop",
        "entities": {"user": {"id": "user"}, "item": {"id": "item"}},
        "events": {"table": "events/*.parquet", "user": "user", "item": "item", "behaviour": "event", "time": "ts", "scenario": "scenario", "value": "value"},
        "samples": {"next": {"recipe": "next_item", "behaviours": ["view"]}},
        "tasks": {"next": {"kind": "ranking", "samples": "next"}},
        "split": {"by": "time", "valid": 0.1, "test": 0.1},
    }
    import yaml

    (tmp_path / "store.yaml").write_text(yaml.safe_dump(page))
    log = open_store(load(tmp_path / "store.yaml")).log
    assert log is not None
    assert len(log.item) == 20
    assert log.clock == "time"
    assert sorted(log.time.tolist()) == [1_700_000_000_000_000 + i for i in range(20)]
    journal.forget("u-0")
    assert journal.table(out) == 16, "an earlier table is replaced"
    assert "u-0" not in pl.read_parquet(out / "*.parquet")["user"].to_list()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "file").write_text("")
    with pytest.raises(ConfigError, match="holds something else"):
        journal.table(tmp_path / "mine")
    with pytest.raises(ConfigError, match="no field 'what'"):
        journal.table(tmp_path / "new", names={"what": "x"})
