"""Commands on the catalogue: enrich."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import Progress
from rich.table import Table

from banyan.cli.terminal import Device, StoreFile, err, out, say


def enrich(
    store: StoreFile,
    to: Annotated[Path, typer.Option("--out", help="Where the suggestions go: .csv, .parquet or .jsonl.")],
    bundle: Annotated[Path, typer.Option(help="The bundle that answers.")] = Path("runs/latest/bundle"),
    precision: Annotated[float, typer.Option(help="Share of suggestions that must be right, by held-out rows.")] = 0.95,
    task: Annotated[list[str] | None, typer.Option(help="Only these tasks. May be repeated.")] = None,
    part: Annotated[str, typer.Option(help="The held-out rows that say how right it is: valid or test.")] = "valid",
    doubts: Annotated[bool, typer.Option(help="Also list values that the model is sure are others.")] = True,
    device: Device = None,
) -> None:
    """Suggest values for empty columns, where the model is sure: a file to review, your tables stay as they are."""
    from banyan.enrich import enrich as fill

    with Progress(console=err, transient=True) as progress:
        bar = progress.add_task("things", total=None)
        found = fill(
            store, bundle, to, precision=precision, tasks=task, part=part, doubts=doubts, device=device,
            progress=lambda done, of: progress.update(bar, total=of, completed=done),
        )  # fmt: skip
    out.print(_table(found, part))
    for name, reason in found.left_out.items():
        say(f"{name}: not asked, {reason}.")
    say(f"Wrote {to}: review it, then put what you accept into your own tables.")


def _table(found: Any, part: str) -> Table:
    table = Table("task", "things", "empty", "suggested", "doubtful", "sure from", f"right among {part} rows", title="Suggestions", title_justify="left")
    for each in found.tasks:
        sure = "never" if each.threshold is None else f"{each.threshold:.3f}"
        right = f"too few are right ({each.judged:,} rows)" if each.threshold is None else f"{each.right:.1%} of {each.sure:,} (of {each.judged:,})"
        table.add_row(each.task, f"{each.things:,}", f"{each.missing:,}", f"{each.suggested:,}", f"{each.doubtful:,}", sure, right)
    return table
