"""`banyan serve` with two workers, as processes: they agree within a second, hold slow and large clients off, and finish what they took."""

import contextlib
import itertools
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from banyan.serving.keys import Keys
from banyan.serving.server import ready
from banyan.serving.state import journal_at

pytestmark = pytest.mark.slow
READY = 240.0  # seconds for the first answer


class Running:
    """A service that was started by the command."""

    def __init__(self, folder: Path, bundle: Path, *more: str) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url, self.state = f"http://127.0.0.1:{self.port}", folder / "state"
        _, secret = Keys(self.state / "keys.json", {}).add("test", ["admin"])
        self.head = {"Authorization": f"Bearer {secret}"}
        self.log = (folder / "log").open("wb")
        command = [sys.executable, "-c", "from banyan.cli import run; run()", "serve", str(bundle), "--state", str(self.state), "--port", str(self.port)]
        self.process = subprocess.Popen([*command, "--no-pages", *more], env=os.environ | {"OMP_NUM_THREADS": "1"}, stdout=self.log, stderr=self.log)
        if not ready(self.url, READY):
            self.process.kill()
            self.end()
            raise AssertionError((folder / "log").read_text())

    def ask(self, method: str, path: str, body: Any = None) -> httpx.Response:
        """Over a connection of its own, so that either worker may take it."""
        return httpx.request(method, self.url + path, json=body, headers=self.head, timeout=60, trust_env=False)

    def end(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(60)
        self.log.close()
        return code


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, bundles: dict[str, Path]) -> Iterator[Running]:
    found = Running(tmp_path_factory.mktemp("service"), bundles["old"], "--workers", "2")
    yield found
    if found.process.poll() is None:
        found.end()


def agreed(running: Running, key: str, wanted: Any, seconds: float = 1.0) -> None:
    """Every answer from `seconds` on is of the new setting."""
    time.sleep(seconds)
    assert {_told(running, key) for _ in range(30)} == {wanted}


def _told(running: Running, key: str) -> Any:
    answer = running.ask("POST", "/v1/recommend", {"user": "u1", "k": 1}).json()
    assert {"model", "value", "request_id"} <= set(answer), answer
    assert answer["model"]
    return answer[key]


