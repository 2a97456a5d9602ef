"""Small files in exactly the forms in which public sets are published: names, separators, headers or none, encodings, quirks."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

USERS, ITEMS, EVENTS = 60, 40, 2400
DAY = 86_400


def taobao(folder: Path) -> None:
    """UserBehavior.csv: no header, Unix seconds of nine days of 2017 in Beijing, and some lines of other years."""
    rng = np.random.default_rng(0)
    user, item = rng.integers(1, USERS, EVENTS), rng.zipf(1.5, EVENTS) % ITEMS + 1000
    kind = rng.choice(["pv", "cart", "fav", "buy"], EVENTS, p=[0.7, 0.12, 0.08, 0.1])
    time = 1511539200 + rng.integers(0, 9 * DAY, EVENTS)
    lines = [f"{u},{i},{i % 7 + 50},{k},{t}" for u, i, k, t in zip(user, item, kind, time, strict=True)]
    lines[5] = "7,1003,52,pv,-2134949234"
    lines[6] = "7,1003,52,pv,1512316800"
    _write(folder / "UserBehavior.csv", lines)


def retailrocket(folder: Path) -> None:
    """Four CSV files with headers; hashed properties, weekly states; transactionid is mostly empty."""
    rng = np.random.default_rng(1)
    user, item = rng.integers(0, USERS, EVENTS), rng.zipf(1.5, EVENTS) % ITEMS
    kind = rng.choice(["view", "addtocart", "transaction"], EVENTS, p=[0.8, 0.12, 0.08])
    time = 1430600000000 + rng.integers(0, 130 * DAY, EVENTS) * 1000
    rows = [f"{t},{u},{k},{i},{n if k == 'transaction' else ''}" for n, (t, u, k, i) in enumerate(zip(time, user, kind, item, strict=True))]
    _write(folder / "events.csv", ["timestamp,visitorid,event,itemid,transactionid", *rows])
    weeks = [1431226800000 + 7 * DAY * 1000 * week for week in range(4)]
    head = "timestamp,itemid,property,value"
    first = [f"{weeks[0]},{i},categoryid,{i % 5}" for i in range(ITEMS)] + [f"{weeks[0]},{i},790,n{i * 100}.000" for i in range(ITEMS)]
    states = [f"{week},{i},available,{(i + n) % 2}" for n, week in enumerate(weeks) for i in range(ITEMS)]
    _write(folder / "item_properties_part1.csv", [head, *first])
    _write(folder / "item_properties_part2.csv", [head, *states, f"{weeks[2]},3,categoryid,4", f"{weeks[1]},99999,available,1"])
    _write(folder / "category_tree.csv", ["categoryid,parentid", "0,", *(f"{c},{c // 2}" for c in range(1, 5))])


def census_income(folder: Path) -> None:
    """Two files without headers, a comma and a space between 42 fields, `?` where nothing is known."""
    rng = np.random.default_rng(2)
    for name, count in (("census-income.data", 600), ("census-income.test", 400)):
        _write(folder / name, [_person(rng) for _ in range(count)])


def _person(rng: np.random.Generator) -> str:
    age, weeks = int(rng.integers(0, 90)), int(rng.integers(0, 53))
    status = " Never married" if age < 30 and rng.random() < 0.8 else " Married-civilian spouse present"
    words = [str(rng.choice(["Not in universe", "Private", "Other Rel 18+ ever marr not in subfamily"])) for _ in range(34)]
    income = " 50000+." if age > 40 and weeks > 40 else " - 50000."
    head = [str(age), *words[:4], "0", words[4], status.strip(), *words[5:13], "0", "0", str(int(rng.integers(0, 900))), *words[13:18], "1700.09"]
    tail = [str(rng.choice(["?", "MSA to MSA"])), *words[18:22], str(int(rng.integers(0, 6))), *words[22:30], "2", "?"]
    fields = [*head, *tail][:39] + [str(weeks), "95", income.strip()]
    return ", ".join(fields)


def movielens_100k(folder: Path) -> None:
    """u.data with tabs, u.item with `|` in ISO 8859-1, u.user."""
    rng = np.random.default_rng(3)
    _write(folder / "ml-100k" / "u.data", _ratings(rng, "\t"))
    flags = ["|".join(str(int(x)) for x in rng.integers(0, 2, 19)) for _ in range(ITEMS)]
    films = [f"{i + 1}|Fiancée, La {i} (19{60 + i % 40})|01-Jan-1995||http://us.imdb.com/M/title-exact?x|{flags[i]}" for i in range(ITEMS)]
    _write(folder / "ml-100k" / "u.item", films, "iso-8859-1")
    _write(folder / "ml-100k" / "u.user", [f"{u}|{18 + u % 50}|{'MF'[u % 2]}|technician|8571{u % 10}" for u in range(1, USERS + 1)])


def movielens_1m(folder: Path) -> None:
    """Three files with `::`, films in ISO 8859-1."""
    rng = np.random.default_rng(4)
    _write(folder / "ratings.dat", _ratings(rng, "::"))
    _write(folder / "movies.dat", [f"{i + 1}::Misérables, Les: Part {i} (1995)::Drama|Musical" for i in range(ITEMS)], "iso-8859-1")
    _write(folder / "users.dat", [f"{u}::{'FM'[u % 2]}::{(1, 18, 25)[u % 3]}::{u % 21}::48067-0000" for u in range(1, USERS + 1)])


def movielens(folder: Path) -> None:
    """The form of 20M to 32M: CSV with headers, titles with commas in quotes, films without genres."""
    rng = np.random.default_rng(5)
    _write(folder / "ml-32m" / "ratings.csv", ["userId,movieId,rating,timestamp", *_ratings(rng, ",", half=True)])
    films = [f'{i + 1},"American President, The ""{i}"" ({1980 + i % 30})",{"Comedy|Drama" if i % 5 else "(no genres listed)"}' for i in range(ITEMS)]
    _write(folder / "ml-32m" / "movies.csv", ["movieId,title,genres", *films])


def _ratings(rng: np.random.Generator, between: str, half: bool = False) -> list[str]:
    users, items = rng.integers(1, USERS + 1, EVENTS), rng.integers(1, ITEMS + 1, EVENTS)
    stars = rng.integers(1, 11, EVENTS) / 2 if half else rng.integers(1, 6, EVENTS)
    times = 874724710 + rng.integers(0, 200 * DAY, EVENTS)
    return [between.join(str(each) for each in row) for row in zip(users, items, stars, times, strict=True)]


def kuairand(folder: Path) -> None:
    """KuaiRand-Pure: logs in three files, users with codes that a gap made decimals, videos with tags in quotes."""
    rng, data = np.random.default_rng(6), folder / "KuaiRand-Pure" / "data"
    begin = 1649347200000  # 2022-04-08 in Beijing
    for name, first, last, count, random in (
        ("standard_4_08_to_4_21", 0, 14, 1200, 0),
        ("standard_4_22_to_5_08", 14, 31, 1200, 0),
        ("random_4_22_to_5_08", 14, 31, 900, 1),
    ):
        time = begin + rng.integers(first * DAY, last * DAY, count) * 1000
        _write(data / f"log_{name}_pure.csv", [LOG, *(_shown(rng, int(t), random) for t in time)])
    hot = ",".join(f"onehot_feat{i}" for i in range(18))
    ranges = "follow_user_num,follow_user_num_range,fans_user_num,fans_user_num_range,friend_user_num,friend_user_num_range,register_days,register_days_range"
    head = f"user_id,user_active_degree,is_lowactive_period,is_live_streamer,is_video_author,{ranges},{hot}"
    codes, gap = ",".join(str(i % 3) for i in range(12)), ",1.0,,0.0,1.0,0.0,"
    users = [
        f'{u},full_active,0,0,1,5,"(0,10]",312,"[100,1k)",0,0,3624,730+,{codes}{gap if u % 4 else gap.replace(",,", ",1.0,") + "0.0"}' for u in range(USERS)
    ]
    _write(data / "user_features_pure.csv", [head, *users])
    head = "video_id,author_id,video_type,upload_dt,upload_type,visible_status,video_duration,server_width,server_height,music_id,music_type,tag"
    videos = [
        f'{i},{i % 9},{"NORMAL" if i % 10 else "AD"},2022-03-{i % 28 + 1:02d},ShortImport,1.0,{"" if i == 3 else 17200.0},720,1280,98920646,4.0,"12,{i % 6}"'
        for i in range(ITEMS)
    ]
    _write(data / "video_features_basic_pure.csv", [head, *videos])


LOG = (
    "user_id,video_id,date,hourmin,time_ms,is_click,is_like,is_follow,is_comment,is_forward,is_hate,long_view,"
    "play_time_ms,duration_ms,profile_stay_time,comment_stay_time,is_profile_enter,is_rand,tab"
)


def _shown(rng: np.random.Generator, time: int, random: int) -> str:
    click = int(rng.random() < 0.4)
    acts = [int(click and rng.random() < 0.2) for _ in range(5)]
    long = int(click and rng.random() < 0.5)
    signals = f"{click},{','.join(map(str, acts))},{long},151024,104400,0,0,0,{random},{rng.integers(3)}"
    return f"{rng.integers(USERS)},{rng.integers(ITEMS)},20220421,400,{time},{signals}"


def amazon_reviews(folder: Path) -> None:
    """Raw reviews and products of a category as JSON lines, compressed; prices are numbers, null or text; details differ from line to line."""
    rng = np.random.default_rng(7)
    times = 1_500_000_000_000 + rng.integers(0, 2000 * DAY, EVENTS) * 1000
    rows = [_review(int(rng.integers(USERS)), int(rng.integers(ITEMS)), int(rng.integers(1, 6)), int(t)) for t in times]
    _compressed(folder / "All_Beauty.jsonl.gz", [json.dumps(row) for row in rows])
    prices: list[Any] = [12.5, None, "None", "from 9.99", "1,299.00"]
    products = [
        {
            "main_category": "All Beauty",
            "title": f"Brush {i} – größe",
            "average_rating": 4.8,
            "rating_number": 10,
            "features": [],
            "description": ["nice"],
            "price": prices[i % 5],
            "images": [{"thumb": "x", "hi_res": None}],
            "store": None if i % 4 == 0 else f"Shop {i % 3}",
            "categories": [] if i % 3 else ["Hair", "Brushes"],
            "details": {"Brand": "x"} if i % 2 else {"UPC": "1", "Weight": {"value": i}},
            "parent_asin": f"B{i:09d}",
            "bought_together": None,
        }
        for i in range(ITEMS + 5)
    ]
    _compressed(folder / "meta_All_Beauty.jsonl.gz", [json.dumps(row, ensure_ascii=False) for row in products])


def _review(user: int, item: int, stars: int, time: int) -> dict[str, Any]:
    said = {"rating": float(stars), "title": 'Such, a "brush"', "text": "ok\nfine", "images": [], "asin": f"B{item:09d}", "parent_asin": f"B{item:09d}"}
    return said | {"user_id": f"AE{user:04d}", "timestamp": time, "helpful_vote": 0, "verified_purchase": True}


def amazon_last_out(folder: Path) -> None:
    """The benchmark's parts of a category: CSV with a header and a history."""
    rng = np.random.default_rng(8)
    parts: dict[str, list[str]] = {"train": [], "valid": [], "test": []}
    for user in range(USERS):
        times = np.sort(1_500_000_000_000 + rng.integers(0, 1000 * DAY, 12) * 1000)
        for n, (item, time) in enumerate(zip(rng.permutation(ITEMS), times, strict=False)):
            part = "test" if n == 11 else "valid" if n == 10 else "train"
            parts[part].append(f"AE{user:04d},B{item:09d},{rng.integers(1, 6)}.0,{time},B000000001 B000000002")
    for part, rows in parts.items():
        _compressed(folder / f"Books.{part}.csv.gz", ["user_id,parent_asin,rating,timestamp,history", *rows])


