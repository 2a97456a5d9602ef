"""Who is forgotten is gone from every place, also from the bytes of its files; everybody else stays."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from banyan.bundle import forget
from banyan.cli import app
from banyan.errors import DataError, StateError
from banyan.serving.registry import Registry
from banyan.serving.state import Asked, Event, Journal, Note, UserState, journal_at, user_state_at
from banyan.serving.state.erase import erase

NAME = "anna-karenina-1877"
Make = Callable[..., Event]


def holding(path: Path) -> list[str]:
    """The files in which the name stands."""
    return sorted(each.name for each in path.rglob("*") if each.is_file() and NAME.encode() in each.read_bytes())


def fill(journal: Journal, make: Make) -> None:
    """Much of them, and much of others around it."""
    rng = np.random.default_rng(0)
    for start in range(0, 3000, 500):
        events = [make(i, user=NAME if rng.random() < 0.3 else f"u-{rng.integers(50)}", session="s-9" if i % 7 == 0 else "") for i in range(start, start + 500)]
        journal.append([e if e.user != NAME else make(e.time % 1000, id=f"{NAME}/{e.id}", user=NAME, query="a gift", session=f"{NAME}-visit") for e in events])
    journal.append([make(1, user="", session=f"{NAME}-visit"), make(2, user="", session="other")])
    for who in (NAME, "u-1"):
        journal.record(Asked(f"r-{who}", who, "", 1, "recommend", {"user": who}, {"items": ["i"]}))
        journal.note("outcomes", [Note(f"o-{who}", who, "price", 1, {"for": who})])
        journal.note("draws", [Note(f"d-{who}", who, "home", 1, {"for": who})])
    journal.record(Asked("r-visit", "", f"{NAME}-visit", 1, "recommend", {}))
    journal.note("draws", [Note("d-visit", "", "home", 1, {"session": f"{NAME}-visit"}), Note("d-else", "", "home", 1, {"session": "else"})])


def test_nothing_of_them_is_left_in_the_journal(journal: Journal, make: Make) -> None:
    fill(journal, make)
    count = sum(1 for _ in journal.since(0))
    mine = sum(1 for _, e in journal.since(0) if e.user == NAME)
    gone = journal.forget(NAME)
    assert (gone.asked, gone.notes) == (2, 3)
    assert gone.events == mine + 1, "and what was done in their session before they were known"
    left = [e for _, e in journal.since(0)]
    assert len(left) == count - gone.events
    assert not [e for e in left if e.user == NAME or e.session == f"{NAME}-visit"]
    assert [a.user for a in journal.recorded()] == ["u-1"]
    assert [n.id for table in ("outcomes", "draws") for _, n in journal.notes(table)] == ["o-u-1", "d-u-1", "d-else"]  # type: ignore[arg-type]
    assert journal.of_user(NAME) == []


def test_a_tombstone_keeps_them_out(journal: Journal, place: str, make: Make) -> None:
    journal.append([make(1, user=NAME, session="s"), make(2)])
    assert not journal.forgotten(NAME)
    before = journal.pulse().forgotten
    journal.forget(NAME)
    other = journal_at(place)
    assert other.forgotten(NAME)
    assert not other.forgotten("u-1")
    assert other.forgotten_among([NAME, "u-1", "u-2"]) == {NAME}
    assert [digest for _, digest in other.forgotten_since(before)] == [journal.digest(NAME), journal.digest("", "s")]
    receipt = other.append([make(3, user=NAME), make(4), make(5, user="", session="s")])
    assert (receipt.accepted, receipt.forgotten) == (1, 2)
    other.record(Asked("r", NAME, "", 1, "recommend", {}))
    assert other.recorded() == []
    assert other.note("draws", [Note("n", NAME, "home", 1), Note("m", "", "home", 1, {"session": "s"}), Note("of nobody", "", "home", 1)]).forgotten == 2
    mark = journal.pulse().forgotten
    journal.forget(NAME)
    assert [digest for _, digest in journal.forgotten_since(mark)] == [journal.digest(NAME)], "again, so that everybody looks again"


def test_no_byte_of_them_is_left_in_sqlite(tmp_path: Path, make: Make) -> None:
    journal = journal_at(tmp_path)
    fill(journal, make)
    assert holding(tmp_path), "it was there"
    erase([NAME], journal)
    assert holding(tmp_path) == [], "while the journal is open"
    journal.append([make(i, user=f"u-{i}") for i in range(200)])
    journal.close()
    assert holding(tmp_path) == []


def test_copies_in_pages_that_were_rearranged_are_found_and_taken_away(tmp_path: Path, make: Make) -> None:
    """Rows come and go in a random order, so that pages of the table and of all indexes are split and merged many times."""
    rng = np.random.default_rng(1)
    journal = journal_at(tmp_path)
    for round_ in range(6):
        users = [NAME if rng.random() < 0.4 else f"u-{rng.integers(1000)}" for _ in range(400)]
        journal.append(
            [make(int(t), id=f"{u}-{rng.integers(1 << 40)}", user=u, query=u * 3) for u, t in zip(users, rng.integers(0, 1 << 30, 400), strict=True)]
        )
        if round_ % 2:
            journal.forget(f"u-{round_}")
    gone = erase([NAME], journal, compact=False)
    assert gone.remains == bool(holding(tmp_path))
    assert not [e for _, e in journal.since(0) if NAME in e.user + e.id + e.query]
    assert not erase([NAME], journal).remains
    assert holding(tmp_path) == []
    assert not journal.remains([NAME])
    assert journal.remains(["u-1"])


def test_who_reads_meanwhile_holds_up_the_sweeping_and_nothing_else(kept: Path, tmp_path: Path, make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("banyan.serving.state.database.WAIT", 0.2)
    journal = journal_at(tmp_path / "state")
    journal.append([make(i, user=NAME) for i in range(20)])
    reader = journal.database._engine.connect()  # type: ignore[attr-defined]
    reader.exec_driver_sql("BEGIN")
    assert reader.exec_driver_sql("SELECT count(*) FROM events").scalar() == 20
    gone = erase([NAME], journal, None, kept, compact=False)
    assert (gone.events, len(gone.bundles), gone.remains) == (20, 2, True)
    with pytest.raises(StateError, match="does not let go"):
        erase([NAME], journal)
    reader.exec_driver_sql("ROLLBACK")
    reader.close()
    assert not erase([NAME], journal).remains
    assert holding(tmp_path) == []


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small bundle that knows the name."""
    return small(tmp_path_factory.mktemp("shop"))


