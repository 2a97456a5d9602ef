"""How far from the best possible? The joint model on worlds with planted truths, beside popularity and the `bayes` oracle, and beside tasks alone.

    python -m benchmarks.world --seeds 3 --folder worlds

For each seed a world is drawn (`banyan.store.world`), one model is fitted to all its tasks, and every task's figures are compared on the test
rows with those of the two oracles: `closed` is the share of the way from popularity to `bayes`. `vip` (few labels, agrees with `loyal`), `keeps`
and `returns` are also trained alone; the latter two, which fight, once more through a bottleneck of one number, together and each by itself.
With `--null` nothing is shared between tasks, every task is trained alone, and the right verdict is "no difference" for all but chance.

A seed that is finished in `--folder` is not run again; one that was stopped goes on. The last line printed is a JSON object; an entry goes to RESULTS.md.
"""

import argparse
import json
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from banyan.store.world import World, make
from benchmarks import _gaps, _report, _trial

SMALL = {"users": 1000, "items": 400}
ALONE = ("vip", "keeps", "returns")


def main(arguments: Sequence[str] | None = None) -> dict[str, Any]:
    """Run; returns what the last line says."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    options = _parser().parse_args(given)
    tell = _report.clock()

    size = {"users": options.users, "items": options.items} if options.users else SMALL if options.small else {}
    name = "null world" if options.null else "world"
    folder = options.folder / "-".join([*name.split(), *(str(value) for value in size.values())])
    seeds = [_one(seed, folder / f"seed-{seed}", size, options, tell) for seed in range(options.first, options.first + options.seeds)]
    result = {"benchmark": "world", "null": options.null, "size": size or "default", "seeds": len(seeds), **_gaps.summary(seeds)}
    command = shlex.join(["python", "-m", "benchmarks.world", *given])
    facts = [*_report.facts(command, _report.versions({})), *(f"- {line}" for line in _gaps.said(result))]
    _report.append(options.results, "\n".join([f"\n## {name}\n", *facts, "", *_gaps.lines(result), ""]))
    print(json.dumps(result), flush=True)
    return result


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.world", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3, help="worlds")
    parser.add_argument("--first", type=int, default=0, help="seed of the first world")
    parser.add_argument("--small", action="store_true", help=f"{SMALL['users']} users and {SMALL['items']} items instead of 5,000 and 2,000")
    parser.add_argument("--users", type=int, help="users of a world of another size")
    parser.add_argument("--items", type=int, default=400, help="items of a world of another size")
    parser.add_argument("--null", action="store_true", help="worlds in which tasks share nothing")
    parser.add_argument("--set", nargs="*", default=[], metavar="PATH=VALUE", help="keys of store.yaml, such as training.epochs=2")
    parser.add_argument("--no-alone", action="store_true", help="the joint model only")
    parser.add_argument("--folder", type=Path, default=Path("worlds"), help="where worlds, checkpoints and finished seeds are kept")
    parser.add_argument("--results", type=Path, default=Path(__file__).with_name("RESULTS.md"))
    return parser


def _one(seed: int, folder: Path, size: Mapping[str, int], options: argparse.Namespace, tell: Any) -> dict[str, Any]:
    """What one world showed; read from `folder` if it stands there."""
    page = folder / "found.json"
    if page.exists():
        tell(f"seed {seed}: finished before, in {page}")
        return dict(json.loads(page.read_text()))
    world: World = make(seed=seed, null=options.null, **size)
    if not (folder / "store.yaml").exists():
        tell(f"seed {seed}: writing the world and its oracles")
        world.write(folder)
    alone = () if options.no_alone else None if options.null else ALONE
    found = _trial.run(world, folder, options.set, alone=alone, tell=tell)
    page.write_text(json.dumps(found, indent=1))
    return found


if __name__ == "__main__":
    main()