def aliexpress(folder: Path) -> None:
    """The published form: users and items in files of their own, without headers, for two countries."""
    rng = np.random.default_rng(9)
    for country in ("NL", "ES"):
        for part, searches in (("train", 120), ("test", 50)):
            user, item = _search_lines(rng, searches)
            place = folder / f"AliExpress_{country}"
            _write(place / f"{country.lower()}_user_{part}.csv", user)
            _write(place / f"{country.lower()}_item_{part}.csv", item)


def _search_lines(rng: np.random.Generator, searches: int) -> tuple[list[str], list[str]]:
    user = [f"{s},{','.join(str(x) for x in rng.integers(0, 9, 7))},{','.join(f'{x:.6f}' for x in rng.random(23))},3,{s % 5}" for s in range(searches)]
    item = []
    for search in [*np.repeat(np.arange(searches), 12), searches + 7]:  # the last one is of no search
        values = [f"{x:.6f}" for x in rng.random(47)]
        for at in (19, 34, 35, 36, 40, 41, 42):
            values[at - 2] = str(int(rng.integers(0, 9)))
        feedback = 0 if float(values[0]) < 0.5 else 1 if float(values[1]) < 0.6 else 2
        item.append(f"{search},{','.join(values)},{feedback}")
    return user, item


def aliexpress_merged(folder: Path) -> None:
    """The form in which papers merge them: train.csv and test.csv of a country, with a header."""
    rng = np.random.default_rng(10)
    names = ["search_id", *(f"categorical_{i}" for i in range(1, 17)), *(f"numerical_{i}" for i in range(1, 64)), "click", "conversion"]
    for part, searches in (("train", 120), ("test", 50)):
        lines = [",".join(names)]
        for search in range(searches):
            codes, numbers = ",".join(str(x) for x in rng.integers(0, 9, 9)), ",".join(f"{x:.6f}" for x in rng.random(23))
            for _ in range(12):
                seen = rng.random(40)
                click = int(seen[0] > 0.5)
                shown = ",".join(str(x) for x in rng.integers(0, 9, 7))
                lines.append(f"{search},{codes},{shown},{numbers},{','.join(f'{x:.6f}' for x in seen)},{click},{int(click and seen[1] > 0.5)}")
        _write(folder / "AliExpress_FR" / f"{part}.csv", lines)