def small(folder: Path) -> Path:
    """A store of clicks, its network untrained, as a bundle."""
    import polars as pl
    import torch
    import yaml

    from banyan.bundle import save
    from banyan.features.build import build
    from banyan.model import Network
    from banyan.store.open import open_store

    rng = np.random.default_rng(2)
    users = rng.choice([NAME, *(f"u-{i}" for i in range(20))], 600)
    times = pl.Series(np.sort(rng.integers(0, 60 * 86_400, 600)) + 1_700_000_000)
    pl.DataFrame({"user": users, "item": rng.choice([f"i-{i}" for i in range(15)], 600), "what": "view", "ts": times}).write_parquet(folder / "e.parquet")
    page = {
        "store": "clicks",
        "entities": {"user": {"id": "user"}, "item": {"id": "item"}},
        "events": {"table": "e.parquet", "user": "user", "item": "item", "behaviour": "what", "time": "ts"},
        "samples": {"next": {"recipe": "next_item", "behaviours": ["view"]}},
        "tasks": {"next": {"kind": "ranking", "samples": "next"}},
        "split": {"by": "time", "valid": "7d", "test": "7d"},
        "model": {"width": 4, "length": 4},
    }
    (folder / "store.yaml").write_text(yaml.safe_dump(page))
    shop = open_store(folder / "store.yaml")
    data = build(shop)
    torch.manual_seed(0)
    return save(folder / "bundle", Network(data.plan, shop.store.model, shop.store.tasks).eval(), data, shop.store)


