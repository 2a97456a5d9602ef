"""Every task of the demo's store, The Complete Journey: one joint model against each task alone (tuned a little), trees, and the best simple rule.

    python -m benchmarks.journey --seeds 3

For each task alone `--trials` settings are tried on validation rows with seed 0, once, in at most `--seconds` each; the best of them is fitted with
each seed. The joint model is the store as its page describes it. Trees and rules are the package's own baselines. Of the rules the one that is best
on the test rows is the opponent, which favours it.

Every finished run is a line of `runs.jsonl` in `--folder` and its answers to the test rows a file beside it; the same command goes on where it
stopped. Gains are paired on the same test rows: intervals draw owners of rows (households, where there are any) and seeds. A relative gain is a
gain as a share of the opponent's figure. The last line printed is a JSON object; an entry goes to RESULTS.md.
"""

import argparse
import json
import shlex
import statistics
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from banyan.evaluation import judge
from banyan.evaluation.transfer import verdict
from banyan.evaluation.trial import Bench
from banyan.metrics import interval
from banyan.store import complete_journey
from banyan.store.load import load
from banyan.training.journal import as_json
from banyan.types import Array
from benchmarks import _report
from benchmarks._opponents import RULES, TREES, Opponents

Sides = dict[str, list[Array]]  # side -> one answer a seed