def ali_ccp(folder: Path) -> None:
    """Skeletons and common features, with control characters between features; fields missing here and there."""
    rng = np.random.default_rng(11)
    for part, visits, rows in (("train", 80, 1500), ("test", 40, 600)):
        index = [f"{rng.integers(1 << 62):016x}" for _ in range(visits)]
        _write(folder / f"sample_{part}" / f"common_features_{part}.csv", [_common(rng, each) for each in index])
        lines = [_skeleton(rng, n, index[int(rng.integers(visits))]) for n in range(1, rows + 1)]
        lines[3] = lines[3].replace(lines[3].split(",", 4)[3], "ffffffffffffffff")  # common features that no file has
        lines[4] = f"5,0,1,{lines[4].split(',', 3)[3]}"  # a conversion without a click
        _write(folder / f"sample_{part}" / f"sample_skeleton_{part}.csv", lines)


def _common(rng: np.random.Generator, index: str) -> str:
    user = int(rng.integers(50))
    found = [f"101\x02{user}\x031.0", *(f"{field}\x02{3438700 + user % 4}\x031.0" for field in (121, 122, 124, 125, 126, 127, 128, 129) if rng.random() < 0.9)]
    for field in ("109_14", "110_14", "127_14", "150_14"):
        found += [f"{field}\x02{455000 + n}\x03{rng.random() * 4:.5f}" for n in range(int(rng.integers(0, 30)))]
    rng.shuffle(found)
    return f"{index},{len(found)},{chr(1).join(found)}"


