"""The guide as people meet it: its process, a browser, and a service of canned answers."""

import os
import shutil
import socket
import subprocess
import sys
import time

import httpx
import pytest

pytestmark = pytest.mark.slow

pytest.importorskip("nicegui", reason="the pages need the extra `web`")
api = pytest.importorskip("playwright.sync_api", reason="needs playwright")
CHROMIUM = shutil.which("chromium") or "/usr/bin/chromium"
QUIET = ["--no-sandbox", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"]


def free():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def started(service, **environment):
    port = free()
    told = {"BANYAN_API_URL": service.url, "BANYAN_PAGES_KEY": "k", "BANYAN_PAGES_PORT": str(port)} | environment
    process = subprocess.Popen([sys.executable, "-m", "banyan.web"], env={key: value for key, value in os.environ.items() if "PYTEST" not in key} | told)
    url = f"http://127.0.0.1:{port}"
    for _ in range(600):
        try:
            httpx.get(url, trust_env=False, timeout=30)
            return process, url
        except httpx.ConnectError:
            assert process.poll() is None, "the pages ended"
            time.sleep(0.1)
    raise AssertionError("the pages did not start")


@pytest.fixture
def pages(service):
    process, url = started(service)
    yield url
    process.terminate()
    process.wait(20)


@pytest.fixture
def browser():
    if not os.path.exists(CHROMIUM):
        pytest.skip("there is no chromium")
    with api.sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield found
        found.close()


def opened(browser, url, outside, locale="en-US", width=1300):
    """A page; what it asks of other hosts is added to `outside`, and does not leave."""
    context = browser.new_context(locale=locale, viewport={"width": width, "height": 900})
    context.set_default_timeout(20_000)

    def passed(route):
        if not route.request.url.startswith((url, "data:")):
            outside.append(route.request.url)
            route.abort()
        else:
            route.continue_()

    context.route("**/*", passed)
    page = context.new_page()
    page.on("pageerror", lambda error: outside.append(f"error: {error}"))
    page.on("websocket", lambda socket: None if socket.url.startswith(url.replace("http", "ws")) else outside.append(socket.url))
    return page


def names(page, shelf):
    return page.locator(f"[data-shelf={shelf}] .card .name").all_inner_texts()


def test_a_user_searches_opens_and_carts_and_the_recommendations_follow(service, pages, browser):
    outside = []
    page = opened(browser, pages, outside)
    page.goto(pages)
    assert names(page, "mine")[0] == "Trail shoe"
    page.get_by_role("searchbox", name="Search the store").press_sequentially("lantern")
    page.get_by_role("heading", name="Results for “lantern”").wait_for()
    page.locator(".found .open").click()
    page.get_by_role("heading", level=1, name="Lantern").wait_for()
    assert [(e["behaviour"], e["item"]) for e in service.events] == [("view", "lamps/2")]
    assert names(page, "mine")[:2] == ["Desk lamp", "Floor lamp"]
    assert page.get_by_text("Because you looked at Lantern").count() > 0

    page.goto(pages + "/browse?where=category:tea")
    button = page.locator(".wide > .grid").get_by_role("button", name="Add Green tea to the cart")
    button.focus()
    page.keyboard.press("Enter")
    page.get_by_text("Green tea is in the cart.").wait_for()
    page.get_by_role("link", name="Cart, 1 items").wait_for()
    assert service.events[-1]["behaviour"] == "cart"
    assert service.events[-1]["session"] == service.events[0]["session"] != ""

    page.goto(pages)
    assert names(page, "mine")[0] == "Black tea"
    assert "Green tea" not in names(page, "mine")
    page.locator("[data-shelf=mine]").get_by_role("button", name="Add Desk lamp to the cart").click()
    page.wait_for_function("document.querySelector('[data-shelf=mine] .name').innerText === 'Floor lamp'")  # at once, on the same page

    page.goto(pages + "/cart")
    page.get_by_text("Total: 19.00").wait_for()
    page.get_by_role("button", name="Buy all").click()
    page.get_by_text("The cart is empty.").wait_for()
    assert [(e["behaviour"], e["item"]) for e in service.events[-2:]] == [("purchase", "tea/0"), ("purchase", "lamps/0")]
    assert outside == []


def test_chinese_is_spoken_to_who_asks_for_it_and_kept(service, pages, browser):
    outside = []
    page = opened(browser, pages, outside, "zh-CN", 390)
    page.goto(pages)
    page.get_by_role("heading", name="为你推荐").wait_for()
    assert page.evaluate("document.documentElement.lang") == "zh-CN"
    assert page.evaluate("document.documentElement.scrollWidth") == 390  # nothing is cut off on a phone
    page.get_by_role("link", name="English").click()
    page.get_by_role("heading", name="For you").wait_for()
    page.goto(pages + "/browse")
    assert page.evaluate("document.documentElement.lang") == "en"
    assert page.get_by_role("heading", level=1, name="Browse").count() == 1

    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    assert [page.locator(each).count() for each in ("main", "header", "footer", "nav", "form[role=search]")] == [1, 1, 1, 1, 1]
    assert page.evaluate(
        "[...document.querySelectorAll('button, a, input:not([type=hidden])')].every(e => e.textContent.trim() || e.ariaLabel || e.labels?.length)"
    )

    page.get_by_text("Guest").click()
    page.get_by_label("User id").fill("u/7")
    page.get_by_role("button", name="Sign in").click()
    page.get_by_text("u/7").wait_for()
    page.goto(pages)
    assert [body["user"] for path, body in service.asked if path == "/v1/recommend"][-1] == "u/7"
    assert outside == []


def test_an_empty_store_and_a_service_that_is_away_say_so(bare_service, browser):
    process, url = started(bare_service, BANYAN_GUIDE_SIGN_IN="no")
    try:
        outside = []
        page = opened(browser, url, outside)
        page.goto(url)
        page.get_by_text("There is nothing here yet.").wait_for()
        assert httpx.post(url + "/session", content="user=a", headers={"origin": url}).status_code in (404, 405)
        page.goto(url + "/item?id=nobody%27s")
        page.get_by_role("heading", name="The shop does not know this item.").wait_for()
        bare_service.away = True
        page.goto(url)
        page.get_by_text("This cannot be shown right now.").wait_for()
        assert outside == []
    finally:
        process.terminate()
        process.wait(20)


def test_a_form_of_another_site_signs_nobody_in(pages):
    said = {"content-type": "application/x-www-form-urlencoded"}
    with httpx.Client(base_url=pages, trust_env=False) as client:
        assert client.post("/session", content="user=a", headers=said | {"origin": "https://elsewhere.example"}).status_code == 403
        assert client.post("/session", content="user=a", headers=said).status_code == 403
        kept = client.post("/session", content="user=a%2Fb&to=//elsewhere.example", headers=said | {"origin": pages})
        assert kept.status_code == 303
        assert kept.headers["location"] == "/"
        assert "banyan_user=a%2Fb" in kept.headers["set-cookie"]
