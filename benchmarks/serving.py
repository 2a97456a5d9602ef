"""How fast does the service answer, and how much of it? One machine holds the service and the load generator.

    python -m benchmarks.serving runs/first/bundle --seconds 30
    python -m benchmarks.serving runs/reference/bundle --plain          # beside a plain FastAPI service of a network of that size

Requests come at fixed times whether or not the ones before were answered (an open loop), and a latency counts from the time at which its request was due. The
last line printed is a JSON object; an entry goes to RESULTS.md.
"""

import argparse
import asyncio
import json
import os
import random
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from banyan.serving.keys import Keys
from benchmarks import _report
from benchmarks._load import Shot, load, post

LATE = 0.050  # seconds that 99 of 100 answers must keep to
TICKS = os.sysconf("SC_CLK_TCK")


def main(arguments: Sequence[str] | None = None) -> dict[str, Any]:
    """Run; returns what the last line says."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    options = _parser().parse_args(given)
    tell = _report.clock()
    result = asyncio.run(_run(options, tell))
    _report.append(options.results, _entry(shlex.join(["python", "-m", "benchmarks.serving", *given]), result))
    print(json.dumps(result), flush=True)
    return result


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serving", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--rate", type=float, default=50, help="requests a second at which latencies are told")
    parser.add_argument("--seconds", type=float, default=20, help="at that rate, and at each rate that is tried for the largest")
    parser.add_argument("--most", type=float, default=1600, help="largest rate that is tried")
    parser.add_argument("--requests", type=int, default=2_000, help="over which memory is watched: from a tenth of them to the end; 100000 for the whole look")
    parser.add_argument("--events", type=float, default=5, help="seconds of events in batches of 100; 0 for none")
    parser.add_argument("--k", type=int, default=20)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--reads", action="append", default=[])
    parser.add_argument("--plain", action="store_true", help="also a plain FastAPI service with an eager network of the same size; needs fastapi")
    parser.add_argument("--results", type=Path, default=Path("benchmarks/RESULTS.md"))
    return parser


async def _run(options: argparse.Namespace, tell: Callable[[str], None]) -> dict[str, Any]:
    users = _users(options.bundle)
    with tempfile.TemporaryDirectory() as folder:
        _, secret = Keys(Path(folder) / "keys.json", {}).add("load", ["admin"])
        told = ["--state", folder, "--workers", str(options.workers), "--threads", str(options.threads), "--no-pages"]
        told += [word for each in options.reads for word in ("--reads", each)]
        began = time.perf_counter()
        with service([sys.executable, "-c", "from banyan.cli import run; run()", "serve", str(options.bundle), *told]) as (port, process):
            head = {"authorization": f"Bearer {secret}"}
            first = await _first(port, lambda n: asks(users, options.k, n), head)
            tell(f"the first answer after {first - began:.1f} s")
            limits = {role: {"per_second": 100_000, "burst": 1_000_000} for role in ("events", "answers", "admin")}
            assert (await post(port, "/v1/limits", json.dumps({"limits": limits}).encode(), head, method="PUT"))[0] == 200
            result = {"first_answer_s": round(first - began, 1)} | await _measured(options, port, process.pid, users, head, tell)
    result["ratio_cpu_vs_plain"] = None
    if options.plain:
        plain = await _plain(options, users, tell)
        result["plain_cpu_ms"] = plain
        result["ratio_cpu_vs_plain"] = round(plain / result["cpu_ms"], 3)
        tell(f"a plain service takes {plain:.2f} CPU ms a request, this one {result['cpu_ms']:.2f}")
    return result


async def _measured(options: argparse.Namespace, port: int, pid: int, users: list[str], head: dict[str, str], tell: Callable[[str], None]) -> dict[str, Any]:
    def shots(rate: float, seconds: float) -> Iterator[Shot]:
        for n in range(int(rate * seconds)):
            yield Shot(n / rate, "/v1/recommend", asks(users, options.k, n), head)

    await load(port, shots(options.rate, 3))  # the first answers fill caches
    before = cpu(pid)
    found = await load(port, shots(options.rate, options.seconds))
    used = 1e3 * (cpu(pid) - before) / max(len(found.seconds), 1)
    p50, p99 = found.quantile(0.5), found.quantile(0.99)
    tell(f"at {options.rate:g} a second: p50 {p50:.1f} ms, p99 {p99:.1f} ms, {found.failed} failed, {used:.2f} CPU ms a request")
    largest = await _largest(port, shots, options, tell)
    growth = await _growth(port, pid, shots, options, max(largest * 0.7, options.rate), tell)
    events = await _events(port, users, head, options.events) if options.events else None
    if events is not None:
        tell(f"{events:,.0f} events a second, durable, in batches of 100")
    return {
        "p50_ms": round(p50, 2), "p99_ms": round(p99, 2), "failed": found.failed, "rate": options.rate, "cpu_ms": round(used, 3), "max_rps_p99_50ms": largest,
        "events_per_s": events and round(events), "rss_growth": growth, "requests": options.requests, "rss_mb": round(rss(pid) / 1e6),
    }  # fmt: skip


async def _largest(port: int, shots: Callable[[float, float], Iterator[Shot]], options: argparse.Namespace, tell: Callable[[str], None]) -> float:
    """The largest rate at which p99 stays under LATE and nothing fails: doubled until it does not, then halved between."""
    good, bad, rate = 0.0, options.most * 2, options.rate
    while rate <= options.most and bad - good > 0.06 * max(good, 1):
        found = await load(port, shots(rate, min(options.seconds, 8)))
        fine = found.quantile(0.99) < LATE * 1e3 and not found.failed
        tell(f"at {rate:.0f} a second: p50 {found.quantile(0.5):.1f} ms, p99 {found.quantile(0.99):.1f} ms, {found.failed} failed")
        good, bad = (rate, bad) if fine else (good, rate)
        rate = 2 * rate if bad > options.most else (good + bad) / 2
        await asyncio.sleep(1)
    return round(good, 1)


async def _growth(
    port: int, pid: int, shots: Callable[[float, float], Iterator[Shot]], options: argparse.Namespace, rate: float, tell: Callable[[str], None]
) -> float:
    """Share by which the workers' memory grew from a tenth of the requests to the end."""
    await load(port, shots(rate, options.requests / 10 / rate))
    early = rss(pid)
    await load(port, shots(rate, 0.9 * options.requests / rate))
    late = rss(pid)
    tell(f"memory: {early / 1e6:.0f} MB after {options.requests // 10:,} requests, {late / 1e6:.0f} MB after {options.requests:,}")
    return round(late / early - 1, 4)