def _skeleton(rng: np.random.Generator, number: int, index: str) -> str:
    item = int(rng.integers(ITEMS))
    found = [
        f"205\x02{4300000 + item}\x031.0",
        f"206\x02{8316700 + item % 5}\x031.0",
        f"207\x02{8400000 + item % 9}\x031.0",
        f"301\x02{9351665 + item % 3}\x031.0",
    ]
    found += [f"210\x02{9059000 + n}\x031.0" for n in range(int(rng.integers(0, 4)))]
    found += [f"853\x02{9100000 + n}\x03{rng.random() * 4:.5f}" for n in range(int(rng.integers(0, 3)))]
    found += [f"{field}\x02{9300000 + item % 7}\x03{rng.random() * 4:.5f}" for field in (216, 508, 509, 702) if rng.random() < 0.7]
    click = int(rng.random() < (0.5 if item % 2 else 0.2))
    rng.shuffle(found)
    return f"{number},{click},{int(click and rng.random() < 0.3)},{index},{len(found)},{chr(1).join(found)}"


MAKERS: dict[str, Callable[[Path], None]] = {
    "ali_ccp": ali_ccp,
    "aliexpress": aliexpress,
    "amazon_reviews": amazon_reviews,
    "census_income": census_income,
    "kuairand": kuairand,
    "movielens": movielens,
    "retailrocket": retailrocket,
    "taobao": taobao,
}


def _write(path: Path, lines: list[str], encoding: str = "utf-8") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(("\n".join(lines) + "\n").encode(encoding))


def _compressed(path: Path, lines: list[str]) -> None:
    path.write_bytes(gzip.compress(("\n".join(lines) + "\n").encode()))
