"""MovieLens: ratings of films, in the forms of its releases of 100 thousand, 1, 10, 20, 25 and 32 million."""

from pathlib import Path
from typing import ClassVar

import polars as pl

from banyan.errors import ConfigError
from banyan.store.datasets import Dataset
from banyan.store.datasets._folder import Folder
from banyan.store.datasets._text import Published, Separated
from banyan.store.datasets._writer import Writer

GENRES = (
    "unknown",
    "Action",
    "Adventure",
    "Animation",
    "Children's",
    "Comedy",
    "Crime",
    "Documentary",
    "Drama",
    "Fantasy",
    "Film-Noir",
    "Horror",
    "Musical",
    "Mystery",
    "Romance",
    "Sci-Fi",
    "Thriller",
    "War",
    "Western",
)
RATING = {"user": pl.Int64, "item": pl.Int64, "rating": pl.Float64, "timestamp": pl.Int64}
LIKED = 4  # stars from which a film counts as liked
NOTHING = "(no genres listed)"


class MovieLens(Dataset):
    """Download one release from https://grouplens.org/datasets/movielens/ and unpack it; which one it is, its files say.

    100K: `u.data` (tabs: user, item, rating, Unix seconds), `u.item` (`|`, ISO 8859-1: id, title, two dates, address, 19 flags of genres), `u.user`
    (`|`: id, age, gender, occupation, zip code). 1M: `ratings.dat`, `movies.dat` (ISO 8859-1) and `users.dat`, with `::` between fields. 10M: `ratings.dat`
    and `movies.dat` (UTF-8). 20M, 25M, 32M, latest: `ratings.csv` and `movies.csv` with headers. None has a header line but the latter.

    Split: leave one out, as of Kang and McAuley (SASRec, ICDM 2018): each user's last rating judges, the one before it chooses. It lets a user's
    test lie before another's training; for a forecast write split: {by: time, valid: 0.1, test: 0.1}.
    """

    title: ClassVar[str] = "MovieLens"
    url: ClassVar[str] = "https://grouplens.org/datasets/movielens/"
    licence: ClassVar[str] = "GroupLens: for research, not to be redistributed without permission, no commercial use without permission; see its README"
    paper: ClassVar[str] = "Harper and Konstan, The MovieLens Datasets: History and Context, ACM TiiS 2015"
    size: ClassVar[str] = "100,000 to 32,000,204 ratings"
    split: ClassVar[str] = "leave one out, as of Kang and McAuley, SASRec, ICDM 2018"
    needs: ClassVar[str] = "u.data, u.item and u.user, or ratings.dat and movies.dat, or ratings.csv and movies.csv"
    rows = {"u.data": 100_000}

    def write(self, source: Folder, writer: Writer) -> str:
        """Tables: events, items, and users where the release has them."""
        forms = [form for name, form in (("u.data", _small), ("ratings.dat", _double_colon), ("ratings.csv", _commas)) if source.has(name)]
        if len(forms) > 1:
            raise ConfigError(f"{source.path} holds more than one release of MovieLens; name the folder of one of them.")
        if not forms:
            raise source.missing("u.data, ratings.dat or ratings.csv")
        ratings, films, users = forms[0](source)
        time = pl.from_epoch("timestamp", time_unit="s").cast(pl.Datetime("us")).alias("time")
        liked = (pl.col("rating") >= LIKED).cast(pl.Int8).alias("liked")
        behaviour = pl.when(pl.col("rating") >= LIKED).then(pl.lit("like")).otherwise(pl.lit("rate")).alias("behaviour")
        writer.table("events", writer.some(ratings.scan(), "user").select("user", "item", behaviour, time, "rating", liked), [ratings])
        year = pl.col("title").str.extract(r"\((\d{4})\)\s*$").cast(pl.Float64).alias("year")
        writer.table("items", films.with_columns(year))
        if users is None:
            return PAGE.replace("USER", "user: {id: user}                                      # this release has no table of users")
        writer.table("users", users)
        return PAGE.replace("USER", "user: {table: users.parquet, id: user, features: {age: category, gender: category, occupation: category}}")


