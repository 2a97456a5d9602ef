"""The console as an operator meets it: the pages' own process, a browser, and a service of canned answers."""

import asyncio
import importlib.util
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

pytestmark = pytest.mark.slow

pytest.importorskip("nicegui", reason="the pages need the extra `web`")
pytest.importorskip("playwright.sync_api", reason="needs playwright")


def lent(name):
    spec = importlib.util.spec_from_file_location(f"banyan_lent_{name}", Path(__file__).parent / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


PLOTS = {"": 2, "/training": 3, "/tasks": 0, "/users?user=u1": 1, "/items?item=i1": 0, "/search?q=tea": 0, "/experiments": 1, "/data": 0}
answers, guide = lent("answers"), lent("test_guide_in_a_browser")
browser = guide.browser


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        authorization = "Bearer pages" if self.headers["authorization"] == "Bearer k" else self.headers["authorization"]
        request = httpx.Request(self.command, f"http://service{self.path}", headers={"authorization": authorization}, content=body)
        answer = asyncio.run(self.server.answers.handle_async_request(request))
        self.send_response(answer.status_code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer.content)))
        self.end_headers()
        self.wfile.write(answer.content)

    do_POST = do_PUT = do_DELETE = do_GET


@contextmanager
def answering(found):
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.answers, server.url, server.daemon_threads = found, f"http://127.0.0.1:{server.server_address[1]}", True
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def service():
    return answers.Answers(3)


@pytest.fixture
def pages(service):
    with answering(service) as server:
        process, url = guide.started(server)
        yield url
        process.terminate()
        process.wait(20)


def signed_in(page, url):
    page.goto(url + "/console/value")
    page.locator("input[name=key]").fill(answers.KEY)
    page.keyboard.press("Enter")
    page.wait_for_url("**/console/value")


def test_an_operator_changes_the_value_model_sees_the_preview_promotes_and_rolls_back(service, pages, browser):
    outside = []
    page = guide.opened(browser, pages, outside)
    page.goto(pages + "/console")
    page.get_by_label("Admin key").fill(answers.OTHER)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_text("This key has not the role admin").wait_for()
    signed_in(page, pages)

    box = page.get_by_label("Items with the largest value stand first")
    box.fill("task0.p + tusk1.p")
    page.get_by_text("character 11").wait_for()
    box.fill("task0.p + 2*")
    page.get_by_role("button", name="task1.p", exact=True).click()
    page.get_by_text("Reads well.").wait_for()
    assert box.input_value() == "task0.p + 2*task1.p"
    page.get_by_role("button", name="Preview").click()
    page.get_by_text("Items that stay").wait_for()
    page.get_by_text("8 of 10 stay").nth(2).wait_for()  # names are fetched between the figures and the lists
    assert page.get_by_text("8 of 10 stay").count() == 3
    assert box.input_value() == "task0.p + 2*task1.p"  # what was typed stays
    page.get_by_role("button", name="Save").click()
    page.get_by_role("alertdialog").get_by_role("button", name="Save").click()
    page.get_by_text("Saved; it is in force.").wait_for()
    assert service.values[""] == "task0.p + 2*task1.p"

    page.get_by_role("link", name="Versions").click()
    page.get_by_role("button", name="Promote: 0001-a").click()
    page.get_by_role("alertdialog").wait_for()
    page.keyboard.press("Escape")
    page.get_by_role("alertdialog").wait_for(state="hidden")
    assert service.active == "0002-b"
    page.get_by_role("button", name="Promote: 0003-c").click()
    page.get_by_role("alertdialog").get_by_role("button", name="Promote").click()
    page.get_by_text("0003-c answers now.").wait_for()
    assert service.active == "0003-c"
    page.get_by_role("button", name="Roll back to 0001-a").click()
    page.get_by_role("alertdialog").get_by_role("button", name="Roll back").click()
    page.get_by_text("0001-a answers again.").wait_for()
    assert service.active == "0001-a"
    page.get_by_role("button", name="Sign out").click()
    page.get_by_label("Admin key").wait_for()
    assert answers.KEY not in page.content() + page.url
    assert outside == []


def test_every_page_fits_a_phone_draws_its_plots_and_speaks_chinese(service, pages, browser):
    outside = []
    page = guide.opened(browser, pages, outside, "zh-CN", 390)
    signed_in(page, pages)
    for name, plots in PLOTS.items():
        page.goto(f"{pages}/console{name}")
        for place in range(plots):
            page.locator(".chart canvas").nth(place).wait_for()
        assert page.evaluate("document.documentElement.lang") == "zh-CN"
        assert page.evaluate("document.documentElement.scrollWidth") == 390, name
        assert [page.locator(each).count() for each in ("main", "header", "nav.side", "h1")] == [1, 1, 1, 1]
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.get_by_role("link", name="English").click()
    page.get_by_role("heading", level=1, name="Data").wait_for()
    assert outside == []