@pytest.fixture
def kept(trained: Path, tmp_path: Path) -> Path:
    """A folder with two bundles."""
    shutil.copytree(trained, tmp_path / "kept" / "one")
    shutil.copytree(trained, tmp_path / "kept" / "deeper" / "two")
    return tmp_path / "kept"


@pytest.mark.parametrize("shared", [False, True])
def test_they_are_gone_from_journal_state_table_and_bundles(kept: Path, tmp_path: Path, make: Make, shared: bool, request: pytest.FixtureRequest) -> None:
    journal = journal_at(tmp_path / "state")
    server: Any = request.getfixturevalue("server") if shared else None
    state: UserState = user_state_at(journal, server.url if shared else "")
    fill(journal, make)
    assert state.recent(NAME)
    assert state.recent("", session=f"{NAME}-visit")
    gone = erase([NAME], journal, state, kept)
    assert sorted(gone.bundles) == [kept / "deeper" / "two", kept / "one"]
    assert gone.looked == 2
    assert gone.events > 100
    assert holding(kept) == holding(tmp_path / "state") == []
    assert list(state.recent(NAME)) == list(state.recent("", session=f"{NAME}-visit")) == []
    assert state.recent("u-1")
    journal.table(tmp_path / "table")
    assert holding(tmp_path / "table") == []
    if shared:
        import valkey

        with valkey.Valkey.from_url(server.url) as client:
            client.save()
        assert holding(server.folder) == []
    assert erase([NAME], journal, state, kept).bundles == ()


def test_versions_of_a_registry_are_rewritten_through_it(trained: Path, tmp_path: Path) -> None:
    journal = journal_at(tmp_path / "state")
    registry = Registry(tmp_path / "registry", journal)
    version = registry.add(trained)
    gone = erase([NAME], journal, None, tmp_path / "registry")
    now = registry.version(version.name)
    assert (now.edition, gone.bundles) == (2, (now.path,))
    assert holding(tmp_path / "registry") == []
    assert erase(["u-nobody"], journal, None, tmp_path / "registry").bundles == ()
    assert registry.version(version.name).edition == 2, "workers have nothing to load anew"


def test_what_could_not_be_done_is_said_and_done_when_asked_again(kept: Path, tmp_path: Path, make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = journal_at(tmp_path / "state")
    fill(journal, make)
    real = forget.without

    def full(path: Path, *rest: Any) -> int:
        if path.name == "one":
            raise OSError(28, "No space left on device", str(path))
        return real(path, *rest)

    with monkeypatch.context() as cut:
        cut.setattr(forget, "without", full)
        with pytest.raises(StateError, match=r"not everything has: .*No space left .* Ask again"):
            erase([NAME], journal, None, kept)
    assert journal.forgotten(NAME)
    assert holding(kept / "deeper") == [], "the others are done"
    assert erase([NAME], journal, None, kept).bundles == (kept / "one",)


def test_an_id_that_is_none_is_refused_before_anything_is_done(tmp_path: Path, make: Make) -> None:
    journal = journal_at(tmp_path)
    journal.append([make(1)])
    for wrong in ("", "x" * 201, "a\0"):
        with pytest.raises(DataError, match="user"):
            erase(["u-1", wrong], journal)
    assert journal.last() == 1


def test_the_command_forgets(kept: Path, tmp_path: Path, make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BANYAN_STATE_URL", raising=False)
    with_state = journal_at(tmp_path / "state")
    fill(with_state, make)
    with_state.close()
    told = CliRunner().invoke(app, ["forget", "--user", NAME, "--user", "u-1", "--state", str(tmp_path / "state"), "--bundles", str(kept)])
    assert told.exit_code == 0, told.output
    assert "Rewrote 2 of 2 bundles" in told.output
    assert holding(tmp_path / "state") == holding(kept) == []
    assert journal_at(tmp_path / "state").forgotten_among([NAME, "u-1", "u-2"]) == {NAME, "u-1"}
    told = CliRunner().invoke(app, ["forget", "--user", NAME, "--state", str(tmp_path / "nowhere")])
    assert told.exit_code == 2
    assert not (tmp_path / "nowhere").exists()
