"""How fast is training? The same MMoE by Banyan, by its peers through their own trainers, and by a bare loop, side by side in one run.

    python -m benchmarks.throughput --rows 1000000 --peers torch-rechub,deepctr-torch --small

Every contender is a process with one thread that trains one pass over the same generated rows; they take turns in short rounds, of which
the first warms up. The last line printed is a JSON object; an entry goes to RESULTS.md.
"""

import argparse
import json
import shlex
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from banyan.devices import has_bf16
from benchmarks import _peers, _report, _table
from benchmarks._race import race
from benchmarks._turns import Job

LARGE = {"experts": 8, "layers": (256, 128), "tower": (64,)}
SMALL = {"experts": 4, "layers": (64, 32), "tower": (16,)}
WIDTH, BATCH, ROUNDS = 16, 4096, 8
NO_BF16 = "this processor has no bf16 instructions"


def main(arguments: Sequence[str] | None = None) -> dict[str, Any]:
    """Run; returns what the last line says."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    options = _parser().parse_args(given)
    peers = [name for name in options.peers.split(",") if name]
    if unknown := [name for name in peers if name not in _peers.VERSIONS]:
        raise SystemExit(f"--peers names {', '.join(unknown)}; known are {', '.join(_peers.VERSIONS)}.")
    tell = _report.clock()

    for name in peers:
        tell(f"{name} {_peers.VERSIONS[name]}: {'ready' if _peers.ready(name) else 'installing into'} {_peers.cache()}")
        _peers.prepare(name)
    result = _run(options, peers, tell)
    command = shlex.join(["python", "-m", "benchmarks.throughput", *given])
    title = f"throughput, {result['size']}"
    used = {name: _peers.VERSIONS[name] for name in peers}
    _report.append(options.results, _report.entry(title, command, _said(result), result, _report.versions(used)))
    print(json.dumps(result), flush=True)
    return result


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.throughput", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows of the generated table; nine tenths train")
    parser.add_argument("--peers", default="torch-rechub,deepctr-torch", help="with commas; '' for none")
    parser.add_argument("--small", action="store_true", help="4 experts [64,32] and towers [16] instead of 8 experts [256,128] and towers [64]")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="turns of each contender, the first one not counted")
    parser.add_argument("--batch", type=int, default=BATCH)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--results", type=Path, default=Path(__file__).with_name("RESULTS.md"))
    return parser


def _run(options: argparse.Namespace, peers: Sequence[str], tell: Any) -> dict[str, Any]:
    wanted = int(options.rows * (1 - _table.HELD))
    batch = min(options.batch, wanted // options.rounds)
    steps = wanted // (options.rounds * batch) if batch else 0
    if options.rounds < 2 or not steps:
        raise SystemExit(f"--rows {options.rows} --rounds {options.rounds}: it takes at least 2 rounds with a row each.")
    with tempfile.TemporaryDirectory(prefix="banyan-bench-") as folder:
        tell(f"making {options.rows:,} rows")
        table = _table.make(options.rows, options.rounds * steps * batch, options.seed)
        _table.save(table, Path(folder))
        size = SMALL if options.small else LARGE
        job = Job(table=folder, width=WIDTH, batch=batch, steps=steps, rounds=options.rounds, seed=options.seed, **size)  # type: ignore[arg-type]
        jobs = {"banyan": job, "bare": job}
        bf16 = has_bf16(torch.device("cpu"))
        if bf16:
            jobs["banyan-bf16"] = replace(job, bf16=True)
        for name in peers:
            jobs |= {name: job, f"{name}-fused": replace(job, fused=True)}
        found = race(jobs, Path(folder), tell)
    facts = {"benchmark": "throughput", "size": "small" if options.small else "large", "rows": options.rows, "trained": table.train, "batch": batch}
    return {**facts, "steps_a_round": steps, "rounds": options.rounds - 1, "bf16": "measured" if bf16 else NO_BF16, **_report.figures(found)}


def _said(result: dict[str, Any]) -> list[str]:
    rounds = f"{result['rounds']} rounds of {result['steps_a_round']} steps of {result['batch']} rows after one to warm up; one thread each; medians"
    return [rounds, *([] if result["bf16"] == "measured" else [f"ratio_cpu_bf16: {result['bf16']}"])]


if __name__ == "__main__":
    main()
