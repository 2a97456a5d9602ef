"""What surrounds every page of the console: landmarks, navigation, languages, signing in and out. Knows no page's content."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import quote

from nicegui import ui

from banyan.web.cards import tag
from banyan.web.console.desk import Desk
from banyan.web.console.pages import ORDER, PATH, address
from banyan.web.frame import TAG
from banyan.web.looks import readable
from banyan.web.words import LANGUAGES, Words


@contextmanager
def framed(desk: Desk) -> Iterator[None]:
    """A page: what is made inside becomes its main part, under its heading."""
    words = desk.words
    _head(words, words(f"page.{desk.name}"))
    with ui.context.client.layout:
        header = tag("header", "top")
        header.move(target_index=0)
    with header:
        tag("a", "skip", words("skip"), href="#main")
        tag("a", "brand", words("console"), href=PATH)
        tag("span", "shop", readable(desk.store.name))
        with tag("div", "links"):
            tag("a", "", words("guide"), href="/")
            _languages(words, desk.here)
            with tag("form", "", action=f"{PATH}/sign-out", method="post"):
                tag("button", "plain", words("sign.out"), type="submit")
    with tag("div", "page"):
        with tag("nav", "side", aria_label=words("menu")):
            for name in ORDER:
                link = tag("a", "", words(f"page.{name}"), href=address(name))
                if name == desk.name:
                    link.props["aria-current"] = "page"
        with tag("div", "content", id="main", tabindex="-1"):
            desk.say = tag("p", "said", role="status", aria_live="polite").set_text
            tag("h1", "", words(f"page.{desk.name}"))
            tag("p", "lead", words(f"lead.{desk.name}"))
            yield


def signing(words: Words, why: str, to: str) -> None:
    """The page on which one signs in; `why` says why one has to, in a word."""
    _head(words, words("sign.in"))
    with tag("div", "door"):
        tag("h1", "", words("console"))
        tag("p", "lead", words("sign.lead"))
        with tag("form", "panel", action=f"{PATH}/session", method="post"):
            tag("input", "", type="hidden", name="to", value=to)
            with tag("label", "field"):
                tag("span", "", words("sign.key"))
                tag("input", "", type="password", name="key", maxlength=200, required="required", autocomplete="current-password", autofocus="autofocus",
                    **({"aria_invalid": "true", "aria_describedby": "why"} if why else {}))  # fmt: skip
            if why:
                tag("p", "wrong", words(f"sign.{why}"), id="why", role="alert")
            tag("button", "button", words("sign.in"), type="submit")
            tag("p", "note", words("sign.hint"))
            tag("code", "note", words("sign.command"))
        with tag("p", "links"):
            _languages(words, f"{PATH}/sign-in?to={quote(to, safe='')}")


def _head(words: Words, title: str) -> None:
    ui.page_title(f"{title} · Banyan")
    ui.add_head_html(f"<script>document.documentElement.lang = {json.dumps(TAG[words.language])}</script>")
    ui.add_head_html('<link rel="stylesheet" href="/guide-files/console.css">')


def _languages(words: Words, here: str) -> None:
    for language, name in LANGUAGES.items():
        if language != words.language:
            tag("a", "language", name, href=f"/language/{language}?to={quote(here, safe='')}", lang=TAG[language], hreflang=TAG[language])
