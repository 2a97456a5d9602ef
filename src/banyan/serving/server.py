"""Starts the workers and the process of the web pages, and ends them. Knows uvicorn, and no routes."""

import importlib.util
import logging
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import uvicorn

from banyan.serving.door import Door
from banyan.serving.house import House
from banyan.serving.logs import LOGGER, start
from banyan.serving.patient import Patient

IDLE_SECONDS = 20  # of a connection that asks nothing
ALIVE_SECONDS = 60  # for a worker to answer the first process, also while it loads a model on a busy machine
GRACE_SECONDS = 30  # for requests that were taken, when the service is told to end
CONNECTIONS = 2_000  # of one worker; what comes on top is refused
log = logging.getLogger(LOGGER)


def application() -> Door:
    """A worker's application, from what the first process left in the environment."""
    import torch

    from banyan.serving.api import create

    start()
    threads = os.environ.get("OMP_NUM_THREADS", "")
    torch.set_num_threads(int(threads) if threads.isdigit() and int(threads) else 1)
    return create(House.of_environment().service())


def serve(house: House, host: str, port: int, workers: int, *, told: Callable[[str], None] | None = None) -> None:
    """Answer until SIGTERM or SIGINT; then finish what was taken. `told` is called with the address once, before the workers are there.

    Raises OSError where the port is taken.
    """
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind((host, port))
    house.to_environment()
    clean(house.local / "metrics")
    start()
    if told is not None:
        told(f"http://{'127.0.0.1' if host in ('0.0.0.0', '::') else host}:{port}")
    settings: dict[str, Any] = {
        "factory": True, "host": host, "port": port, "http": Patient, "ws": "websockets-sansio", "ws_max_size": 4_194_304, "backlog": 2048,
        "timeout_keep_alive": IDLE_SECONDS, "timeout_graceful_shutdown": GRACE_SECONDS, "timeout_worker_healthcheck": ALIVE_SECONDS,
        "limit_concurrency": CONNECTIONS, "server_header": False, "date_header": False, "log_config": None, "access_log": False, "lifespan": "on",
    }  # fmt: skip
    uvicorn.run("banyan.serving.server:application", workers=workers if workers > 1 else None, **settings)


@contextmanager
def ending() -> Iterator[None]:
    """SIGTERM leaves the block as an exit does, so that what was started in it is ended too: uvicorn raises the signal once more when it has finished."""

    def leave(number: int, frame: object) -> None:
        raise SystemExit(0)

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def clean(folder: Path) -> None:
    """Forget what the workers of an earlier start counted."""
    for path in folder.glob("*.json") if folder.is_dir() else ():
        path.unlink(missing_ok=True)


class Beside:
    """The process of the web pages, where they are installed; use it as a context manager."""

    MODULE = "banyan.web"

    def __init__(self, api: str, key: str, *, local: bool) -> None:
        """`local`: only this machine can reach the pages; else nobody signs in as another unless `BANYAN_GUIDE_SIGN_IN` says so."""
        self.port = _free()
        self.environment = {
            "BANYAN_API_URL": api,
            "BANYAN_PAGES_KEY": key,
            "BANYAN_PAGES_PORT": str(self.port),
            "BANYAN_PAGES_SECRET": secrets.token_urlsafe(32),
            "BANYAN_GUIDE_SIGN_IN": os.environ.get("BANYAN_GUIDE_SIGN_IN") or ("yes" if local else "no"),
        }
        self.process: subprocess.Popen[bytes] | None = None

    @classmethod
    def there(cls) -> bool:
        """Whether the pages, and what they need, are installed."""
        return importlib.util.find_spec(cls.MODULE) is not None and importlib.util.find_spec("nicegui") is not None

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> "Beside":
        self.process = subprocess.Popen([sys.executable, "-m", self.MODULE], env=os.environ | self.environment)
        return self

    def __exit__(self, *_: object) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()


def _free() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def ready(url: str, seconds: float) -> bool:
    """Whether the service answers within so many seconds."""
    import httpx

    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            if httpx.get(f"{url}/readyz", timeout=2, trust_env=False).status_code == 200:
                return True
        except httpx.HTTPError:
            pass
        time.sleep(0.1)
    return False
