"""How a store's items look: which of their columns is a title, a picture, a price, a category. By kind and name, for no column has to be called anything."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

TITLES = ("title", "name", "标题", "名称", "商品名", "label", "headline", "description", "desc", "type")  # the likeliest first
PICTURES = ("image", "picture", "photo", "img", "thumbnail", "thumb", "cover", "poster", "图片", "主图")
PRICES = ("price", "价格", "售价", "cost")
CATEGORIES = ("category", "department", "类目", "分类", "genre", "section", "cat", "kind", "type", "brand", "品牌")
MEASURES = ("size", "package", "unit", "规格")
VIEWS, CARTS, BUYS = ("view", "click", "pv", "detail", "visit", "read", "play"), ("cart", "basket", "add"), ("purchase", "buy", "order", "transaction", "sale")
LETTERS = 120  # of a title
SEVERAL = 2  # values that make a choice


@dataclass(frozen=True)
class Feature:
    """What the service says of a column: its kind, its commonest values."""

    kind: str
    values: Sequence[str] = ()


@dataclass(frozen=True)
class Looks:
    """Columns by what they are to people; empty where there is none."""

    title: str = ""
    picture: str = ""
    price: str = ""
    category: str = ""
    measure: str = ""
    filtered: tuple[str, ...] = ()  # columns that the service can filter its answers by

    @classmethod
    def of(cls, features: Mapping[str, Feature]) -> "Looks":
        """The columns of a store."""
        words = {name: f for name, f in features.items() if f.kind not in ("number", "vector", "image")}
        choices = {name: f for name, f in features.items() if f.kind == "category" and len(f.values) >= SEVERAL}
        picture = _first({name: f for name, f in features.items() if f.kind != "number"}, PICTURES)
        title = _first({name: f for name, f in words.items() if name != picture and not _has(name, "url")}, TITLES)
        named = _first({name: f for name, f in choices.items() if name != title}, CATEGORIES)
        return cls(
            title=title or max(choices, key=lambda name: len(choices[name].values), default=""),
            picture=picture,
            price=_first({name: f for name, f in features.items() if f.kind in ("number", "shown")}, PRICES),
            category=named or min(choices, key=lambda name: len(choices[name].values), default=""),
            measure=_first({name: f for name, f in words.items() if name not in (title, picture)}, MEASURES),
            filtered=tuple(name for name, f in features.items() if f.kind in ("category", "tags")),
        )

    def name(self, item: str, features: Mapping[str, Any]) -> str:
        """What an item is called; its id where nothing says."""
        title = _told(features.get(self.title))
        measure = _told(features.get(self.measure)) if self.measure != self.title else ""
        return clipped(" · ".join(each for each in (readable(title), readable(measure)) if each)) if title else item

    def image(self, features: Mapping[str, Any]) -> str:
        """The address of an item's picture; empty where there is none that a browser may load."""
        told = features.get(self.picture)
        found = str(told[0] if isinstance(told, list) and told else told or "")
        return found if _loadable(found) else ""

    def cost(self, features: Mapping[str, Any]) -> float | None:
        """An item's price, in the store's own unit."""
        try:
            return float(features[self.price])
        except (KeyError, TypeError, ValueError):
            return None

    def group(self, features: Mapping[str, Any]) -> str:
        """The category as the store writes it."""
        return _told(features.get(self.category))

    def details(self, features: Mapping[str, Any]) -> list[tuple[str, str]]:
        """What else is known of an item, for people."""
        shown = [(name, _told(value)) for name, value in features.items() if name not in (self.title, self.picture, self.price)]
        return [(readable(name), clipped(readable(text), 400)) for name, text in shown if text]


@dataclass(frozen=True)
class Deeds:
    """What the store calls looking, putting in the cart, buying."""

    view: str = "view"
    cart: str = "cart"
    buy: str = "purchase"

    @classmethod
    def of(cls, behaviours: Sequence[str]) -> "Deeds":
        """The store's own words where it has them."""
        known: dict[str, Feature] = {name: Feature("behaviour") for name in behaviours}
        return cls(_first(known, VIEWS) or "view", _first(known, CARTS) or "cart", _first(known, BUYS) or "purchase")


def readable(text: str) -> str:
    """A column's name or value as a person would write it: `FRZN_MEAT` becomes `Frzn meat`."""
    spaced = re.sub(r"[_\s]+", " ", text).strip()
    shouting = spaced.isupper() and len(spaced) > 3
    return spaced.capitalize() if shouting else spaced[:1].upper() + spaced[1:]


def clipped(text: str, most: int = LETTERS) -> str:
    """At most so many letters."""
    return text if len(text) <= most else text[: most - 1].rstrip() + "…"


def initials(name: str) -> str:
    """One or two letters that stand for a name."""
    words = re.findall(r"\w+", name)
    if not words:
        return "?"
    if ord(words[0][0]) > 0x2E80:  # Chinese, Japanese, Korean: one sign says enough
        return str(words[0][0])
    return "".join(word[0] for word in words[:2]).upper()


def hue(name: str) -> int:
    """A colour for a name, in degrees, the same each time."""
    found = 2166136261
    for byte in name.encode():
        found = (found ^ byte) * 16777619 & 0xFFFFFFFF  # FNV-1a (Fowler, Noll, Vo)
    return found % 360


def _told(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(str(each) for each in value)
    if isinstance(value, float):
        return f"{value:.10g}"
    return "" if value is None else str(value)


def _has(name: str, word: str) -> bool:
    return word in name.lower() if len(word) > 4 or not word.isascii() else word in re.split(r"[^a-z]+", name.lower())


def _first(features: Mapping[str, Feature], words: Sequence[str]) -> str:
    """The column that a word names best: the earliest word; of its columns that are called so alone, else the shortest."""
    for word in words:
        found = [name for name in features if _has(name, word)]
        if found:
            return min(found, key=lambda name: (name.lower() != word, len(name)))
    return ""


def _loadable(address: str) -> bool:
    if any(sign.isspace() or sign in "\"'<>\\" for sign in address) or len(address) > 2000:
        return False
    if address.startswith("/"):
        return not address.startswith("//")
    parts = urlsplit(address)
    return parts.scheme in ("http", "https") and bool(parts.netloc)
