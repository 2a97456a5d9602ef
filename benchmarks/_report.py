"""From the rounds of all contenders to the figures, the line of JSON and the entry in RESULTS.md."""

import platform
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy
import torch

from benchmarks._race import Times

OURS, BARE, BF16, FUSED = "banyan", "bare", "banyan-bf16", "-fused"


def figures(found: Mapping[str, Times]) -> dict[str, Any]:
    """Ratios of ours to the others, each the median over rounds of the ratio within a round; None where there is nobody to compare with."""
    peers = [name for name in found if name not in (OURS, BARE, BF16)]
    shipped = [name for name in peers if not name.endswith(FUSED)]
    fastest = max(shipped, key=lambda name: statistics.median(found[name].cpu), default=None)
    quickest = max(shipped, key=lambda name: statistics.median(found[name].wall), default=None)
    tuned = max(peers, key=lambda name: statistics.median(found[name].cpu), default=None)
    return {
        "fastest_peer": fastest,
        "ratio_cpu": _ratio(found, OURS, fastest, "cpu"),
        "ratio_cpu_bf16": _ratio(found, BF16, fastest, "cpu"),
        "ratio_wall": _ratio(found, OURS, quickest, "wall"),
        "ratio_bare": _ratio(found, OURS, BARE, "cpu"),
        "fastest_row": tuned,
        "ratio_cpu_fastest_row": _ratio(found, OURS, tuned, "cpu"),
        "log_loss_gap": max(a - b for a, b in zip(found[OURS].log_loss, found[fastest].log_loss, strict=True)) if fastest else None,  # of the worse label
        "contenders": {name: _row(times) for name, times in found.items()},
    }


def _ratio(found: Mapping[str, Times], one: str, other: str | None, clock: str) -> float | None:
    if other is None or one not in found:
        return None
    pairs = zip(getattr(found[one], clock), getattr(found[other], clock), strict=True)
    return float(statistics.median(a / b for a, b in pairs))


def _row(times: Times) -> dict[str, Any]:
    return {
        "samples_per_cpu_second": statistics.median(times.cpu),
        "samples_per_second": statistics.median(times.wall),
        "rounds_cpu": [round(x) for x in times.cpu],
        "log_loss": times.log_loss,
    }


def clock() -> Callable[[str], None]:
    """Prints a line with the seconds since it was made before it."""
    began = time.perf_counter()

    def tell(text: str) -> None:
        print(f"[{time.perf_counter() - began:5.0f} s] {text}", flush=True)

    return tell


def machine() -> str:
    """Processor and cores."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
        return f"{model}, {sum(line.startswith('processor') for line in lines)} cores"
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def versions(peers: Mapping[str, str]) -> str:
    """Of everything that computes."""
    ours = _installed("banyan-commerce")
    each = [f"banyan {ours}", f"torch {torch.__version__}", f"numpy {numpy.__version__}", f"python {platform.python_version()}"]
    return ", ".join([*each, *(f"{name} {version}" for name, version in peers.items())])


def _installed(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "(source tree)"


def facts(command: str, with_versions: str) -> list[str]:
    """When, where, with what, and how: the first lines of every entry."""
    return [f"- {datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {machine()}", f"- {with_versions}", f"- `{command}`"]


def entry(title: str, command: str, said: Sequence[str], result: Mapping[str, Any], with_versions: str) -> str:
    """The Markdown of one run."""
    head = "| contender | samples a CPU second | spread | samples a second | held-out log loss |\n| --- | --- | --- | --- | --- |"
    rows = [_line(name, row) for name, row in result["contenders"].items()]
    ratios = [f"{key} {_shown(result[key])}" for key in ("ratio_cpu", "ratio_cpu_bf16", "ratio_wall", "ratio_bare", "ratio_cpu_fastest_row", "log_loss_gap")]
    lines = [
        *facts(command, with_versions),
        *(f"- {line}" for line in said),
        f"- **{', '.join(ratios)}** (fastest peer as shipped: {result['fastest_peer'] or 'none'}; fastest row of any peer: {result['fastest_row'] or 'none'})",
    ]
    return "\n".join([f"\n## {title}\n", *lines, "", head, *rows, ""])


def _line(name: str, row: Mapping[str, Any]) -> str:
    low, high = min(row["rounds_cpu"]), max(row["rounds_cpu"])
    losses = " ".join(f"{x:.4f}" for x in row["log_loss"])
    return f"| {name} | {row['samples_per_cpu_second']:,.0f} | {low:,} to {high:,} | {row['samples_per_second']:,.0f} | {losses} |"


def _shown(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}" if abs(value) < 0.1 else f"{value:.2f}"


def append(path: Path, text: str) -> None:
    """Add an entry to a results file, which begins with a title when it is new."""
    if not path.exists():
        path.write_text("# Results\n\nEvery entry below was written by the benchmark that it names.\n", encoding="utf-8")
    with path.open("a", encoding="utf-8") as file:
        file.write(text)
