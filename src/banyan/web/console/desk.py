"""An operator at a page: their questions to the service, their language, and what a page says to them. Knows no page."""

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from json import loads
from typing import Any, Generic, TypeVar

import httpx
import msgspec

from banyan.client import Call, ServiceError
from banyan.errors import BanyanError
from banyan.serving.messages import Answer
from banyan.web.console.sessions import Session
from banyan.web.gateway import Gateway, Store
from banyan.web.words import LANGUAGES, Words

log = logging.getLogger("banyan.web")
A = TypeVar("A", bound=Answer)
CONFLICT, UNKNOWN, REFUSED = 409, 404, (401, 403)


@dataclass(frozen=True)
class Told(Generic[A]):
    """An answer; or, where there is none, why in a sentence, with the status (0: the service does not answer)."""

    answer: A | None
    trouble: str = ""
    status: int = 200


@dataclass
class Desk:
    """One open page of the console."""

    session: Session
    gateway: Gateway  # the shop's own, which remembers items
    store: Store
    words: Words
    name: str  # of the page
    here: str  # its address
    query: Mapping[str, str]
    say: Callable[[str], object] = lambda text: None

    async def ask(self, call: Call[A]) -> Told[A]:
        """What the service answers, or why it does not."""
        if not self.session.open:
            return Told(None, self.words("signed.out"), 401)
        try:
            return Told(await self.session.client.call(call))
        except ServiceError as error:
            log.info("the service said no: %s (request %s)", error.code, error.request_id)
            return Told(None, self.words("role" if error.status in REFUSED else "said.no", said=str(error)), error.status)
        except (BanyanError, httpx.HTTPError, msgspec.MsgspecError, OSError) as error:
            log.warning("the service does not answer: %s", type(error).__name__)
            return Told(None, self.words("away"), 0)

    async def names(self, items: Iterable[str]) -> dict[str, str]:
        """What items are called."""
        known = await self.gateway.names(list(items))
        return {item: self.store.looks.name(item, features) for item, features in known.items()}

    def when(self, moment: str | int) -> str:
        """A moment of the service's as people write it, in UTC; what is no moment stays as it is."""
        try:
            found = datetime.fromisoformat(str(moment))
        except ValueError:
            return str(moment)
        return found.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S") if found.tzinfo else str(moment)

    def span(self, seconds: float) -> str:
        """A length of time in its two largest units."""
        left = int(seconds)
        parts: list[str] = []
        for key, unit in (("years", 31_536_000), ("days", 86400), ("hours", 3600), ("minutes", 60), ("seconds", 1)):
            if left >= unit or (key == "seconds" and not parts):
                parts.append(self.words(f"span.{key}", count=left // unit))
                left %= unit
        return " ".join(parts[:2])


@cache
def console_words(language: str) -> Words:
    """The console's texts in a language of `LANGUAGES`: one table, a row a text, a column a language."""
    table: dict[str, list[str]] = loads((files(__package__) / "texts.json").read_text(encoding="utf-8"))
    place = list(LANGUAGES).index(language)
    return Words(language, {key: texts[place] for key, texts in table.items()})


def number(value: Any) -> str:
    """A number as people read it: four figures, thousands apart; a dash for none."""
    if value is None or (isinstance(value, float) and value != value):
        return "–"
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return str(value)
    if isinstance(value, int) or (abs(value) >= 1000 and abs(value) < 1e15):
        return f"{value:,.0f}"
    return f"{value:.4g}"
