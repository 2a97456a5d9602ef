"""A progress bar for a fit: the loss of each task, the pace and the time left. Knows no training."""

import time
from collections.abc import Mapping
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from banyan.training.loop import Figures

SHOWN = 6  # losses on one line


class Bar:
    """One fit's bar. Use it as a context manager; a console that is no terminal gets a line every ten seconds and one an epoch."""

    def __init__(self, title: str, console: Console | None = None) -> None:
        self.title, self.console = title, console or Console(stderr=True)
        self.progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=16),
            MofNCompleteColumn(),
            TimeRemainingColumn(compact=True, elapsed_when_finished=True),
            TextColumn("{task.fields[pace]}"),
            TextColumn("{task.fields[losses]}", style="dim"),
            console=self.console,
            transient=True,
        )
        self.bar = self.progress.add_task(title, total=None, pace="", losses="")
        self.began = self.last = time.monotonic()

    def __enter__(self) -> "Bar":
        if self.console.is_terminal:
            self.progress.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        if self.console.is_terminal:
            self.progress.stop()

    def step(self, epoch: int, step: int, steps: int, losses: Mapping[str, float], pace: float) -> None:
        """Losses (nats) of each view, rows a second."""
        shown = "  ".join(f"{name} {value:.3g}" for name, value in list(losses.items())[:SHOWN])
        shown += f"  +{len(losses) - SHOWN} more" if len(losses) > SHOWN else ""
        self.progress.update(self.bar, total=steps, completed=step, pace=f"{pace:,.0f} rows/s", losses=shown)
        if not self.console.is_terminal and time.monotonic() - self.last > 10:
            self.last = time.monotonic()
            left = (self.last - self.began) / step * (steps - step)
            self.console.print(f"{self.title}  step {step:,} of {steps:,}, at most {left:.0f} s left, {pace:,.0f} rows/s  {shown}", highlight=False)

    def epoch(self, epoch: int, figures: Figures, score: float, best: bool) -> None:
        """A line an epoch, with the first figure of each task."""
        first = "  ".join(f"{task} {next(iter(each.values())):.4g}" for task, each in figures.items() if each)
        self.console.print(f"{self.title}  epoch {epoch + 1}{' *' if best else '  '} {first}", style=None if best else "dim", highlight=False)
