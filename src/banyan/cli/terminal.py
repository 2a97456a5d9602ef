"""What all commands share: where they write, and the options that several of them have."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

out, err = Console(), Console(stderr=True)

StoreFile = Annotated[Path, typer.Argument(help="The store's description, store.yaml.", show_default=False)]
BundleFolder = Annotated[Path, typer.Argument(help="A bundle folder.", show_default=False)]
Set = Annotated[list[str] | None, typer.Option("--set", help="A setting, such as model.width=32 or sharing.experts=6. May be repeated.")]
Most = Annotated[int | None, typer.Option(min=0, help="Rows that a task is judged on, drawn at random; 0 for all. 20,000 unless given.", show_default=False)]
Device = Annotated[str | None, typer.Option(help="cpu, cuda, cuda:1; the first GPU where there is one.", show_default=False)]
Draws = Annotated[int | None, typer.Option(min=0, help="Bootstrap draws of the intervals. 100 unless given.", show_default=False)]


def say(text: str, console: Console = out) -> None:
    """A line as it is: a path stands whatever signs it holds."""
    console.print(text, highlight=False, markup=False, soft_wrap=True)


def tell(run: Any) -> None:
    """What a run found, and where it lies."""
    from banyan.evaluation import table

    out.print(table.terminal(run.rows, run.store.store))
    record = run.record
    say(f"Joint model: {record.steps:,} steps, {record.seconds:.0f} s ({record.cpu_seconds:.0f} CPU s), stopped {record.stopped}.")
    if run.alone:
        say(f"Tasks alone: {sum(a.cpu_seconds for each in run.alone.values() for a in each):.0f} CPU s.")
    if run.baselines.cpu_seconds:
        say("Baselines: " + ", ".join(f"{name} {seconds:.0f} CPU s" for name, seconds in run.baselines.cpu_seconds.items()) + ".")
        for note in run.baselines.notes:
            say(f"- {note}")
    say(f"Bundle: {run.folder / 'bundle'}\nReport: {run.report.resolve()}")