async def _events(port: int, users: list[str], head: dict[str, str], seconds: float) -> float:
    rng, taken, until = random.Random(0), 0, time.perf_counter() + seconds
    began = time.perf_counter()

    async def one(worker: int) -> None:
        nonlocal taken
        n = 0
        while time.perf_counter() < until:
            n += 1
            events = [{"id": f"{worker}-{n}-{i}", "user": rng.choice(users), "item": "i1", "behaviour": "view"} for i in range(100)]
            status, body = await post(port, "/v1/events", json.dumps({"events": events}).encode(), head)
            assert status == 200, body
            taken += json.loads(body)["accepted"]

    await asyncio.gather(*(one(worker) for worker in range(4)))
    return taken / (time.perf_counter() - began)


async def _plain(options: argparse.Namespace, users: list[str], tell: Callable[[str], None]) -> float:
    """CPU milliseconds a request of the plain service."""
    size = json.dumps(sizes(options.bundle))
    tell(f"plain: {size}")
    with service([sys.executable, "-m", "benchmarks._plain", size]) as (port, process):
        await _first(port, lambda n: asks(users, options.k, n), {})
        shots = [Shot(n / options.rate, "/v1/recommend", asks(users, options.k, n), {}) for n in range(int(options.rate * options.seconds))]
        await load(port, iter(shots[: int(options.rate * 3)]))
        before = cpu(process.pid)
        found = await load(port, iter(shots))
        tell(f"plain at {options.rate:g} a second: p50 {found.quantile(0.5):.1f} ms, p99 {found.quantile(0.99):.1f} ms, {found.failed} failed")
        return 1e3 * (cpu(process.pid) - before) / max(len(found.seconds), 1)


