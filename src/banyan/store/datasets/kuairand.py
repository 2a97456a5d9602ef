"""KuaiRand: what users of a video app did with the videos that they were shown, some of which were drawn at random."""

from pathlib import Path
from typing import ClassVar

import polars as pl

from banyan.store.datasets import Dataset
from banyan.store.datasets._folder import Folder
from banyan.store.datasets._text import Separated
from banyan.store.datasets._writer import Writer

SIGNALS = {"is_click": "click", "is_like": "like", "is_follow": "follow", "is_comment": "comment", "is_forward": "forward", "long_view": "long_view"}
ACTS = ("click", "like", "follow", "comment", "forward")  # what a history holds
SHOWN = {**dict.fromkeys(("user_id", "video_id", "time_ms"), pl.Int64), **dict.fromkeys(SIGNALS, pl.Int8), "is_rand": pl.Int8, "tab": pl.Int64}
RANGES = ("user_active_degree", "follow_user_num_range", "fans_user_num_range", "friend_user_num_range", "register_days_range")
FLAGS = ("is_lowactive_period", "is_live_streamer", "is_video_author", *(f"onehot_feat{i}" for i in range(18)))
CODES = ("author_id", "video_type", "upload_type", "music_id", "music_type")
NUMBERS = ("video_duration", "server_width", "server_height")
LOG = r"log_{kind}_\d_\d\d_to_\d_\d\d_(pure|1k|27k)(_part\d)?\.csv"


class KuaiRand(Dataset):
    """Download KuaiRand-Pure, -1K or -27K from https://kuairand.com (Zenodo 10439422) and unpack it; `--from` is the folder of one of them.

    CSV with headers. `log_standard_4_08_to_4_21_*`, `log_standard_4_22_to_5_08_*` (27K: in parts) and `log_random_4_22_to_5_08_*`: one line a video shown
    (user_id, video_id, date, hourmin, time_ms, twelve signals, is_rand, tab). `user_features_*`: ranges and encrypted codes. `video_features_basic_*`: author,
    type, upload day, size, music, tags. `video_features_statistic_*` is left out: it averages the whole month, the test days too. So are the
    numbers beside the ranges of the users, and what a video's visibility is "now".

    Split: by time over both logs, the last week judges. The paper (Gao et al., CIKM 2022) publishes none. Random exposures are a table of their own as
    well: figures of `random_click` are free of what the app chose to show.
    """

    title: ClassVar[str] = "KuaiRand"
    url: ClassVar[str] = "https://kuairand.com"
    licence: ClassVar[str] = "CC BY-SA 4.0"
    paper: ClassVar[str] = "Gao et al., KuaiRand: An Unbiased Sequential Recommendation Dataset with Randomly Exposed Videos, CIKM 2022"
    size: ClassVar[str] = "shown videos: Pure 1,436,609 + 1,186,059 random, 1K 11,713,045 + 43,028, 27K 322,278,385 + 1,186,059"
    split: ClassVar[str] = "by time: the last week judges, three days before it choose (none is published with the set)"
    needs: ClassVar[str] = "log_standard_*.csv, log_random_*.csv, user_features_*.csv and video_features_basic_*.csv"
    rows = {"log_random_4_22_to_5_08_pure.csv": 1_186_059, "log_random_4_22_to_5_08_1k.csv": 43_028, "log_random_4_22_to_5_08_27k.csv": 1_186_059}

    def write(self, source: Folder, writer: Writer) -> str:
        """Tables: shown, random, events, users, items."""
        logs = {kind: self._logs(source, kind) for kind in ("standard", "random")}
        shown = {}
        for name, kind in (("shown", "standard"), ("random", "random")):
            frame = pl.concat([each.scan() for each in logs[kind]]).select(*_ids(), *(pl.col(column).alias(label) for column, label in SIGNALS.items()))
            shown[kind] = writer.table(name, writer.some(frame, "user"), logs[kind])
        writer.table("events", _acts(pl.concat(shown.values())))
        users = Separated(self._features(source, "user_features"), {"user_id": pl.Int64, **dict.fromkeys((*RANGES, *FLAGS), pl.String)}, header=True, quote='"')
        codes = [pl.col(name).str.replace(r"\.0$", "") for name in FLAGS]  # whole numbers that a missing one turned into decimals
        writer.table("users", users.scan().select(pl.col("user_id").alias("user"), *RANGES, *codes))
        form = {"video_id": pl.Int64, **dict.fromkeys((*CODES, "upload_dt", "tag"), pl.String), **dict.fromkeys(NUMBERS, pl.Float64)}
        videos = Separated(self._features(source, "video_features_basic"), form, needed=("video_id",), header=True, quote='"')
        items = videos.scan().rename({"video_id": "item"}).with_columns(pl.col("tag").str.split(","), pl.col("upload_dt").str.to_date(strict=False))
        writer.table("items", items)
        page = PAGE.replace("USER_FEATURES", _described((*RANGES, *FLAGS)))
        return page.replace("CODES", _described(CODES)).replace("NUMBERS", _described(NUMBERS, "number"))

    def _logs(self, source: Folder, kind: str) -> list[Separated]:
        """The files of one kind of log. Raises ConfigError where there are none, or those of several versions."""
        found = source.matching(LOG.format(kind=kind))
        versions = {match[1] for match, _ in found}
        if len(versions) > 1:
            source.only(f"logs of one version ({', '.join(sorted(versions))})", [path for _, path in found])
        if not found:
            raise source.missing(f"log_{kind}_*.csv")
        return [Separated(path, SHOWN, needed=tuple(SHOWN), header=True) for _, path in found]

    def _features(self, source: Folder, name: str) -> Path:
        return source.only(f"{name}_*.csv", [path for _, path in source.matching(rf"{name}_(pure|1k|27k)\.csv")])


