"""Does an architecture that reads the scenario help where scenarios differ? star, pepnet and home beside mmoe and bottom, on planted worlds.

    python -m benchmarks.scenarios --seeds 3 --folder worlds

In a planted world (`banyan.store.world`) which tastes count in `bought` depends on the page, and so does the level of `demand`; `keeps` is a table
without a scenario. Every architecture is fitted to these three tasks under the store's own budget, on the same worlds, and judged on the test rows.
Shown is each figure's mean over worlds, and its gain over `mmoe` in the same world with a t interval over worlds.

A fit that is finished in `--folder` is not run again. The last line printed is a JSON object; an entry goes to RESULTS.md.
"""

import argparse
import json
import math
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import t as student

from banyan.store.world import make
from benchmarks import _report, _trial

TASKS = ("bought", "demand", "keeps")
PARTS = ("bottom", "mmoe", "star", "pepnet", "home")
BESIDE = "mmoe"  # what gains are over
FALLING = ("wape",)  # figures of which less is better


def main(arguments: Sequence[str] | None = None) -> dict[str, Any]:
    """Run; returns what the last line says."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scenarios", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3, help="worlds")
    parser.add_argument("--users", type=int, default=700)
    parser.add_argument("--items", type=int, default=250)
    parser.add_argument("--parts", nargs="*", default=list(PARTS), help="sharing architectures, each with dropout 0.15")
    parser.add_argument("--folder", type=Path, default=Path("worlds"), help="where worlds, checkpoints and finished fits are kept")
    parser.add_argument("--results", type=Path, default=Path(__file__).with_name("RESULTS.md"))
    options = parser.parse_args(given)
    found = {part: [_one(part, seed, options) for seed in range(options.seeds)] for part in options.parts}
    result = {"benchmark": "scenarios", "users": options.users, "items": options.items, "seeds": options.seeds, "parts": summary(found)}
    command = shlex.join(["python", "-m", "benchmarks.scenarios", *given])
    _report.append(options.results, "\n".join(["\n## scenarios\n", *_report.facts(command, _report.versions({})), "", *lines(result["parts"]), ""]))
    print(json.dumps(result), flush=True)
    return result


def _one(part: str, seed: int, options: argparse.Namespace) -> dict[str, float]:
    """Figures of one architecture on one world, and the CPU seconds of its fit."""
    folder = options.folder / f"scenarios-{options.users}-{options.items}" / f"seed-{seed}"
    page = folder / f"{part}.json"
    if not page.exists():
        world = make(seed=seed, users=options.users, items=options.items)
        if not (folder / "store.yaml").exists():
            world.write(folder)
        sets = [f"model.sharing={{part: {part}, dropout: 0.15}}"]
        fitted = _trial.run(world, folder, sets, alone=(), tell=_report.clock(), tasks=TASKS, runs=folder / part)
        flat = {f"{task} {name}": each["model"] for task, figures in fitted["figures"].items() for name, each in figures.items()}
        page.write_text(json.dumps(flat | {"cpu_seconds": fitted["cpu_seconds"]}))
    return dict(json.loads(page.read_text()))


def summary(found: Mapping[str, Sequence[Mapping[str, float]]]) -> dict[str, dict[str, Any]]:
    """Part -> figure -> mean over worlds, gain over `mmoe` (above 0 for better) and half the width of its 95 % interval; None where undefined."""
    told: dict[str, dict[str, Any]] = {}
    for part, worlds in found.items():
        told[part] = {}
        for name in worlds[0]:
            values = np.array([each[name] for each in worlds])
            told[part][name] = {"mean": float(values.mean()), **_gain(name, values, found.get(BESIDE) if part != BESIDE else None)}
    return told


def _gain(name: str, values: np.ndarray[Any, Any], beside: Sequence[Mapping[str, float]] | None) -> dict[str, float | None]:
    if beside is None or name == "cpu_seconds":
        return {"gain": None, "half": None}
    differences = values - np.array([each[name] for each in beside])
    if name.endswith(FALLING):
        differences = -differences
    n = len(differences)
    half = float(student.ppf(0.975, n - 1) * differences.std(ddof=1) / math.sqrt(n)) if n > 1 else None
    return {"gain": float(differences.mean()), "half": half}


def lines(told: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """The table of RESULTS.md."""
    names = list(next(iter(told.values())))
    rows = [f"| sharing | {' | '.join(names)} |", f"|---|{'---|' * len(names)}"]
    return rows + [f"| {part} | {' | '.join(_cell(figures[name]) for name in names)} |" for part, figures in told.items()]


def _cell(figure: Mapping[str, float | None]) -> str:
    mean, gain, half = figure["mean"], figure["gain"], figure["half"]
    assert mean is not None
    said = f"{mean:.4f}" if mean < 10 else f"{mean:.0f}"
    return said if gain is None else f"{said} ({gain:+.4f}{'' if half is None else f' ± {half:.4f}'})"


if __name__ == "__main__":
    main()
