"""A progress bar for a fit: the loss of each task, the pace and the time left. Knows no training."""

import math
import time
from collections.abc import Callable, Iterable, Mapping
from types import TracebackType

from rich.console import Console, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from banyan.training.record import Figures

EVERY = 10.0  # seconds between two lines of a plain log


class _Losses(Progress):
    """A bar with the losses below it, on as many lines as they take."""

    def get_renderables(self) -> Iterable[RenderableType]:
        """The bar, then the losses."""
        yield self.make_tasks_table(self.tasks)
        yield from (Text(f"  {task.fields['losses']}", style="dim") for task in self.tasks if task.fields["losses"])


class Bar:
    """One fit's bar. Use it as a context manager; a console that is no terminal gets a line every ten seconds and one an epoch."""

    def __init__(self, title: str, console: Console | None = None, *, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock`: seconds from any beginning."""
        self.title, self.console, self.clock = title, console or Console(stderr=True), clock
        self.progress = _Losses(
            TextColumn("{task.description}"),
            BarColumn(bar_width=16),
            MofNCompleteColumn(),
            TextColumn("{task.fields[pace]}"),
            TimeRemainingColumn(compact=True, elapsed_when_finished=True),
            console=self.console,
            transient=True,
            get_time=clock,
        )
        self.bar = self.progress.add_task(title, total=None, pace="", losses="")
        self.began, self.printed = (0, clock()), clock()  # (step, second): a resumed run begins late
        self.line = ""  # the newest one, until it is printed

    def __enter__(self) -> "Bar":
        if self.console.is_terminal:
            self.progress.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        if self.console.is_terminal:
            self.progress.stop()
        if isinstance(value, KeyboardInterrupt) and str(value):  # a command line swallows what an interrupt has to say
            self.console.print(str(value), highlight=False, markup=False, soft_wrap=True)

    def step(self, epoch: int, step: int, steps: int, losses: Mapping[str, float], pace: float) -> None:
        """Losses (nats) of each view, rows a second."""
        shown = "  ".join(f"{name} {value:.3g}" for name, value in losses.items())
        self.progress.update(self.bar, total=steps, completed=step, pace=f"{pace:,.0f} rows/s", losses=shown)
        self.line = f"{self.title}  step {step:,} of {steps:,}, {self._left(step, steps)}{pace:,.0f} rows/s  {shown}"
        if not self.console.is_terminal and self.clock() - self.printed >= EVERY:
            self._print_line()

    def epoch(self, epoch: int, figures: Figures, score: float, best: bool) -> None:
        """A line an epoch, with the first figure of each task; `*` marks the best epoch so far."""
        if not self.console.is_terminal:
            self._print_line()
        first = "  ".join(
            f"{task} {name} {'-' if math.isnan(value) else format(value, '.4g')}" for task, each in figures.items() for name, value in [*each.items()][:1]
        )
        text = f"{self.title}  epoch {epoch + 1}{' *' if best else '  '} {first}"
        self.console.print(text, style=None if best else "dim", highlight=False, markup=False, soft_wrap=True)

    def _left(self, step: int, steps: int) -> str:
        """At most, since a run may end early; nothing is known at the first line."""
        first, second = self.began
        if not first:
            self.began = step, self.clock()
            return ""
        return f"at most {(self.clock() - second) / max(step - first, 1) * (steps - step):.0f} s left, "

    def _print_line(self) -> None:
        if self.line:
            self.console.print(self.line, highlight=False, markup=False, soft_wrap=True)
        self.line, self.printed = "", self.clock()
