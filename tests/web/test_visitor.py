import asyncio
import json
from urllib.parse import quote

import pytest

from banyan.web.visitor import BYTES, CART, ITEMS, RECENT, SEEN, USER, VISITOR, Door, Visitor, inward, keeping, listed, listing

SESSION = "0123456789abcdef" * 2


def test_cookies_say_who_it_is():
    cookies = {VISITOR: SESSION, USER: quote("用户 7"), CART: listing(["a/1", "红茶"]), SEEN: listing([str(n) for n in range(20)])}
    visitor = Visitor.of(cookies)
    assert visitor == Visitor(SESSION, "用户 7", ("a/1", "红茶"), tuple(str(n) for n in range(RECENT)))
    assert visitor.who == {"user": "用户 7", "session": SESSION}
    assert Visitor.of(cookies, signing=False).user == ""


@pytest.mark.parametrize("cookie", ["", "nonsense", "%5B", "{}", "[1,2]", "[[[[", quote("[" * 3000), quote(json.dumps(["x" * 201]))])
def test_a_cookie_that_cannot_be_read_is_empty(cookie):
    assert listed(cookie) == ()


def test_a_session_that_was_made_up_is_replaced():
    assert Visitor.of({VISITOR: "admin"}).session != "admin"
    assert Visitor.of({USER: "a\nb"}).user == ""


def test_a_cart_has_an_end():
    assert listing([str(n) for n in range(ITEMS)]) is not None
    assert listing([str(n) for n in range(ITEMS + 1)]) is None
    assert listing(["茶" * (BYTES // 9)]) is None


def test_nothing_of_an_item_ends_the_script_that_keeps_it():
    script = keeping(CART, listing(["');alert(1)//", '";x', "</script>"]))
    assert "alert(" not in script.replace("alert%28", "")
    assert "</script>" not in script
    assert script.count('"') == 2


@pytest.mark.parametrize("address", ["https://elsewhere.example", "//elsewhere.example", "/\\elsewhere.example", "javascript:1", "", "/a\nb", "/" + "a" * 3000])
def test_one_is_not_led_elsewhere(address):
    assert inward(address) == "/"


def test_one_is_led_back():
    assert inward("/browse?where=category%3Atea") == "/browse?where=category%3Atea"


def visited(headers, path="/"):
    seen, sent = [], []

    async def pages(scope, receive, send):
        seen.append(dict(scope["headers"]).get(b"cookie", b""))
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def send(message):
        sent.append(message)

    asyncio.run(Door(pages)({"type": "http", "path": path, "headers": headers, "scheme": "http"}, None, send))
    return seen[0], dict(sent[0]["headers"])


def test_who_comes_without_a_session_gets_one_that_the_page_knows_already():
    cookie, answer = visited([(b"cookie", b"a=1")])
    given = answer[b"set-cookie"].split(b";")[0]
    assert given in cookie
    assert b"a=1" in cookie
    assert b"HttpOnly" in answer[b"set-cookie"]
    assert b"SameSite=Lax" in answer[b"set-cookie"]
    assert b"Secure" not in answer[b"set-cookie"]
    assert b"Secure" in visited([(b"x-forwarded-proto", b"https")])[1][b"set-cookie"]


def test_who_has_a_session_keeps_it():
    cookie, answer = visited([(b"cookie", f"{VISITOR}={SESSION}".encode())])
    assert b"set-cookie" not in answer
    assert SESSION.encode() in cookie
    assert answer[b"x-content-type-options"] == b"nosniff"
    assert b"frame-ancestors 'self'" in answer[b"content-security-policy"]
