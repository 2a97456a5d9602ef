"""Commands that train many times: audit, tune, crossval; and compare, which tells two runs apart."""

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from banyan.cli.terminal import Device, Draws, Set, StoreFile, err, out, say

TrialsFolder = Annotated[Path, typer.Argument(help="Where trials and results go; what stopped there goes on.", show_default=False)]
TrialMost = Annotated[int, typer.Option(min=0, help="Rows that a task is judged on; 0 for all.")]


def audit(
    store: StoreFile,
    folder: TrialsFolder = Path("runs/audit"),
    settings: Set = None,
    minutes: Annotated[float | None, typer.Option(min=0.1, help="Cut the trials to this much wall time.", show_default=False)] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Seeds of the last comparison.")] = 3,
    arms: Annotated[int, typer.Option(min=2, help="Arms that begin the race.")] = 8,
    sharing: Annotated[list[str] | None, typer.Option(help="A sharing architecture to try; may be repeated. ple or mmoe unless given.")] = None,
    balancing: Annotated[list[str] | None, typer.Option(help="A balancer to try; may be repeated. uncertainty or fixed unless given.")] = None,
    most: TrialMost = 20_000,
    draws: Annotated[int, typer.Option(min=10, help="Bootstrap draws of the intervals.")] = 200,
    scenarios: Annotated[int, typer.Option(min=0, help="Scenarios, the largest, of which to measure which gains from which; 0 for none.")] = 0,
    device: Device = None,
) -> None:
    """Say which tasks to train together, which to part, and which sharing and balancing to take."""
    from banyan.evaluation import audit_report
    from banyan.evaluation.audit import audit as measure
    from banyan.store.load import load

    options: dict[str, Any] = {"seeds": seeds, "minutes": minutes, "arms": arms, "sharing": sharing or (), "balancing": balancing or (), "scenarios": scenarios}
    found = measure(load(store, settings or []), folder, most=most or None, draws=draws, console=err, device=device, **options)
    page = audit_report.write(found)
    for each in audit_report.tables(found):
        out.print(each)
    say(f"Fragment: {folder / audit_report.FRAGMENT}\nWhole description: {folder / audit_report.WHOLE}\nReport: {page.resolve()}")


def tune(
    store: StoreFile,
    folder: TrialsFolder = Path("runs/tune"),
    settings: Set = None,
    space: Annotated[Path | None, typer.Option(help="A YAML file of the search space; read from the parts unless given.", show_default=False)] = None,
    hours: Annotated[float, typer.Option(min=0, help="Wall time, together with --minutes.")] = 0.0,
    minutes: Annotated[float, typer.Option(min=0, help="Wall time, together with --hours.")] = 0.0,
    trials: Annotated[int | None, typer.Option(min=1, help="Most trials in all.", show_default=False)] = None,
    share: Annotated[float, typer.Option(min=0.02, max=1.0, help="Of the store's own budget, for each trial.")] = 1.0,
    most: TrialMost = 20_000,
    device: Device = None,
) -> None:
    """Search the options of the model: one objective a task, on validation rows."""
    from banyan.evaluation import tune_report
    from banyan.evaluation.tune import tune as search
    from banyan.store.load import load

    seconds = 3600 * hours + 60 * minutes
    options: dict[str, Any] = {"seconds": seconds or None, "trials": trials, "share": share, "most": most or None}
    found = search(load(store, settings or []), folder, space=space, console=err, device=device, **options)
    page = tune_report.write(found)
    out.print(tune_report.table(found))
    say(f"Fragment: {folder / tune_report.FRAGMENT}\nWhole description: {folder / tune_report.WHOLE}\nReport: {page.resolve()}")


def crossval(
    store: StoreFile,
    folder: TrialsFolder = Path("runs/crossval"),
    settings: Set = None,
    folds: Annotated[int, typer.Option(min=2, help="How many; as many as there are scenarios with --kind scenario.")] = 4,
    kind: Annotated[str, typer.Option(help="rolling: origins in time; grouped: shares of the users, or of --by; scenario: each left out.")] = "rolling",
    by: Annotated[str, typer.Option(help="The entity of grouped folds.")] = "user",
    share: Annotated[float, typer.Option(min=0.02, max=1.0, help="Of the store's own budget, for each fold.")] = 1.0,
    most: TrialMost = 20_000,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    device: Device = None,
) -> None:
    """Train and judge on several splits: mean and spread of each task's figures."""
    from banyan.evaluation import crossval as cross
    from banyan.store.load import load

    options: dict[str, Any] = {"folds": folds, "kind": kind, "by": by, "share": share, "most": most or None}
    found = cross.crossval(load(store, settings or []), folder, console=err, device=device, **options)
    if as_json:
        sys.stdout.write(json.dumps(cross.plain(found), indent=1, allow_nan=False) + "\n")
        return
    out.print(cross.table(found))
    say(f"Figures: {folder / cross.FIGURES}")


def compare(
    ours: Annotated[Path, typer.Argument(help="A run's folder, or a bundle.", show_default=False)],
    theirs: Annotated[Path, typer.Argument(help="The run or bundle that it is compared with.", show_default=False)],
    part: Annotated[str, typer.Option(help="train, valid or test.")] = "test",
    most: TrialMost = 20_000,
    draws: Draws = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    device: Device = None,
) -> None:
    """Say whether one run is better than another on the same rows, task by task."""
    from banyan.evaluation import compare as pair

    found = pair.compare(ours, theirs, part=part, most=most or None, draws=200 if draws is None else draws, device=device)
    if as_json:
        sys.stdout.write(json.dumps(pair.plain(found), indent=1, allow_nan=False) + "\n")
    else:
        out.print(pair.table(found, f"{ours} over {theirs}, {part} part"))
