"""The web pages stand at every path that is not the service's own; paths with a parameter are the service's."""

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest


class Told(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = f"page {self.path} host {self.headers['host']} key {self.headers['authorization']}".encode()
        if self.path == "/who":
            body = f"cookie {self.headers['cookie']}".encode()
        self.send_response(200)
        if self.path == "/sign-in":
            self.send_header("set-cookie", "word=secret; Path=/; HttpOnly")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def house(make: Callable[..., Any]) -> Iterator[Any]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Told)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield make(pages=f"http://127.0.0.1:{server.server_port}")
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.parametrize("path", ["/v1/users/u-1/profile", "/v1/users/u-1/events", "/v1/nothing", "/docs/nothing"])
def test_the_services_own_paths_never_reach_the_pages(house: Any, path: str) -> None:
    answer = house.get(path)
    assert not answer.text.startswith("page")
    assert answer.status_code in (200, 404, 503)
    assert answer.headers["content-type"].startswith("application/json")


@pytest.mark.parametrize("path", ["/", "/item?id=4", "/console", "/v1x", "/_nicegui/3/a.js"])
def test_every_other_path_is_a_page_and_no_key_goes_there(house: Any, path: str) -> None:
    answer = house.get(path)
    assert answer.text == f"page {path} host testserver.local key None"


def test_a_cookie_of_one_visitor_never_goes_along_with_anothers_request(house: Any) -> None:
    assert house.get("/sign-in").headers["set-cookie"].startswith("word=secret")
    house.client.cookies.clear()
    assert house.get("/who").text == "cookie None"
    assert house.client.get("/who", headers={"cookie": "word=mine"}).text == "cookie word=mine"