def main(arguments: Sequence[str] | None = None) -> dict[str, Any]:
    """Run; returns what the last line says."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    options = _parser().parse_args(given)
    torch.set_num_threads(1)
    tell = _report.clock()

    page = options.store or complete_journey.write(options.folder / "store", options.households)
    bench = Bench.read(load(page, [*complete_journey.SMALL, *options.set]), options.folder)
    runs = Opponents(bench, options.folder, {"most seconds": options.seconds}, tell)
    sides = _sides(runs, options)
    rows = {task: _row(bench, runs, task, each, options.draws) for task, each in sides.items()}
    result = _result(runs, rows, options)
    _report.append(options.results, _entry(result, options, shlex.join(["python", "-m", "benchmarks.journey", *given])))
    print(json.dumps(result), flush=True)
    return result


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.journey", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--trials", type=int, default=8, help="settings tried for each task alone, 8 at most")
    parser.add_argument("--seconds", type=float, default=60.0, help="most CPU time of a fit of a task alone")
    parser.add_argument("--households", type=int, default=500, help="as in `banyan demo`")
    parser.add_argument("--store", type=Path, help="another store.yaml")
    parser.add_argument("--set", nargs="*", default=[], metavar="PATH=VALUE", help="keys of store.yaml, such as training.epochs=2")
    parser.add_argument("--draws", type=int, default=200, help="of the bootstrap")
    parser.add_argument("--folder", type=Path, default=Path("runs/journey"), help="where the store, the ledger and the answers are kept")
    parser.add_argument("--results", type=Path, default=Path(__file__).with_name("RESULTS.md"))
    return parser


def _sides(runs: Opponents, options: argparse.Namespace) -> dict[str, Sides]:
    """Task -> side -> one answer a seed. Makes the runs that are missing: rules first, then joint, then alone."""
    tasks, seeds = list(runs.bench.store.tasks), range(options.seeds)
    keys: dict[str, list[str]] = {name: [runs.simple(name, 0, 600.0)] for name in RULES}
    keys[TREES] = [runs.simple(TREES, seed, 600.0) for seed in seeds]
    keys["joint"] = [runs.joint(seed) for seed in seeds]
    found: dict[str, Sides] = {}
    for task in tasks:
        point = runs.tuned(task, options.trials, options.seconds)
        mine = {**keys, "alone": [runs.alone(task, seed, point, options.seconds) for seed in seeds]}
        sides = {side: runs.said(each, task) for side, each in mine.items()}
        found[task] = {side: answers for side, answers in sides.items() if answers}
    return found


def _row(bench: Bench, runs: Opponents, task: str, sides: Sides, draws: int) -> dict[str, Any]:
    """A task's line: figures of every side, and the joint model's gains over the others."""
    part, question = bench.panel[task], runs.questions[task]
    figures = {side: [judge.figures(part, question, each)[part.best] for each in answers] for side, answers in sides.items()}
    rules = {side: _signed(part.rising, figures[side]) for side in RULES if side in figures}
    found: dict[str, Any] = {"metric": part.best, "rising": part.rising, "rows": len(question)}
    found |= {side: {"mean": statistics.fmean(figures[side]), "sd": _sd(figures[side])} for side in ("joint", "alone", TREES) if side in figures}
    opponents = {"alone": "alone", **({TREES: TREES} if TREES in sides else {})}
    if rules:
        best = max(rules, key=lambda side: rules[side])
        found["rule"] = {"name": best, "mean": statistics.fmean(figures[best]), "sd": None}
        opponents["rule"] = best
    for name, side in opponents.items():
        value, drawn = judge.gains(part, question, sides["joint"], sides[side], draws=draws)
        over = interval(value, drawn)
        found[f"over_{name}"] = {**over._asdict(), "verdict": verdict(over)}
        if name == "alone":
            found["relative"] = [each / max(abs(found["alone"]["mean"]), 1e-6) for each in (value, *drawn)]
    return found


def _signed(rising: bool, values: Sequence[float]) -> float:
    return statistics.fmean(values) * (1 if rising else -1)


def _sd(values: Sequence[float]) -> float | None:
    return statistics.stdev(values) if len(values) > 1 else None


def _result(runs: Opponents, rows: dict[str, dict[str, Any]], options: argparse.Namespace) -> dict[str, Any]:
    """The figures of all tasks, and the mean over tasks of the relative gain over alone, whose draws are independent from task to task.

    A task with too few owners for draws counts in each with its gain as it is.
    """
    each = [row.pop("relative") for row in rows.values()]
    draws = [one[1:] or [one[0]] * options.draws for one in each]
    mean = interval(float(np.mean([one[0] for one in each])), np.mean(draws, 0).tolist())
    others = [row[key] for row in rows.values() for key in ("over_alone", "over_trees", "over_rule") if key in row]
    verdicts = {word: sum(one["verdict"] == word for one in others) for word in ("better", "no difference", "worse", "undefined")}
    worse = {task: [key for key in ("over_alone", "over_trees", "over_rule") if row.get(key, {}).get("verdict") == "worse"] for task, row in rows.items()}
    cpu = sum(runs.ledger[key].get("cpu_seconds", 0.0) for key in runs.ledger.lines)
    facts = {"seeds": options.seeds, "trials": options.trials, "cpu_seconds": round(cpu), "set": options.set}
    gained = {"mean_relative_gain": mean._asdict(), "comparisons": verdicts, "worse": {task: each for task, each in worse.items() if each}}
    found: dict[str, Any] = as_json({"benchmark": "journey", **facts, **gained, "tasks": rows})
    return found


def _entry(result: Mapping[str, Any], options: argparse.Namespace, command: str) -> str:
    gain, count = result["mean_relative_gain"], result["comparisons"]
    said = [
        f"- {result['seeds']} seeds; each task alone: best of {result['trials']} settings on validation rows, at most {options.seconds:g} s a fit; "
        f"CPU seconds of all runs {result['cpu_seconds']}",
        f"- **mean relative gain over alone {100 * gain['value']:+.2f} % [{100 * gain['low']:+.2f}, {100 * gain['high']:+.2f}]**; "
        "against alone, trees and the best rule: " + ", ".join(f"{number} {word}" for word, number in count.items() if number),
    ]
    if result["worse"]:
        said.append("- worse than: " + "; ".join(f"{task}: {', '.join(key.removeprefix('over_') for key in keys)}" for task, keys in result["worse"].items()))
    head = "| task | rows | joint | alone | trees | best rule | over alone | over trees | over rule |\n" + "| --- " * 9 + "|"
    rows = [_line(task, row) for task, row in result["tasks"].items()]
    return "\n".join(["\n## journey\n", *_report.facts(command, _report.versions({})), *said, "", head, *rows, ""])


def _line(task: str, row: Mapping[str, Any]) -> str:
    name = f"{task} {row['metric']} {'↑' if row['rising'] else '↓'}"
    rule = f"{row['rule']['mean']:.4f} {row['rule']['name']}" if "rule" in row else "-"
    cells = [*(_figure(row.get(side)) for side in ("joint", "alone", TREES)), rule, *(_gain(row.get(f"over_{side}")) for side in ("alone", TREES, "rule"))]
    return f"| {name} | {row['rows']:,} | {' | '.join(cells)} |"


def _figure(each: Mapping[str, Any] | None) -> str:
    return "-" if each is None else f"{each['mean']:.4f}" + (f" +- {each['sd']:.4f}" if each["sd"] is not None else "")


def _gain(each: Mapping[str, Any] | None) -> str:
    if each is None:
        return "-"
    if each["low"] is None:
        return "undefined" if each["value"] is None else f"{each['value']:+.4f} {each['verdict']}"
    return f"{each['value']:+.4f} [{each['low']:+.4f}, {each['high']:+.4f}] {each['verdict']}"


if __name__ == "__main__":
    main()
