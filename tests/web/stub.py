"""A service of canned answers: a small store whose recommendations follow what the visitor carted last. Speaks the wire's own messages."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import msgspec

from banyan.serving import messages as m

KINDS = {
    "shoes": ["Trail shoe", "Road shoe", "Sandal", "Boot"],
    "tea": ["Green tea", "Black tea", "Jasmine tea", "红茶"],
    "lamps": ["Desk lamp", "Floor lamp", "Lantern", "Torch"],
}
PICTURE = "data:image/png;base64,"  # not an address that the pages load: a tile stands in
ITEMS: dict[str, dict[str, Any]] = {
    f"{kind}/{n}": {"title": title, "category": kind, "price": 9.5 + n, "picture": PICTURE, "brand": f"Brand {n % 2}"}
    for kind, titles in KINDS.items()
    for n, title in enumerate(titles)
}


class Stub(ThreadingHTTPServer):
    """The service; `events` are those that it was told, `empty` makes a store without items."""

    daemon_threads = True

    def __init__(self, *, empty: bool = False) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.events: list[dict[str, Any]] = []
        self.asked: list[tuple[str, Any]] = []
        self.items = {} if empty else ITEMS
        self.away = False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def ranked(self, query: str = "") -> list[str]:
        """Items of the kinds touched last come first."""
        touched = [event["item"].partition("/")[0] for event in reversed(self.events) if event.get("item")]
        found = [item for item, each in self.items.items() if query.lower() in each["title"].lower()]
        return sorted(found, key=lambda item: touched.index(item.partition("/")[0]) if item.partition("/")[0] in touched else len(touched))


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Stub

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        query = parse_qs(parts.query)
        items = self.server.items
        if parts.path == "/v1/store":
            choice = {"category": list(KINDS), "brand": ["Brand 0", "Brand 1"]}
            item = {name: m.FeatureOut(kind="category", values=values) for name, values in choice.items()}
            item |= {"title": m.FeatureOut(kind="shown"), "picture": m.FeatureOut(kind="shown"), "price": m.FeatureOut(kind="number", least=9.5, most=12.5)}
            self.say(
                m.StoreAnswer(
                    store="corner_shop",
                    entities={"item": item},
                    rows={"item": len(items)},
                    behaviours=["view", "cart", "purchase"],
                    scenarios=["home", "mobile"],
                    tasks={},
                    tables={},
                    clock="time",
                )
            )
        elif parts.path == "/v1/items":
            wanted = [each.split(":", 1) for each in query.get("where", [])]
            found = [m.ItemOut(item=key, features=each) for key, each in items.items() if all(str(each.get(name)) == value for name, value in wanted)]
            start, count = int(query.get("cursor", ["0"])[0]), int(query.get("count", ["50"])[0])
            counts: dict[str, dict[str, int]] = {}
            for one in found:
                for name in ("category", "brand"):
                    counts.setdefault(name, {}).setdefault(one.features[name], 0)
                    counts[name][one.features[name]] += 1
            self.say(
                m.BrowseAnswer(
                    items=found[start : start + count], total=len(found), next=str(start + count) if start + count < len(found) else None, facets=counts
                )
            )
        elif (item := unquote(parts.path.removeprefix("/v1/items/"))) in items:
            self.say(m.ItemAnswer(item=item, features=items[item]))
        else:
            self.say(m.Problem(error=m.Wrong(code="not_found", message="There is nothing here.", request_id="r")), 404)

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.server.asked.append((self.path, body))
        if self.path == "/v1/events":
            self.server.events += body["events"]
            self.say(m.EventsTaken(accepted=len(body["events"]), duplicates=0, last=len(self.server.events)))
            return
        if self.path == "/v1/items":
            known = [item for item in body["items"] if item in self.server.items]
            unknown = [item for item in body["items"] if item not in known]
            self.say(m.ItemsFound(items=[m.ItemOut(item=item, features=self.server.items[item]) for item in known], unknown=unknown))
            return
        left = set(body.get("filters", {}).get("items_out", []))
        equal = body.get("filters", {}).get("equal", {})
        found = [item for item in self.server.ranked(body.get("query", "")) if item not in left and all(ITEMS[item][k] in v for k, v in equal.items())]
        last = next((event["item"] for event in reversed(self.server.events) if event.get("item")), None)
        why = [m.Reason(kind="past", weight=0.5, item=last)] if last else []
        self.say(m.ItemsAnswer(items=[m.PlacedItem(item=item, score=1.0, sources=["popular"], why=why) for item in found[: body["k"]]]))

    def say(self, answer: msgspec.Struct, status: int = 200) -> None:
        if self.server.away:
            answer, status = m.Problem(error=m.Wrong(code="unavailable", message="The service is busy.", request_id="r")), 503
        body = msgspec.json.encode(answer)
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def running(*, empty: bool = False) -> Iterator[Stub]:
    """The service, until the test ends."""
    with Stub(empty=empty) as stub:
        thread = threading.Thread(target=stub.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        yield stub
        stub.shutdown()
        thread.join()
