"""Which balancer is worth it? All of them on the planted world, the best against tuned fixed weights on real stores, and what a step costs with each.

    python -m benchmarks.balancing --census FOLDER

First every balancer, and every aggregator that the part `jacobian` lends, trains the same tasks of a small planted world, with `--seeds` seeds and
in at most `--seconds` each. The `--best` of them by their mean relative gain over the plain sum on validation rows go on to the real stores with
`--seeds-real` seeds: the demo's store (The Complete Journey, `--households` of it), the census where `--census` names a folder of it, and each
`--store`. There they meet fixed weights: the best on validation rows of `--trials` vectors, one of them equal weights.

Every finished run is a line of `runs.jsonl` in `--folder`; the same command goes on where it stopped. A gain is the mean over tasks of the relative
gain of each one's first metric over the plain sum with the same seed; intervals are t intervals over seeds. The last line printed is a JSON object;
an entry goes to RESULTS.md.
"""

import argparse
import json
import math
import shlex
import statistics
import sys
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import polars as pl
import torch
import yaml

from banyan import parts
from banyan.evaluation.ledger import Ledger
from banyan.evaluation.trial import Bench
from banyan.store import complete_journey
from banyan.store.load import load
from banyan.store.schema import Store
from banyan.store.world import make
from banyan.training.journal import as_json
from benchmarks import _balancers, _report, balancer_cost, census
from benchmarks._balancers import PLAIN, TUNED, Course

WORLD = {"users": 400, "items": 150}
TASKS = ("bought", "keeps", "returns", "loyal", "spend", "demand", "redeemed")  # two that fight, a funnel, dollars and units: losses of unlike kinds
SHORT = ("training.steps=25", "training.epochs=3", "training.batch=1024", "training.patience=3")  # of the world
REAL = ("training.patience=9", "training.batch=512")  # of the real stores, so that nobody stops early
Say = Callable[[str], None]