Read = tuple[Published, pl.LazyFrame, pl.LazyFrame | None]


def _small(source: Folder) -> Read:
    """The form of 100K."""
    words = {"title": pl.String, "released": pl.String, "video": pl.String, "address": pl.String}
    flags = {f"genre{i}": pl.Int8 for i in range(len(GENRES))}
    films = Separated(source.one("u.item"), {"item": pl.Int64, **words, **flags}, needed=("item",), separator="|", encoding="iso-8859-1")
    genres = pl.concat_list(pl.when(pl.col(flag) == 1).then(pl.lit(name)) for flag, name in zip(flags, GENRES, strict=True)).list.drop_nulls().alias("genres")
    people = {"user": pl.Int64, "age": pl.Int64, "gender": pl.String, "occupation": pl.String, "zip": pl.String}
    users = Separated(source.one("u.user"), people, needed=("user",), separator="|")
    decade = (pl.col("age") // 10 * 10).alias("age")
    ratings = Separated(source.one("u.data"), RATING, needed=tuple(RATING), separator="\t")
    return ratings, films.scan().select("item", "title", genres), users.scan().select("user", decade, "gender", "occupation")


def _double_colon(source: Folder) -> Read:
    """The forms of 1M and 10M."""
    people = {"user": pl.Int64, "gender": pl.String, "age": pl.Int64, "occupation": pl.Int64, "zip": pl.String}
    users = Separated(source.one("users.dat"), people, needed=("user",), separator="::").scan().drop("zip") if source.has("users.dat") else None
    encoding = "iso-8859-1" if users is not None else "utf-8"  # only 1M has users, and only 1M is not UTF-8
    form = {"item": pl.Int64, "title": pl.String, "genres": pl.String}
    films = Separated(source.one("movies.dat"), form, needed=("item",), separator="::", encoding=encoding).scan()
    ratings = Separated(source.one("ratings.dat"), RATING, needed=tuple(RATING), separator="::")
    return ratings, films.with_columns(_listed()), users


def _commas(source: Folder) -> Read:
    """The forms of 20M and later, with headers and quoted titles."""
    form = {"movieId": pl.Int64, "title": pl.String, "genres": pl.String}
    films = Separated(source.one("movies.csv"), form, needed=("movieId",), header=True, quote='"').scan().rename({"movieId": "item"})
    return Renamed(source.one("ratings.csv")), films.with_columns(_listed()), None


class Renamed(Separated):
    """`ratings.csv`: userId, movieId, rating, timestamp."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, dict(zip(("userId", "movieId", "rating", "timestamp"), RATING.values(), strict=True)), header=True)
        self.needed = tuple(self.schema)

    def scan(self) -> pl.LazyFrame:
        """The whole file under the names of the other releases."""
        return super().scan().rename({"userId": "user", "movieId": "item"})


def _listed() -> pl.Expr:
    return pl.col("genres").replace(NOTHING, None).str.split("|")


PAGE = """
store: movielens
entities:
  USER
  item: {table: items.parquet, id: item, features: {title: text, genres: tags, year: number}}
events: {table: events.parquet, user: user, item: item, behaviour: behaviour, time: time, value: rating}   # like: 4 stars and more; rate: fewer

samples:
  # One row a rating: how many stars, and whether it is liked. The row's own stars are in its history for later rows only.
  rated: {table: events.parquet, user: user, item: item, time: time, labels: {rating: rating, liked: liked}}
  # What a user rates next; `most` keeps the newest rows of a user.
  next:  {recipe: next_item, behaviours: [like, rate], most: 20}

tasks:
  liked:  {kind: binary, samples: rated, label: liked}
  rating: {kind: graded, samples: rated, label: rating}
  next:   {kind: ranking, samples: next}

split: {by: leave_one_out}                              # each user's last rating judges, the one before it chooses
model: {width: 16, sharing: mmoe, balancing: uncertainty, history: target, length: 50}
training: {epochs: 10, batch: 4096}
"""
