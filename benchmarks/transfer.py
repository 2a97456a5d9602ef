"""How many rows does a new store save that starts from a bundle of others?

    python -m benchmarks.transfer --seeds 3 --folder transfer
    python -m benchmarks.transfer --sequences DIR          # Beauty to Toys: DIR holds <name>_sequences.parquet and <name>_item_attributes.parquet

Five planted stores agree (`banyan.store.world.stores`: one truth, other people and items, other vocabularies and feature sets). One model is trained on
four of them. The fifth is trained with 1/27, 1/9, 1/3 and all of its training rows (10 of a table at least), from scratch and from the bundle, with the
same settings and steps; its test rows are always the same. A level is the mean over tasks of AUC (Spearman of a grade). **Rows needed**: the share of the
rows with which the model that started from the bundle reaches what training from scratch reaches with all of them, on the line between the measured
shares (in the logarithm of the rows); each seed's is given, and the mean over seeds with its range.

Every finished run is a file in `--folder`, and the same command goes on where it stopped. The last line printed is a JSON object; an entry goes to
RESULTS.md, and with `--plot` the learning curves are drawn.
"""

import argparse
import json
import math
import shlex
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

import banyan
from banyan.store.world import World, stores
from benchmarks import _curves, _report, _stores

SHARES = (1 / 27, 1 / 9, 1 / 3, 1.0)
SIDES = ("scratch", "bundle")
FIGURE = {"relevance": "spearman"}


def main(arguments: Sequence[str] | None = None) -> dict[str, Any]:
    """Run; returns what the last line says."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    options = _parser().parse_args(given)
    torch.set_num_threads(1)
    tell = _report.clock()

    command = shlex.join(["python", "-m", "benchmarks.transfer", *given])
    if options.sequences:
        from benchmarks import _between

        result: dict[str, Any] = _between.run(options, tell)
        lines = _between.lines(result)
    else:
        seeds = [_one(seed, options, tell) for seed in range(options.first, options.first + options.seeds)]
        result = summary(seeds)
        lines = _curves.lines(result)
        if options.plot:
            _curves.draw(result, options.plot)
    title = f"\n## transfer{', Beauty to Toys' if options.sequences else ''}\n"
    _report.append(options.results, "\n".join([title, *_report.facts(command, _report.versions({})), "", *lines, ""]))
    print(json.dumps(result), flush=True)
    return result


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.transfer", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--users", type=int, default=200, help="of each store")
    parser.add_argument("--items", type=int, default=100, help="of each store")
    parser.add_argument("--epochs", type=int, default=8, help="of every run")
    parser.add_argument("--batch", type=int, default=1024, help="rows of a step with all rows; smaller with fewer")
    parser.add_argument("--freeze", nargs="*", default=[], help="as of banyan train")
    parser.add_argument("--set", nargs="*", default=[], metavar="PATH=VALUE", help="keys of store.yaml, such as model.sharing=star")
    parser.add_argument("--sequences", type=Path, help="a folder of item sequences instead of planted stores")
    parser.add_argument("--folder", type=Path, default=Path("transfer"), help="where stores, bundles and finished runs are kept")
    parser.add_argument("--plot", type=Path, help="an SVG file of the learning curves")
    parser.add_argument("--results", type=Path, default=Path(__file__).with_name("RESULTS.md"))
    return parser


def _one(seed: int, options: argparse.Namespace, tell: Any) -> dict[str, dict[str, Any]]:
    """Side -> share -> what was reached, of one draw of the stores."""
    folder = options.folder / f"{options.users}-{options.items}" / f"seed-{seed}"
    drawn = stores(seed, users=options.users, items=options.items)
    pages = [folder / f"store-{i + 1}" / "store.yaml" for i in range(len(drawn))]
    for number, (world, page) in enumerate(zip(drawn, pages, strict=True)):
        if not page.exists():
            _stores.write(world, number, page.parent)
    budget = {"batch": options.batch, "epochs": options.epochs, "set": [*options.set, f"training.seed={seed}"]}
    bundle = _others(pages[:-1], folder, budget, tell)
    found: dict[str, dict[str, Any]] = {side: {} for side in SIDES}
    for share in SHARES:
        for side in SIDES:
            found[side][name(share)] = _adapted(drawn[-1], pages[-1], share, side, bundle, folder, budget, options.freeze, tell)
    return found


def name(share: float) -> str:
    """`1/27`."""
    return "1" if share == 1 else f"1/{round(1 / share)}"


def _others(pages: Sequence[Path], folder: Path, budget: Mapping[str, Any], tell: Any) -> Path:
    """The bundle of the stores that came before."""
    bundle = folder / "others" / "bundle"
    if not bundle.is_dir():
        began = time.process_time()
        described = _stores.joined([banyan.load(page) for page in pages], folder / "joined")
        _train(folder / "joined" / "store.yaml", folder / "others", _stores.settings(1.0, dict(budget)), None, [])
        tell(f"{folder.name}: four stores joined and trained, {time.process_time() - began:.0f} CPU s ({described.store})")
    return bundle


def _adapted(
    world: World, page: Path, share: float, side: str, bundle: Path, folder: Path, budget: Mapping[str, Any], freeze: Sequence[str], tell: Any
) -> dict[str, Any]:
    """One run on a share of the new store's rows; read from its file where it is finished."""
    label = f"{side}-{name(share).replace('/', '-of-')}" + ("-" + "-".join(freeze) if side == "bundle" and freeze else "")
    ledger = folder / f"{label}.json"
    if ledger.exists():
        return dict(json.loads(ledger.read_text()))
    thin = _stores.thinned(world, page, share, folder / f"thin-{name(share).replace('/', '-of-')}")
    began = time.process_time()
    run = _train(thin, folder / label, _stores.settings(share, dict(budget)), bundle if side == "bundle" else None, freeze)
    found = {task: _figure(task, figures) for task, figures in run.evaluation.figures.items()}
    rows = {table: int((each.part == 0).sum()) for table, each in run.data.tables.items()}
    said = {"level": float(np.mean(list(found.values()))), "tasks": found, "rows": rows, "cpu_seconds": time.process_time() - began}
    ledger.write_text(json.dumps(said))
    tell(f"{folder.name}, {name(share)} of the rows, from {side}: {said['level']:.4f} ({said['cpu_seconds']:.0f} CPU s)")
    return said