def main(arguments: Sequence[str] | None = None) -> dict[str, Any]:
    """Run; returns what the last line says."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    options = _parser().parse_args(given)
    torch.set_num_threads(1)
    tell = _report.clock()

    known = _balancers.specs()
    specs = {name: known[name] for name in options.balancers} if options.balancers else known
    costs = _costs(options, specs, tell)
    world = _world(options, tell)
    first = _judged(world, {PLAIN: PLAIN, **specs}, range(options.seeds))
    best = sorted((name for name in first if name != PLAIN and not math.isnan(first[name]["valid"])), key=lambda name: -first[name]["valid"])[: options.best]
    tell(f"on to the real stores: {', '.join(best)}")
    real = {course.name: _real(course, {name: specs[name] for name in best}, options) for course in _stores(options, tell)}
    facts = {"seeds": options.seeds, "seeds_real": options.seeds_real, "best": best, "ms_a_step": costs}
    result: dict[str, Any] = as_json({"benchmark": "balancing", **facts, "world": first, "stores": real})
    _report.append(options.results, _entry(result, options, shlex.join(["python", "-m", "benchmarks.balancing", *given])))
    print(json.dumps(result), flush=True)
    return result


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.balancing", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3, help="on the world")
    parser.add_argument("--seeds-real", type=int, default=5, help="on each real store")
    parser.add_argument("--seconds", type=float, default=20.0, help="most CPU time of a run on the world")
    parser.add_argument("--best", type=int, default=6, help="balancers that go on to the real stores")
    parser.add_argument("--trials", type=int, default=8, help="vectors of fixed weights that are tried")
    parser.add_argument("--balancers", nargs="*", help="only these; an aggregator by its name")
    parser.add_argument("--households", type=int, default=200, help="of the demo's store; 0 leaves it out")
    parser.add_argument("--census", type=Path, help="folder of train.parquet, val.parquet and test.parquet")
    parser.add_argument("--store", type=Path, nargs="*", default=[], help="further real stores")
    parser.add_argument("--share", type=float, default=0.25, help="of a real store's budget that a run gets")
    parser.add_argument("--set", nargs="*", default=[], metavar="PATH=VALUE", help="keys of the real stores' pages")
    parser.add_argument("--set-world", nargs="*", default=[], metavar="PATH=VALUE", help="keys of the world's page")
    parser.add_argument("--steps-cost", type=int, default=6, help="steps by which the cost of one is measured")
    parser.add_argument("--folder", type=Path, default=Path("runs/balancing"), help="where stores and ledgers are kept")
    parser.add_argument("--results", type=Path, default=Path(__file__).with_name("RESULTS.md"))
    return parser


def _costs(options: argparse.Namespace, specs: Mapping[str, parts.Spec], tell: Say) -> dict[str, float]:
    """Balancer -> milliseconds of CPU time of a step, feeding included, of the network of `balancer_cost`, which has two losses. Measured once."""
    ledger = Ledger(options.folder / "cost" / "runs.jsonl", {"steps": options.steps_cost})
    for name, spec in {PLAIN: PLAIN, **specs}.items():
        if name not in ledger:
            steps = balancer_cost.stepping(balancer_cost.fit(balancer_cost.IDS[0], spec, options.steps_cost + balancer_cost.WARM))
            ledger.add(name, 1e3 * statistics.median(islice(steps, balancer_cost.WARM, None)))
    tell("what a step costs: " + ", ".join(f"{name} {ledger[name]:.0f} ms" for name in (PLAIN, *specs)))
    return {name: float(ledger[name]) for name in dict.fromkeys((PLAIN, *specs))}


def _world(options: argparse.Namespace, tell: Say) -> Course:
    folder = options.folder / "world"
    page = folder / "store" / "store.yaml"
    if not page.exists():
        tell("drawing the world")
        make(seed=0, **WORLD).write(folder / "store", oracles=False)
    store = load(page, [*SHORT, f"training.seconds={options.seconds}", "training.clock=cpu", *options.set_world])
    return _course("world", _narrowed(store), folder, 1.0, tell)


def _narrowed(store: Store) -> Store:
    """The store with the tasks of `TASKS` alone, their samples and labels."""
    tasks = {name: each for name, each in store.tasks.items() if name in TASKS}
    used = {each.samples for each in tasks.values()}
    asked = {label for each in tasks.values() for label in (each.label, *(each.stages or ()))}
    samples = {
        name: each.model_copy(update={"labels": {key: column for key, column in each.labels.items() if key in asked}})
        for name, each in store.samples.items()
        if name in used
    }
    training = store.training.model_copy(update={"passes_of": {k: v for k, v in store.training.passes_of.items() if k in used}})
    return store.model_copy(update={"tasks": tasks, "samples": samples, "training": training})


def _course(name: str, store: Store, folder: Path, share: float, tell: Say) -> Course:
    bench = Bench.read(store, folder, most=10_000)
    return Course(name, bench, Ledger(folder / "runs.jsonl", {**bench.description, "share": share}), share, tell)


def _stores(options: argparse.Namespace, tell: Say) -> list[Course]:
    """The real ones."""
    pages: dict[str, Path] = {}
    if options.households:
        pages["journey"] = complete_journey.write(options.folder / "journey" / "store", options.households)
    if options.census:
        pages["census"] = options.folder / "census" / "store.yaml"
        pages["census"].parent.mkdir(parents=True, exist_ok=True)
        columns = pl.scan_parquet(options.census / census.FILES["train"]).collect_schema().names()
        pages["census"].write_text(yaml.safe_dump(census.described(options.census, columns, census.LABELS), sort_keys=False), encoding="utf-8")
    pages |= {page.parent.name: page for page in options.store}
    return [_course(name, load(page, [*REAL, *options.set]), options.folder / name, options.share, tell) for name, page in pages.items()]


def _judged(course: Course, specs: Mapping[str, parts.Spec], seeds: Sequence[int]) -> dict[str, dict[str, Any]]:
    runs = {name: course.balancer(name, spec, seeds) for name, spec in specs.items()}
    return {name: _balancers.row(each, runs[PLAIN]) for name, each in runs.items()}


def _real(course: Course, specs: Mapping[str, parts.Spec], options: argparse.Namespace) -> dict[str, Any]:
    seeds = range(options.seeds_real)
    found = _judged(course, {PLAIN: PLAIN, **specs}, seeds)
    weights, runs = course.tuned(options.trials, seeds)
    found[TUNED] = _balancers.row(runs, course.balancer(PLAIN, PLAIN, seeds))
    return {
        "balancers": found,
        "weights": weights,
        "steps": runs[0]["steps"],
        "cpu_seconds": round(sum(x["cpu_seconds"] for x in course.ledger.lines.values())),
    }


def _entry(result: Mapping[str, Any], options: argparse.Namespace, command: str) -> str:
    said = [
        f"- {result['seeds']} seeds on the world ({WORLD['users']} users, {len(TASKS)} tasks, {' '.join((*SHORT, *options.set_world))}), "
        f"at most {options.seconds:g} s a run; {result['seeds_real']} seeds on real stores, {100 * options.share:g} % of their budget",
        "- gain: mean over tasks of the relative gain over the plain sum on test rows, with its t interval over seeds; cost: CPU time of a step / the sum's",
    ]
    lines = [*_report.facts(command, _report.versions({})), *said, "", *_table("world", result["world"], result["ms_a_step"])]
    for name, store in result["stores"].items():
        shown = ", ".join(f"{task} {weight:.2f}" for task, weight in store["weights"].items())
        lines += ["", f"{name}, {store['steps']} steps a run, {store['cpu_seconds']} CPU s in all; tuned weights: {shown}", ""]
        lines += _table(name, store["balancers"], result["ms_a_step"])
    return "\n".join(["\n## balancing\n", *lines, ""])


def _table(name: str, rows: Mapping[str, Mapping[str, Any]], costs: Mapping[str, float]) -> list[str]:
    head = [f"| {name} | gain, % | interval | worst task | steps | cost | ms a step of `balancer_cost` |", "| --- " * 7 + "|"]
    order = sorted(rows, key=lambda each: -(rows[each]["gain"] if rows[each]["gain"] is not None else -math.inf))
    return head + [f"| {each} | {_cells(rows[each])} | {f'{costs[each]:.0f}' if each in costs else '-'} |" for each in order]


def _cells(row: Mapping[str, Any]) -> str:
    if row["gain"] is None:
        return f"- | {row['failed']} runs failed | - | {row['steps']:.0f} | -"
    within = "-" if row["low"] is None else f"{100 * row['low']:+.2f} to {100 * row['high']:+.2f}"
    return f"{100 * row['gain']:+.2f} | {within} | {row['worst']} {100 * row['worst_gain']:+.1f} | {row['steps']:.0f} | {row['cost']:.2f}"


if __name__ == "__main__":
    main()
