"""What all commands share: where they write, and the options that several of them have."""

from pathlib import Path
from typing import Annotated

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
