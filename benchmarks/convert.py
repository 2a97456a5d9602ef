"""How long, and how much memory, does it take to turn a large public set into tables? On files that are generated in its published form.

    python -m benchmarks.convert --set taobao --rows 10000000

The conversion runs in a process of its own, whose peak memory is read at its end. The last line printed is a JSON object; an entry goes to RESULTS.md.
"""

import argparse
import json
import resource
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import _forms, _report


def main(arguments: Sequence[str] | None = None) -> dict[str, Any]:
    """Run; returns what the last line says."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    options = _parser().parse_args(given)
    if options.inside:
        return _inside(options.set, options.inside)
    with tempfile.TemporaryDirectory(prefix="banyan-convert-", dir=options.folder) as name:
        folder = Path(name)
        _forms.FORMS[options.set](folder, options.rows, np.random.default_rng(options.seed))
        size = sum(path.stat().st_size for path in folder.iterdir())
        command = [sys.executable, "-m", "benchmarks.convert", "--set", options.set, "--inside", str(folder)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
    result = {"benchmark": "convert", "set": options.set, "rows": options.rows, "bytes": size, **json.loads(done.stdout.splitlines()[-1])}
    command = shlex.join(["python", "-m", "benchmarks.convert", *given])
    cost = f"{result['seconds']:.0f} s, {result['cpu_seconds']:.0f} CPU s, at most {result['peak_mb']:,} MB of memory"
    said = f"- {size / 1e9:.2f} GB of text: **{cost}**; tables of {result['written'] / 1e9:.2f} GB"
    _report.append(options.results, "\n".join([f"\n## convert, {options.set}\n", *_report.facts(command, _report.versions({})), said, ""]))
    print(json.dumps(result), flush=True)
    return result


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.convert", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--set", choices=sorted(_forms.FORMS), default="taobao")
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, help="where the generated files go for a while; the system's unless given")
    parser.add_argument("--results", type=Path, default=Path(__file__).with_name("RESULTS.md"))
    parser.add_argument("--inside", help=argparse.SUPPRESS)  # the folder that this process converts
    return parser


def _inside(name: str, folder: str) -> dict[str, Any]:
    from banyan.store.datasets import convert

    began = time.perf_counter()
    done = convert(name, folder, Path(folder) / "store")
    used = resource.getrusage(resource.RUSAGE_SELF)
    seconds = {"seconds": round(time.perf_counter() - began, 1), "cpu_seconds": round(used.ru_utime + used.ru_stime, 1)}
    facts = {**seconds, "peak_mb": used.ru_maxrss // 1024}
    written = sum(path.stat().st_size for path in done.page.parent.iterdir())
    print(json.dumps({**facts, "written": written, "tables": dict(done.rows)}))
    return facts


if __name__ == "__main__":
    main()