def sizes(bundle: Path) -> dict[str, Any]:
    """What a plain network of the same size needs to know: tokens, width, views, rows of the table."""
    from banyan.bundle import Bundle

    kept = Bundle.load(bundle, device="cpu")
    pointwise = [name for name in kept.served if set(kept.plan.tables[kept.store.tasks[name].samples].entities) == {"user", "item"}]
    views = sum(len(kept.network.views[name]) for name in pointwise if not kept.plan.tables[kept.store.tasks[name].samples].ranking)
    trunk = next(iter(kept.network.trunks.values())) if hasattr(kept.network, "trunks") else None
    tokens = sum(len(layout.tokens) for layout in kept.plan.entities.values()) + 3
    flat = getattr(getattr(getattr(trunk, "sharing", None), "experts", None), "inputs", 0) or tokens * kept.store.model.width
    return {"flat": flat, "width": kept.store.model.width, "views": max(views, 1), "items": len(kept.stock.ids["item"]), "users": len(kept.stock.ids["user"])}


def asks(users: list[str], k: int, n: int) -> bytes:
    """The n-th question."""
    return json.dumps({"user": users[n * 7919 % len(users)], "k": k}).encode()


def _users(bundle: Path) -> list[str]:
    facts = json.loads((bundle / "store.json").read_text())
    place = list(facts["entities"]).index("user") if "entities" in facts else 0
    found = sorted(bundle.glob("entity-*.ids.parquet"))
    ids = pl.read_parquet(found[place]).to_series().cast(pl.String).to_list()
    return [str(each) for each in np.random.default_rng(0).permutation(ids)[:5000]]


@contextmanager
def service(command: list[str]) -> Iterator[tuple[int, subprocess.Popen[bytes]]]:
    """(Port, process) of a service that is told to listen on a free port, ended at the end."""
    import socket

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    env = os.environ | {"OMP_NUM_THREADS": "1"}
    process = subprocess.Popen([*command, "--port", str(port)], env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield port, process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(40)
        except subprocess.TimeoutExpired:
            process.kill()


async def _first(port: int, body: Callable[[int], bytes], head: dict[str, str], seconds: float = 300) -> float:
    """When the first answer came."""
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        try:
            status, _ = await post(port, "/v1/recommend", body(0), head)
            if status == 200:
                return time.perf_counter()
        except (OSError, ValueError, EOFError):
            pass
        await asyncio.sleep(0.1)
    raise SystemExit("The service did not answer.")


def family(pid: int) -> list[int]:
    """A process and all below it."""
    found = [pid]
    for each in found:
        for task in Path(f"/proc/{each}/task").glob("*/children") if Path(f"/proc/{each}").exists() else ():
            found += [int(child) for child in task.read_text().split()]
    return found


def cpu(pid: int) -> float:
    """CPU seconds of a process and all below it."""
    total = 0.0
    for each in family(pid):
        fields = Path(f"/proc/{each}/stat").read_text().rsplit(")", 1)[1].split()
        total += (int(fields[11]) + int(fields[12])) / TICKS
    return total


def rss(pid: int) -> float:
    """Bytes of memory of a process and all below it."""
    return float(sum(int(Path(f"/proc/{each}/statm").read_text().split()[1]) for each in family(pid)) * os.sysconf("SC_PAGE_SIZE"))


def _entry(command: str, result: dict[str, Any]) -> str:
    rows = [f"| {name} | {value} |" for name, value in result.items()]
    return "\n".join(["\n## serving\n", *_report.facts(command, _report.versions({})), "", "| figure | found |", "| --- | --- |", *rows, ""])


if __name__ == "__main__":
    main()