def _train(page: Path, folder: Path, sets: Sequence[str], bundle: Path | None, freeze: Sequence[str]) -> Any:
    options: dict[str, Any] = {"alone": False, "simple": False, "draws": 0, "most": None}
    start: dict[str, Any] = {"start_from": bundle, "freeze": freeze} if bundle is not None else {}
    return banyan.train(banyan.load(page, list(sets)), folder, **options, **start)


def _figure(task: str, figures: Mapping[str, float]) -> float:
    """AUC, of a funnel or of tags the mean over stages or tags; Spearman of a grade."""
    wanted = FIGURE.get(task, "auc")
    found = [value for key, value in figures.items() if key.partition("/")[0] == wanted and math.isfinite(value)]
    return float(np.mean(found))


def needed(levels: Mapping[str, float], target: float) -> tuple[float, bool]:
    """(The share of the rows with which a learning curve reaches a target, whether that is only a bound): on the line between two shares, in log rows.

    Reached with the fewest rows measured: that share, as an upper bound. Never reached: inf. A curve is held to its highest level so far.
    """
    best, before = -math.inf, (math.nan, math.nan)
    for share in SHARES:
        level = max(levels[name(share)], best)
        if level >= target:
            if math.isinf(best):
                return share, True
            way = (target - before[1]) / (level - before[1]) if level > before[1] else 0.0
            return float(math.exp(before[0] + way * (math.log(share) - before[0]))), False
        best, before = level, (math.log(share), level)
    return math.inf, False


def summary(seeds: Sequence[Mapping[str, Mapping[str, Any]]]) -> dict[str, Any]:
    """What the last line says."""
    curves = {side: {name(s): [seed[side][name(s)]["level"] for seed in seeds] for s in SHARES} for side in SIDES}
    found = {}
    for target in SHARES[1:]:
        each = [needed({k: v["level"] for k, v in seed["bundle"].items()}, seed["scratch"][name(target)]["level"]) for seed in seeds]
        ratios = [share / target for share, _ in each]
        finite = [math.log(r) for r in ratios if math.isfinite(r)]
        mean = math.exp(float(np.mean(finite))) if len(finite) == len(ratios) else None
        found[name(target)] = {
            "seeds": [r if math.isfinite(r) else None for r in ratios], "bound": [bound for _, bound in each],
            "mean": mean, "least": min(ratios), "most": max(ratios) if math.isfinite(max(ratios)) else None,
        }  # fmt: skip
    reach: Any = found["1"]["mean"]
    cpu = sum(run["cpu_seconds"] for seed in seeds for side in seed.values() for run in side.values())
    return {
        "benchmark": "transfer", "seeds": len(seeds), "rows_needed": reach, "reach": 1 / 3, "reached": reach is not None and reach <= 1 / 3,
        "to_match_scratch_with": found, "levels": curves, "cpu_seconds_of_adapting": round(cpu),
        "tasks": {side: {name(s): _by_task([seed[side][name(s)]["tasks"] for seed in seeds]) for s in SHARES} for side in SIDES},
    }  # fmt: skip


def _by_task(seeds: Sequence[Mapping[str, float]]) -> dict[str, float]:
    return {task: float(np.mean([seed[task] for seed in seeds])) for task in seeds[0]}


if __name__ == "__main__":
    main()