def _ids() -> list[pl.Expr]:
    time = pl.from_epoch("time_ms", time_unit="ms").cast(pl.Datetime("us")).alias("time")
    return [pl.col("user_id").alias("user"), pl.col("video_id").alias("item"), time, pl.col("tab").alias("tab")]


def _acts(shown: pl.LazyFrame) -> pl.LazyFrame:
    """One row an act: a video that was clicked and liked is two."""
    acts = pl.concat_list(pl.when(pl.col(name) == 1).then(pl.lit(name)) for name in ACTS).list.drop_nulls().alias("behaviour")
    return shown.filter(pl.any_horizontal(pl.col(name) == 1 for name in ACTS)).select("user", "item", acts, "time", "tab").explode("behaviour")


def _described(names: tuple[str, ...], kind: str = "category") -> str:
    return ", ".join(f"{name}: {kind}" for name in names)


PAGE = """
store: kuairand
entities:
  user: {table: users.parquet, id: user, features: {USER_FEATURES}}
  item:
    table: items.parquet
    id: item
    least: 5                                            # videos in fewer than 5 training rows share one vector
    features: {CODES, NUMBERS, upload_dt: time, tag: tags}
events: {table: events.parquet, user: user, item: item, behaviour: behaviour, time: time, scenario: tab}

samples:
  # One row a video shown by the app's own policies; the tab of the app is its scenario.
  shown:
    table: shown.parquet
    user: user
    item: item
    time: time
    scenario: tab
    labels: {click: click, like: like, follow: follow, comment: comment, forward: forward, long_view: long_view}
  # One row a video drawn at random: what users do where nobody chose for them.
  random: {table: random.parquet, user: user, item: item, time: time, scenario: tab, labels: {click: click, like: like}}

tasks:
  click:        {kind: binary, samples: shown, label: click}
  like:         {kind: binary, samples: shown, label: like}
  follow:       {kind: binary, samples: shown, label: follow}
  comment:      {kind: binary, samples: shown, label: comment}
  forward:      {kind: binary, samples: shown, label: forward}
  long_view:    {kind: binary, samples: shown, label: long_view}
  random_click: {kind: binary, samples: random, label: click}

split: {by: time, valid: 3d, test: 7d}
model: {width: 16, sharing: mmoe, balancing: uncertainty, history: target, length: 50, snapshot: 1d}
training: {epochs: 3, batch: 4096}
"""
