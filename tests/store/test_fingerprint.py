"""A print tells a table that changed, in whatever way, from one that did not."""

import sqlite3
from pathlib import Path

import pytest

from banyan.errors import ConfigError
from banyan.store import fingerprint
from banyan.store.schema import Entity, Samples, Source, Split, Store
from banyan.store.sources import read

QUERY = "select * from items"


def described(folder: Path) -> Store:
    """A store whose sources stand in every place where one may stand."""
    samples = Samples(table="rows-*.csv", split=Split(by="given", files={"test": "test.csv"}))  # type: ignore[arg-type, dict-item]
    counts = Samples(recipe="attributes", of="user", labels={"age": "age"}, known="known.csv")  # type: ignore[arg-type]
    store = Store(entities={"user": Entity(table="users.csv", id="id")}, samples={"a": samples, "b": counts}, tasks={})  # type: ignore[arg-type]
    store.folder = folder
    return store


NAMES = ["known.csv", "rows-1.csv", "rows-2.csv", "test.csv", "users.csv"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in NAMES:
        (tmp_path / name).write_text("id,age\n1,20\n2,30\n")
    return tmp_path


def said(folder: Path, was: fingerprint.Prints) -> list[str]:
    return list(fingerprint.differences(was, fingerprint.of_files(described(folder))))


def test_every_file_of_a_store_has_one(folder: Path) -> None:
    assert list(fingerprint.of_files(described(folder))) == [str(folder / name) for name in NAMES]


@pytest.mark.parametrize("name", NAMES)
def test_a_file_of_the_same_size_with_another_value_is_named(folder: Path, name: str) -> None:
    was = fingerprint.of_files(described(folder))
    (folder / name).write_text("id,age\n1,20\n2,31\n")
    assert said(folder, was) == [f"{folder / name} holds other values than it did"]


def test_a_touched_or_copied_file_is_the_same(folder: Path) -> None:
    was = fingerprint.of_files(described(folder))
    (folder / "users.csv").write_text((folder / "users.csv").read_text())
    assert said(folder, was) == []


def test_a_file_that_grew_came_or_went_is_named(folder: Path) -> None:
    was = fingerprint.of_files(described(folder))
    (folder / "users.csv").write_text("id,age\n1,20\n2,30\n3,40\n")
    (folder / "rows-3.csv").write_text("id,age\n")
    (folder / "rows-1.csv").unlink()
    assert said(folder, was) == [
        f"{folder / 'rows-1.csv'} is read no more",
        f"{folder / 'users.csv'} had 17 bytes and has 22",
        f"{folder / 'rows-3.csv'} is new",
    ]


def test_a_large_file_is_read_at_its_beginning_its_end_and_in_between(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("WHOLE", 100), ("BLOCK", 10), ("BLOCKS", 5)):
        monkeypatch.setattr(fingerprint, name, value)
    content = bytearray(b"x" * 1001)
    (folder / "users.csv").write_bytes(content)
    was = fingerprint.of_files(described(folder))
    for place, noticed in ((0, True), (500, True), (1000, True), (100, False)):
        changed = content.copy()
        changed[place] += 1
        (folder / "users.csv").write_bytes(changed)
        assert bool(said(folder, was)) == noticed, place


def answered(folder: Path, rows: list[tuple[int, str | None, float]], columns: list[str] | None = None, times: int = 1) -> fingerprint.Prints:
    """The print of a query over a table of these rows."""
    database = folder / "shop.db"
    database.unlink(missing_ok=True)
    with sqlite3.connect(database) as db:
        db.execute("create table items (id integer, name text, price real)")
        db.executemany("insert into items values (?, ?, ?)", rows)
    db.close()
    with fingerprint.noting() as found:
        for _ in range(times):
            read(Source(sql="sqlite:///shop.db", query=QUERY), folder, columns)
    return found


ROWS = [(1, "a", 1.5), (2, None, 2.5), (3, "c", 3.5)]


def test_a_querys_answer_with_another_value_or_row_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    was = answered(tmp_path, ROWS)
    name = f"query '{QUERY}' (id, name, price)"
    assert list(was) == [name]
    for changed in ([*ROWS[:2], (3, "c", 3.6)], [*ROWS[:2], (3, None, 3.5)], [(1, "c", 1.5), ROWS[1], (3, "a", 3.5)]):
        assert list(fingerprint.differences(was, answered(tmp_path, changed))) == [f"{name} holds other values than it did"]
    assert list(fingerprint.differences(was, answered(tmp_path, ROWS[:2]))) == [f"{name} had 3 rows and has 2"]
    monkeypatch.setattr("banyan.store.fingerprint.pl.__version__", "99")
    assert list(fingerprint.differences(was, answered(tmp_path, ROWS[1:] + [(1, "b", 1.5)]))) == [], "a hash by another version says nothing"


def test_neither_the_order_of_rows_nor_a_column_that_is_not_read_nor_the_size_of_chunks_matters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    was = answered(tmp_path, ROWS, ["id", "price"])
    monkeypatch.setattr("banyan.store.sql.CHUNK", 2)
    assert answered(tmp_path, [(number, "other", price) for number, _, price in ROWS[::-1]], ["id", "price"]) == was


def test_a_query_that_is_asked_twice_has_two_and_nothing_is_kept_where_nobody_asked(tmp_path: Path) -> None:
    found = answered(tmp_path, ROWS, times=2)
    assert len(found) == 2
    read(Source(sql="sqlite:///shop.db", query=QUERY), tmp_path)
    assert len(found) == 2


def test_a_missing_file_is_a_sentence(folder: Path) -> None:
    (folder / "users.csv").unlink()
    with pytest.raises(ConfigError, match=r"no file users\.csv"):
        fingerprint.of_files(described(folder))
