"""How fast does the service answer, and how much of it? One machine holds the service and the load generator.

    python -m benchmarks.serving runs/first/bundle --plain            # beside a plain FastAPI service of a network of the same size
    python -m benchmarks.serving --reference /tmp/reference --plain   # a fixed network, an MMoE with 8 experts [256,128], made in that folder once
    python -m benchmarks.serving runs/first/bundle --short            # some seconds a figure, to see that all works

500 candidates are ranked by all tasks about a user and an item. Requests and events come at fixed times whether or not the ones before were answered (an open
loop), and a latency counts from the time at which its request was due. The last line printed is a JSON object; an entry goes to RESULTS.md.
"""

import argparse
import asyncio
import json
import os
import shlex
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from banyan import parts
from banyan.bundle import Bundle
from banyan.serving.keys import Keys
from benchmarks import _report
from benchmarks._load import Found, Shot, drained, load, post
from benchmarks._reference import reference
from benchmarks._service import cpu, first, rss, service, serving

LATE = 0.050  # seconds that 99 of 100 answers must keep to
LATE_EVENTS = 1.0  # and 99 of 100 batches of events
BATCH = 100  # events together
LINES = 3  # connections that ask as fast as they are answered, while memory is watched
PART = 5_000  # requests between two looks at it
PAUSE = 1.0  # seconds between two rates
IDLE = 3.0  # seconds in which nothing is asked
SHORT = {"seconds": 5.0, "most": 200.0, "requests": 500, "events": 3.0}
Tell = Callable[[str], None]


