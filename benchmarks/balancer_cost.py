"""What does a step cost with each balancer, and does it grow with the number of ids? The same steps at 10 thousand and at 1 million ids.

    python -m benchmarks.balancer_cost --steps 12

Both networks take turns, step by step, in one process with one thread; a step's cost is its CPU time, feeding included. The last line
printed is a JSON object; an entry goes to RESULTS.md.
"""

import argparse
import json
import shlex
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from banyan import parts
from banyan.errors import ConfigError
from banyan.features.step import Feeder
from banyan.store.schema import Training
from banyan.training.loop import Fit
from banyan.training.picks import ahead
from benchmarks import _report, _table
from benchmarks._turns import Job
from benchmarks.contenders.banyan import data, network

IDS = (10_000, 1_000_000)
BATCH, WARM = 1024, 3
ALLOWED = 1.15


def fit(ids: int, balancing: parts.Spec, steps: int, batch: int = BATCH, seed: int = 0) -> Fit:
    """A fit of the small network on rows of 16 columns that have `ids` values together; the rows of a step name ids of the first 10 thousand alone.

    So a step meets equally many distinct ids whatever `ids` is: what differs is the number of ids, and nothing else.
    """
    rng = np.random.default_rng(seed)
    rows, few = steps * batch, min(IDS) // _table.COLUMNS
    numbers = rng.standard_normal((rows, _table.NUMBERS), np.float32)
    labels = (rng.random((rows, 2)) < 0.3).astype(np.float32)
    columns = rng.integers(0, few, (rows, _table.COLUMNS)).astype(np.int32)
    made = data(_table.Table(columns, numbers, labels, [ids // _table.COLUMNS] * _table.COLUMNS, rows))
    job = Job(table="", experts=4, layers=(64, 32), tower=(16,), width=16, batch=batch, steps=steps, rounds=1, seed=seed)
    net, tasks = network(made.plan, job)
    return Fit(net, Feeder(made), tasks, Training(epochs=1, batch=batch, seed=seed, bf16=False, threads=1), balancing, depth=0)


def stepping(one: Fit) -> Iterator[float]:
    """CPU seconds of each step, feeding included."""
    dealt = ahead(one.picker, one._make, 0, one.total, depth=0)
    while True:
        began = time.process_time()
        each = next(dealt, None)
        if each is None:
            return
        one._step(each)
        yield time.process_time() - began


def compared(balancing: parts.Spec, steps: int, batch: int = BATCH) -> tuple[list[float], list[float]]:
    """CPU seconds of the steps with few and with many ids, in turns, those that warm up left out."""
    few, many = (stepping(fit(ids, balancing, steps + WARM, batch)) for ids in IDS)
    pairs = list(zip(few, many, strict=True))[WARM:]
    return [a for a, _ in pairs], [b for _, b in pairs]


def chosen() -> list[parts.Spec]:
    """Every balancer, and of `jacobian` several aggregators."""
    plain: list[parts.Spec] = [name for name in parts.names("balancing") if name != "jacobian"]
    return [*plain, *({"part": "jacobian", "aggregator": name} for name in ("UPGrad", "PCGrad", "MGDA"))]


def main(arguments: Sequence[str] | None = None) -> dict[str, Any]:
    """Run; returns what the last line says."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    parser = argparse.ArgumentParser(prog="python -m benchmarks.balancer_cost", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--steps", type=int, default=12, help="steps that count, for each balancer and number of ids")
    parser.add_argument("--batch", type=int, default=BATCH)
    parser.add_argument("--results", type=Path, default=Path(__file__).with_name("RESULTS.md"))
    options = parser.parse_args(given)
    torch.set_num_threads(1)
    found: dict[str, dict[str, float]] = {}
    for spec in chosen():
        name = spec if isinstance(spec, str) else f"{spec['part']}:{spec['aggregator']}"
        try:
            few, many = compared(spec, options.steps, options.batch)
        except ConfigError as error:  # an extra that is not installed
            print(f"{name}: left out. {error}", flush=True)
            continue
        ratio = statistics.median(b / a for a, b in zip(few, many, strict=True))
        found[name] = {"few_ms": 1e3 * statistics.median(few), "many_ms": 1e3 * statistics.median(many), "ratio": ratio}
        print(f"{name:22} {found[name]['few_ms']:8.1f} ms at {IDS[0]:,} ids {found[name]['many_ms']:8.1f} ms at {IDS[1]:,}  ratio {ratio:.3f}", flush=True)
    result = {"benchmark": "balancer_cost", "ids": IDS, "worst_ratio": max(row["ratio"] for row in found.values()), "allowed": ALLOWED, "balancers": found}
    _report.append(options.results, _entry(shlex.join(["python", "-m", "benchmarks.balancer_cost", *given]), options, result))
    print(json.dumps(result), flush=True)
    return result


def _entry(command: str, options: argparse.Namespace, result: dict[str, Any]) -> str:
    head = f"| balancer | ms a step at {IDS[0]:,} ids | ms at {IDS[1]:,} ids | ratio |\n| --- | --- | --- | --- |"
    rows = [f"| {name} | {row['few_ms']:.1f} | {row['many_ms']:.1f} | {row['ratio']:.3f} |" for name, row in result["balancers"].items()]
    said = f"{options.steps} steps of {options.batch} rows in turns, medians of CPU time; largest ratio {result['worst_ratio']:.3f}, allowed {ALLOWED}"
    facts = [*_report.facts(command, _report.versions({})), f"- {said}"]
    return "\n".join(["\n## balancer cost\n", *facts, "", head, *rows, ""])


if __name__ == "__main__":
    main()
