"""What the first process starts, it ends."""

import os
import signal
import subprocess
import sys
from contextlib import ExitStack

import pytest

from banyan.serving.server import ending


def test_a_signal_to_end_leaves_the_block_as_an_exit_does() -> None:
    before = signal.getsignal(signal.SIGTERM)
    left: list[str] = []

    def told() -> None:
        with ending(), ExitStack() as stack:
            stack.callback(left.append, "the pages")
            signal.raise_signal(signal.SIGTERM)

    with pytest.raises(SystemExit) as found:
        told()
    assert (found.value.code, left) == (0, ["the pages"])
    assert signal.getsignal(signal.SIGTERM) is before


def test_what_was_started_is_ended_when_uvicorn_raises_the_signal_once_more() -> None:
    process = """
import signal, subprocess, sys, uvicorn
from banyan.serving.server import Beside, ending

class Waiting(Beside):
    MODULE = "http.server"

async def application(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        signal.raise_signal(signal.SIGTERM)
        await receive()
        await send({"type": "lifespan.shutdown.complete"})

with ending():
    beside = Waiting("http://127.0.0.1:1", "key", local=True)
    beside.environment = {}
    with beside:
        print(beside.process.pid, flush=True)
        uvicorn.run(application, port=0, log_level="critical")
"""
    done = subprocess.run([sys.executable, "-c", process], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    with pytest.raises(ProcessLookupError):
        os.kill(int(done.stdout.split()[0]), 0)