def main(arguments: Sequence[str] | None = None) -> dict[str, Any]:
    """Run; returns what the last line says."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    parser = _parser()
    if "--short" in given:
        parser.set_defaults(**SHORT)
    options = parser.parse_args(given)
    if (options.bundle is None) == (options.reference is None):
        raise SystemExit("Name a bundle, or --reference FOLDER.")
    tell = _report.clock()
    if options.reference is not None:
        tell(f"the reference in {options.reference}")
        options.bundle = reference(options.reference, options.items, options.users, options.log)
    began = os.getloadavg()[0]
    result = asyncio.run(_run(options, tell)) | {"load_before": round(began, 2), "load_after": round(os.getloadavg()[0], 2)}
    _report.append(options.results, _entry(shlex.join(["python", "-m", "benchmarks.serving", *given]), result))
    print(json.dumps(result), flush=True)
    return result


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serving", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("bundle", type=Path, nargs="?")
    parser.add_argument("--reference", type=Path, metavar="FOLDER", help="instead of a bundle: a fixed network over a drawn store, made in this folder once")
    parser.add_argument("--items", type=int, default=10_000, help="of the reference's store")
    parser.add_argument("--users", type=int, default=2_000, help="of the reference's store")
    parser.add_argument("--log", type=int, default=69_000, help="events of the reference's store")
    parser.add_argument("--rate", type=float, default=50, help="requests a second at which latencies are told")
    parser.add_argument("--seconds", type=float, default=20, help="at that rate, and at each rate that is tried for the largest")
    parser.add_argument("--most", type=float, default=1600, help="largest rate that is tried; 0 tries none")
    parser.add_argument("--requests", type=int, default=2_000, help="over which memory is watched: from a tenth of them to the end; 100000 for the whole look")
    parser.add_argument("--events", type=float, default=5, help="seconds of events at each rate that is tried; 0 for none")
    parser.add_argument("--k", type=int, default=20)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--reads", action="append", default=[])
    parser.add_argument("--plain", action="store_true", help="also a plain FastAPI service with an eager network of the same size")
    parser.add_argument("--short", action="store_true", help=", ".join(f"{name} {value:g}" for name, value in SHORT.items()))
    parser.add_argument("--results", type=Path, default=Path(__file__).with_name("RESULTS.md"))
    return parser


async def _run(options: argparse.Namespace, tell: Tell) -> dict[str, Any]:
    about = told(options.bundle)
    tell(f"{about['items']:,} items, {about['users']:,} users, {about['views']} views, a row of {about['flat']} numbers, sharing {about['sharing']}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        state = folder / "state"
        state.mkdir()
        _, secret = Keys(state / "keys.json", {}).add("load", ["admin"])
        began = time.perf_counter()
        command = serving(options.bundle, state, options.workers, options.threads, options.reads)
        with service(command, folder / "log") as (port, process):
            one = Load(port, process.pid, about["names"], {"authorization": f"Bearer {secret}"}, options, tell)
            at = await first(port, process, one.body(0), one.head, folder / "log")
            tell(f"the first answer after {at - began:.1f} s")
            await one.settle(about["value"])
            result = {"first_answer_s": round(at - began, 1)} | await _measured(one, about["known"])
        if options.plain:
            result |= await _plain(options, about, folder / "plain.log", tell)
            result["ratio_cpu_vs_plain"] = round(result["plain_cpu_ms"] / result["cpu_ms"], 3)
            tell(f"a plain service takes {result['plain_cpu_ms']:.2f} CPU ms a request, this one {result['cpu_ms']:.2f}")
    return result


class Load:
    """Requests and events for one service."""

    def __init__(self, port: int, pid: int, users: Sequence[str], head: dict[str, str], options: argparse.Namespace, tell: Tell) -> None:
        self.port, self.pid, self.users, self.head, self.options, self.tell = port, pid, users, head, options, tell
        self.asked = 0
        self.failed = 0

    def body(self, n: int) -> bytes:
        """The n-th question."""
        return json.dumps({"user": self.users[n * 7919 % len(self.users)], "k": self.options.k}).encode()

    async def settle(self, value: str) -> None:
        """No limits, and a value model that names all tasks about a user and an item."""
        limits = {role: {"per_second": 100_000, "burst": 1_000_000} for role in ("events", "answers", "admin")}
        for path, body in (("/v1/limits", {"limits": limits}), ("/v1/value", {"expression": value})):
            status, said = await post(self.port, path, json.dumps(body).encode(), self.head, method="PUT")
            if status != 200:
                raise SystemExit(f"The service refused {path}: {status} {said[:300]!r}")
        await asyncio.sleep(2)  # workers adopt it

    async def ask(self, rate: float, seconds: float) -> Found:
        """Questions at a rate."""
        first = self.asked
        self.asked += int(rate * seconds)
        found = await load(self.port, (Shot((n - first) / rate, "/v1/recommend", self.body(n), self.head) for n in range(first, self.asked)))
        self.failed += found.failed
        return found

    async def mix(self, known: tuple[Sequence[str], str], count: int) -> None:
        """Questions as fast as they are answered: of known users, each fifth of somebody new, and each fiftieth an event instead."""
        items, behaviour = known

        def shots() -> Iterator[Shot]:
            for n in range(self.asked, self.asked + count):
                if n % 50 == 49:
                    user = self.users[n * 104_729 % len(self.users)]
                    event = {"id": f"mix-{n}", "user": user, "item": items[n * 7919 % len(items)], "behaviour": behaviour}
                    yield Shot(0.0, "/v1/events", json.dumps({"events": [event]}).encode(), self.head)
                else:
                    body = json.dumps({"user": f"new-{n}", "k": self.options.k}).encode() if n % 5 == 0 else self.body(n)
                    yield Shot(0.0, "/v1/recommend", body, self.head)

        found = await drained(self.port, shots(), LINES)
        self.asked += count
        self.failed += found.failed

    async def tell_events(self, items: Sequence[str], behaviour: str, rate: float, seconds: float) -> Found:
        """Batches of events at a rate."""
        rng = np.random.default_rng(self.asked)
        name = f"{rate:g}"

        def shots() -> Iterator[Shot]:
            for n in range(int(rate * seconds)):
                who, what = rng.integers(len(self.users), size=BATCH), rng.integers(len(items), size=BATCH)
                events = [
                    {"id": f"{name}-{n}-{i}", "user": self.users[u], "item": items[j], "behaviour": behaviour}
                    for i, (u, j) in enumerate(zip(who.tolist(), what.tolist(), strict=True))
                ]
                yield Shot(n / rate, "/v1/events", json.dumps({"events": events}).encode(), self.head)

        return await load(self.port, shots())


async def _measured(one: Load, known: tuple[list[str], str]) -> dict[str, Any]:
    options, tell = one.options, one.tell
    tell(f"warming up: {await one.ask(options.rate, min(options.seconds, 5))}")
    before = cpu(one.pid)
    await asyncio.sleep(IDLE)
    idle = 1e3 * (cpu(one.pid) - before) / IDLE  # a service that nobody asks follows its settings; in `cpu_ms` that is shared among the requests
    before = cpu(one.pid)
    found = await one.ask(options.rate, options.seconds)
    used = 1e3 * (cpu(one.pid) - before) / max(len(found.seconds) + found.failed, 1)
    tell(f"at {options.rate:g} a second: {found}; {used:.2f} CPU ms a request")

    async def asked(rate: float) -> Found:
        return await one.ask(rate, min(options.seconds, 8))

    async def told(rate: float) -> Found:
        return await one.tell_events(*known, rate, options.events)

    largest = await _largest(asked, options.rate / 4, options.most, LATE, "requests", tell) if options.most else None
    growth = await _growth(one, known)
    if options.events and options.most:
        tell(f"warming up: {await one.tell_events(*known, 2, 3)}")
    batches = await _largest(told, 10, options.most, LATE_EVENTS, "batches of events", tell) if options.events and options.most else None
    return {
        "p50_ms": round(found.quantile(0.5), 2), "p99_ms": round(found.quantile(0.99), 2), "failed": found.failed, "failures": dict(found.failures),
        "rate": options.rate, "cpu_ms": round(used, 3), "idle_cpu_ms_a_second": round(idle, 1), "max_rps_p99_50ms": largest,
        "events_per_s": batches and round(batches * BATCH),
        "rss_growth": growth, "requests": options.requests, "failed_while_watched": one.failed, "rss_mb": round(rss(one.pid) / 1e6), "ratio_cpu_vs_plain": None,
    }  # fmt: skip


async def _largest(asked: Callable[[float], Any], rate: float, most: float, late: float, what: str, tell: Tell) -> float:
    """The largest rate at which 99 of 100 keep within `late` seconds and nothing fails: doubled until it does not, then halved between. 0 for none."""
    good, bad = 0.0, most * 2
    while rate <= most and bad - good > 0.06 * max(good, 1) and rate >= 1:
        found: Found = await asked(rate)
        fine = found.quantile(0.99) < late * 1e3 and not found.failed
        tell(f"{rate:.0f} {what} a second: {found}")
        good, bad = (rate, bad) if fine else (good, rate)
        rate = 2 * rate if bad > most else (good + bad) / 2
        await asyncio.sleep(PAUSE)
    return round(good, 1)


async def _growth(one: Load, known: tuple[Sequence[str], str]) -> float:
    """Share by which the service's memory grew from a tenth of the requests to the end; those before count."""
    requests = one.options.requests
    await one.mix(known, max(requests // 10 - one.asked, LINES))
    began, early = one.asked, rss(one.pid)
    one.failed = 0
    while one.asked < requests:
        await one.mix(known, min(PART, requests - one.asked))
        one.tell(f"{one.asked:,} requests: {rss(one.pid) / 1e6:.0f} MB")
    late = rss(one.pid)
    one.tell(f"memory: {early / 1e6:.0f} MB after {began:,} requests, {late / 1e6:.0f} MB after {one.asked:,}; {one.failed} failed between")
    return round(late / early - 1, 4)


async def _plain(options: argparse.Namespace, about: dict[str, Any], log: Path, tell: Tell) -> dict[str, Any]:
    """What a plain service takes for the same questions at the same rate."""
    size = json.dumps({key: about[key] for key in ("flat", "width", "views", "items", "users", "experts", "layers", "tower")})
    tell(f"plain: {size}")
    with service([sys.executable, "-m", "benchmarks._plain", size], log) as (port, process):
        one = Load(port, process.pid, about["names"], {}, options, tell)
        await first(port, process, one.body(0), {}, log)
        await one.ask(options.rate, 3)
        before = cpu(process.pid)
        found = await one.ask(options.rate, options.seconds)
        used = 1e3 * (cpu(process.pid) - before) / max(len(found.seconds) + found.failed, 1)
        tell(f"plain at {options.rate:g} a second: {found}")
        return {"plain_p50_ms": round(found.quantile(0.5), 2), "plain_p99_ms": round(found.quantile(0.99), 2), "plain_cpu_ms": round(used, 3)}


def told(folder: Path) -> dict[str, Any]:
    """What is asked about a bundle, and how large its network is. The plain network is a mixture of its experts, or, where it has none, of 8 [256,128]."""
    bundle = Bundle.load(folder, device="cpu")
    network, tables = bundle.network, bundle.plan.tables
    pointwise = [task for task in bundle.served if set((t := tables[bundle.store.tasks[task].samples]).entities) == {"user", "item"} and not t.ranking]
    if not pointwise:
        raise SystemExit(f"{folder} has no task about a user and an item.")
    name, options = parts.spec(bundle.store.model.sharing)
    known = {key: each.default for key, each in parts.options("sharing", name).items()} | dict(options)
    users = [str(each) for each in np.random.default_rng(0).permutation(bundle.stock.ids["user"])[:5000]]
    items = [str(each) for each in np.random.default_rng(1).permutation(bundle.stock.ids["item"])[:5000]]
    return {
        "flat": network.trunk(network.trunk_of[pointwise[0]]).sizes.flat,
        "width": bundle.store.model.width,
        "views": sum(len(network.views[task]) for task in pointwise),
        "items": len(bundle.stock.ids["item"]),
        "users": len(bundle.stock.ids["user"]),
        "sharing": name,
        "experts": known.get("experts", 8),
        "layers": list(known["layers"]) if "experts" in known else [256, 128],
        "tower": 32,
        "names": users,
        "known": (items, next(iter(bundle.plan.behaviours))),
        "value": " + ".join(f"{task}.{list(network.task(task).columns())[-1]}" for task in pointwise),
    }


def _entry(command: str, result: dict[str, Any]) -> str:
    rows = [f"| {name} | {value} |" for name, value in result.items()]
    return "\n".join(["\n## serving\n", *_report.facts(command, _report.versions({})), "", "| figure | found |", "| --- | --- |", *rows, ""])


if __name__ == "__main__":
    main()