def until(holds: Callable[[], bool], seconds: float = 120.0) -> float:
    """Wait for a condition; the moment at which it held."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it never held"
        time.sleep(0.05)
    return time.monotonic()


def test_both_workers_adopt_a_value_model_a_version_a_limit_and_a_key_within_a_second(running: Running, bundles: dict[str, Path]) -> None:
    version = running.ask("PUT", "/v1/value", {"expression": "item.price"}).json()["version"]
    agreed(running, "value", version)
    shutil.copytree(bundles["new"], running.state / "incoming" / "new")
    name = running.ask("POST", "/v1/models", {"folder": "new"}).json()["versions"][0]["version"]
    assert running.ask("POST", f"/v1/models/{name}/promote").json()["active"] == name
    agreed(running, "model", name)
    old = running.ask("POST", "/v1/models/roll_back").json()["active"]
    agreed(running, "model", old)
    key, secret = Keys(running.state / "keys.json", {}).add("late", ["answers"])
    late = {"Authorization": f"Bearer {secret}"}

    def status() -> int:
        return httpx.get(f"{running.url}/v1/value", headers=late, timeout=60, trust_env=False).status_code

    time.sleep(1)
    assert {status() for _ in range(10)} == {200}
    assert running.ask("PUT", "/v1/limits", {"limits": {key.id: {"per_second": 0.01, "burst": 3}}}).status_code == 200
    time.sleep(1)
    statuses = [status() for _ in range(12)]
    assert statuses.count(200) <= 3  # over both workers together
    assert set(statuses[3:]) == {429}
    Keys(running.state / "keys.json", {}).revoke(key.id)
    time.sleep(1)
    assert {status() for _ in range(10)} == {401}


def test_a_worker_that_is_killed_loses_nothing_it_acknowledged_and_another_takes_its_place(running: Running) -> None:
    acknowledged, end = list[str](), threading.Event()

    def send() -> None:
        for n in itertools.count():
            if end.is_set():
                return
            batch = [f"k{n}-{i}" for i in range(20)]
            events = [{"id": each, "user": "killed", "item": "i1", "behaviour": "view"} for each in batch]
            with contextlib.suppress(httpx.HTTPError):  # the worker that took it was killed: nothing was acknowledged
                if running.ask("POST", "/v1/events", {"events": events}).status_code == 200:
                    acknowledged.extend(batch)

    sending = threading.Thread(target=send)
    sending.start()
    for _ in range(2):
        killed, heard = workers(running)[0], len(acknowledged)
        until(lambda heard=heard: len(acknowledged) > heard + 100)
        os.kill(killed, signal.SIGKILL)
        until(lambda killed=killed: len(workers(running)) == 2 and killed not in workers(running))
    end.set()
    sending.join()
    until(lambda: running.ask("GET", "/readyz").status_code == 200)
    journal = journal_at(running.state)
    kept = [event.id for _, event in journal.since(0)]
    journal.close()
    assert not set(acknowledged) - set(kept), "an acknowledged event was lost"
    assert len(kept) == len(set(kept)), "an event stands twice"


def workers(running: Running) -> list[int]:
    """The processes that answer: children of the first that listen to it and import the service."""
    found = Path(f"/proc/{running.process.pid}/task/{running.process.pid}/children").read_text().split()
    return [int(each) for each in found if b"spawn_main" in Path(f"/proc/{each}/cmdline").read_bytes()]


def test_the_next_answer_knows_an_event_whichever_worker_took_it(running: Running) -> None:
    for n in range(8):
        ask = {"user": f"u{n}", "k": 3, "filters": {"leave_out": ["buy"]}}
        first = running.ask("POST", "/v1/recommend", ask).json()["items"][0]["item"]
        told = {"events": [{"id": f"w{n}", "user": f"u{n}", "item": first, "behaviour": "buy"}]}
        assert running.ask("POST", "/v1/events", told).status_code == 200
        assert first not in [each["item"] for each in running.ask("POST", "/v1/recommend", ask).json()["items"]]


def test_a_slow_head_ends_and_a_large_one_is_refused(running: Running) -> None:
    with socket.create_connection(("127.0.0.1", running.port)) as line:
        line.sendall(b"GET /healthz HTTP/1.1\r\nx: " + b"a" * 200_000)
        answer = line.recv(4096)
    assert answer.startswith(b"HTTP/1.1 400")
    assert json.loads(answer.split(b"\r\n\r\n", 1)[1])["error"]["code"] == "malformed"
    with socket.create_connection(("127.0.0.1", running.port)) as line:
        line.settimeout(30)
        line.sendall(b"GET /healthz HTTP/1.1\r\nhost: x\r\n")
        began = time.monotonic()
        assert line.recv(100) == b""
        assert 5 < time.monotonic() - began < 25
    assert running.ask("GET", "/healthz").status_code == 200


def test_a_body_that_does_not_come_is_refused_and_one_that_never_ends_too(running: Running) -> None:
    head = f"POST /v1/recommend HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\nauthorization: {running.head['Authorization']}\r\n"
    with socket.create_connection(("127.0.0.1", running.port)) as line:
        line.settimeout(30)
        line.sendall(f"{head}content-length: 100\r\n\r\n{{".encode())
        assert line.recv(4096).startswith(b"HTTP/1.1 408")
    with socket.create_connection(("127.0.0.1", running.port)) as line:
        line.settimeout(30)
        line.sendall(f"{head}transfer-encoding: chunked\r\n\r\n".encode())
        try:
            for _ in range(100):
                line.sendall(b"1000\r\n" + b"a" * 4096 + b"\r\n")
        except OSError:
            pass
        assert line.recv(4096).startswith(b"HTTP/1.1 413")


def test_a_service_that_is_told_to_end_answers_what_it_took(tmp_path: Path, bundles: dict[str, Path]) -> None:
    running = Running(tmp_path, bundles["old"])
    with socket.create_connection(("127.0.0.1", running.port)) as line:
        line.settimeout(30)
        body = b'{"user": "u1", "k": 2}'
        head = f"POST /v1/recommend HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\nauthorization: {running.head['Authorization']}\r\n"
        line.sendall(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body[:5])
        time.sleep(0.5)  # it has begun to read
        running.process.send_signal(signal.SIGTERM)
        time.sleep(0.5)
        line.sendall(body[5:])
        assert line.recv(65_536).startswith(b"HTTP/1.1 200")
    assert running.process.wait(60) == 0
    running.log.close()
