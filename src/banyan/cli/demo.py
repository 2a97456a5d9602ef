"""`banyan demo`: a real grocery store, trained and served with one command."""

import shutil
from pathlib import Path
from typing import Annotated

import typer

from banyan.cli import service
from banyan.cli.terminal import err, tell


def demo(
    to: Annotated[Path, typer.Option("--out", help="Where the demo store and its run go.")] = Path("demo"),
    households: Annotated[int, typer.Option(help="How many of the 2,469 households.", min=50)] = 500,
    full: Annotated[bool, typer.Option("--full", help="Every household, and no cap on training.")] = False,
    fresh: Annotated[bool | None, typer.Option(help="Train again, also where a run is found; with --serve only if asked for.", show_default=False)] = None,
    serve: Annotated[bool, typer.Option("--serve", help="Then serve it at http://127.0.0.1:8000, with a key; a bundle that is there is taken.")] = False,
    port: service.Port = 8000,
    workers: service.Workers = 1,
) -> None:
    """Train on a real grocery store, The Complete Journey, and show what came out."""
    from banyan.run import train as fit
    from banyan.store import complete_journey
    from banyan.store.load import load

    to = to / ("full" if full else "small")
    fresh = not serve if fresh is None else fresh
    if fresh and (to / "run").exists():
        shutil.rmtree(to / "run")
    if not (serve and (to / "run" / "bundle").is_dir()):
        page = complete_journey.write(to / "store", None if full else households)
        settings = complete_journey.FULL if full else complete_journey.SMALL
        tell(fit(load(page, settings), to / "run", seconds_simple=None if full else 120.0, console=err))
    if serve:
        table = to / "store" / "items.parquet"
        service.start(
            to / "run" / "bundle", "127.0.0.1", port, workers, to / "service", items=table if table.exists() else None, runs=to,
            reads=["view=purchase", "cart=purchase"], demo=True,
        )  # fmt: skip
