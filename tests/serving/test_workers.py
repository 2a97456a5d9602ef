"""`banyan serve` with two workers, as processes: they agree within a second, hold slow and large clients off, and finish what they took."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import torch

from banyan.bundle import save
from banyan.features.build import build
from banyan.model import Network
from banyan.serving.keys import Keys
from banyan.serving.server import ready
from banyan.store.shop import Shop

pytestmark = pytest.mark.slow


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
        assert ready(self.url, 240.0), (folder / "log").read_text()

    def ask(self, method: str, path: str, body: Any = None) -> httpx.Response:
        """Over a connection of its own, so that either worker may take it."""
        return httpx.request(method, self.url + path, json=body, headers=self.head, timeout=60, trust_env=False)

    def end(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(60)
        self.log.close()
        return code


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory, shop: Shop) -> dict[str, Path]:
    folder, found = tmp_path_factory.mktemp("bundles"), {}
    for seed, name in enumerate(("old", "new")):
        torch.manual_seed(seed)
        data = build(shop)
        found[name] = save(folder / name, Network(data.plan, shop.store.model, shop.store.tasks), data, shop.store, {})
    return found


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, bundles: dict[str, Path]) -> Iterator[Running]:
    found = Running(tmp_path_factory.mktemp("service"), bundles["old"], "--workers", "2")
    yield found
    if found.process.poll() is None:
        found.end()


def agreed(running: Running, key: str, wanted: Any, seconds: float = 1.0) -> None:
    """Every answer from `seconds` on is of the new setting."""
    time.sleep(seconds)
    seen = [running.ask("POST", "/v1/recommend", {"user": f"u{n}", "k": 1}).json()[key] for n in range(30)]
    assert set(seen) == {wanted}


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
    time.sleep(1)
    late = {"Authorization": f"Bearer {secret}"}
    assert {httpx.get(f"{running.url}/v1/value", headers=late, trust_env=False).status_code for _ in range(10)} == {200}
    assert running.ask("PUT", "/v1/limits", {"limits": {key.id: {"per_second": 0.01, "burst": 3}}}).status_code == 200
    time.sleep(1)
    statuses = [httpx.get(f"{running.url}/v1/value", headers=late, trust_env=False).status_code for _ in range(12)]
    assert statuses.count(200) <= 3  # over both workers together
    assert set(statuses[3:]) == {429}
    Keys(running.state / "keys.json", {}).revoke(key.id)
    time.sleep(1)
    assert {httpx.get(f"{running.url}/v1/value", headers=late, trust_env=False).status_code for _ in range(10)} == {401}


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
