"""AliExpress search logs: the AUC of click, and of click and purchase, on the published test part, beside the published bars.

    python -m benchmarks.aliexpress --data downloads/AliExpress_NL --seeds 3

`--data` is the folder of one country's files, or of several countries' folders, in either form that `banyan dataset aliexpress` reads. Each
country is a store and a model of its own; its files are converted once. What chooses the best epoch is a part of the training searches, never the
test. All test rows are judged. A seed that is finished in `--folder` is not trained again. The last line printed is a JSON object; an entry goes to
RESULTS.md.
"""

import argparse
import json
import shlex
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from banyan.errors import BanyanError
from banyan.run import train
from banyan.store.datasets import PAGE, aliexpress, convert
from banyan.store.load import load
from benchmarks import _report

STAGES = {"click": "click", "buy": "conversion"}


def main(arguments: Sequence[str] | None = None) -> dict[str, Any]:
    """Run; returns what the last line says."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    options = _parser().parse_args(given)
    tell = _report.clock()

    try:
        folders = aliexpress.folders(options.data)
        wanted = options.country or sorted(folders)
        if absent := [country for country in wanted if country not in folders]:
            raise SystemExit(f"--country {' '.join(absent)}: {options.data} holds {', '.join(sorted(folders))}.")
        found = {country: _country(country, folders[country], options, tell) for country in wanted}
    except BanyanError as error:
        raise SystemExit(str(error)) from error
    result = {"benchmark": "aliexpress", "seeds": options.seeds, "set": options.set, **found}
    command = shlex.join(["python", "-m", "benchmarks.aliexpress", *given])
    lines = [*_report.facts(command, _report.versions({})), "", *_table(found), ""]
    _report.append(options.results, "\n".join(["\n## aliexpress\n", *lines]))
    print(json.dumps(result), flush=True)
    return result


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.aliexpress", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="the folder of one country's files, or of several countries' folders")
    parser.add_argument("--country", nargs="*", choices=aliexpress.COUNTRIES, help="only these")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--set", nargs="*", default=[], metavar="PATH=VALUE", help="keys of store.yaml, such as sharing=mmoe training.epochs=1")
    parser.add_argument("--folder", type=Path, default=Path("runs/aliexpress"), help="where tables, checkpoints and finished runs are kept")
    parser.add_argument("--results", type=Path, default=Path(__file__).with_name("RESULTS.md"))
    return parser


def _country(country: str, source: Path, options: argparse.Namespace, tell: Any) -> dict[str, Any]:
    """Means and spread over seeds, and the published bars."""
    store = options.folder / country / "store"
    if not (store / PAGE).exists():
        tell(f"{country}: converting {source}")
        for note in convert("aliexpress", source, store).notes:
            tell(f"{country}: {note}")
    figures = [_seed(country, store / PAGE, seed, options, tell) for seed in range(options.seeds)]
    bars = dict(zip(STAGES, aliexpress.BARS.get(country, (None, None)), strict=True))
    means = {name: statistics.fmean(each[name] for each in figures) for name in STAGES}
    spread = {name: statistics.stdev([each[name] for each in figures]) if len(figures) > 1 else None for name in STAGES}
    return {**means, "sd": spread, "published": bars, "test_rows": figures[0]["rows"]}


def _seed(country: str, page: Path, seed: int, options: argparse.Namespace, tell: Any) -> dict[str, Any]:
    store = load(page, [*options.set, f"training.seed={seed}"])
    tell(f"{country}, seed {seed}: training")
    run = train(store, options.folder / country / f"seed-{seed}", alone=False, simple=False, most=None, draws=0)
    figures = run.evaluation.figures["bought"]
    tell(f"{country}, seed {seed}: " + ", ".join(f"{name} {figures[f'auc/{stage}']:.4f}" for name, stage in STAGES.items()))
    return {**{name: float(figures[f"auc/{stage}"]) for name, stage in STAGES.items()}, "rows": len(run.evaluation.questions["bought"])}


def _table(found: dict[str, dict[str, Any]]) -> list[str]:
    head = ["| country | test rows | click | published | click and purchase | published |", "| --- | --- | --- | --- | --- | --- |"]
    return [*head, *(f"| {country} | {row['test_rows']:,} | {_cells(row, 'click')} | {_cells(row, 'buy')} |" for country, row in found.items())]


def _cells(row: dict[str, Any], name: str) -> str:
    spread = f" +- {row['sd'][name]:.4f}" if row["sd"][name] is not None else ""
    published = row["published"][name]
    return f"{row[name]:.4f}{spread} | {'-' if published is None else f'{published:.4f}'}"


if __name__ == "__main__":
    main()
