"""Which items are near by text, by photo and by behaviour, and is it what was planted? A figure of ten items, and shares over all of them.

    python -m benchmarks.nearest --picture nearest.svg

In a small planted world with photos a model learns from clicks which item is viewed next and what a view becomes; an item is its id, its title and its
photo. Each item's five nearest are asked of the engine, as a shop asks `POST /v1/similar`: by `text`, by `photo`, by `taste`. Beside the truth, over all
items with a bootstrap interval: the share of neighbours of the same category and of the same adjective, which the model never gets as a column, and the
correlation with what a photo shows and with the tastes that visitors act on. Chance is a neighbour drawn at random. What is trained in `--folder` is not
trained again. The last line printed is a JSON object; an entry goes to RESULTS.md.
"""

import argparse
import json
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from banyan.bundle import Bundle, save
from banyan.evaluation.evaluate import validator
from banyan.features.build import build
from banyan.features.texts import Texts
from banyan.model import Network
from banyan.run import feeder_of
from banyan.serving.engine import Engine
from banyan.store.open import open_store
from banyan.store.world import World, make
from banyan.store.world.truth import Truth
from banyan.training.loop import Fit
from banyan.types import Array
from benchmarks import _nearest_plot, _report, modalities

WAYS = {"text": "by text", "photo": "by photo", "taste": "by behaviour"}
NEAR, SHOWN, DRAWS = 5, 10, 1_000


def trained(folder: Path, seed: int) -> Path:
    """The bundle of a world's items with title and photo, trained unless it is there."""
    path = folder / "bundle"
    if not path.exists():
        store = modalities.described(folder, modalities.BOTH, seed)
        data = build(open_store(store), Texts(folder / "texts.sqlite"))
        feeder = feeder_of(data, store)
        torch.manual_seed(seed)
        network = Network(data.plan, store.model, store.tasks)
        Fit(network, feeder, store.tasks, store.training, store.model.balancing, evaluate=validator(feeder, store.tasks), depth=0).run()
        save(path, network, data, store)
    return path


def neighbours(engine: Engine, ids: Sequence[str], by: str) -> Array:
    """(items, NEAR) numbers of each item's nearest, best first."""
    number = {item: i for i, item in enumerate(ids)}
    return np.array([[number[each.item] for each in engine.similar(item, NEAR, by).items] for item in ids], np.int64)


def measures(truth: Truth) -> dict[str, Callable[[Array, Array], Array]]:
    """What is planted: name -> (items, other items) -> how alike each pair is."""
    codes, tastes = truth.items.codes, truth.items.latent[:, :-1]
    return {
        "same category": lambda a, b: (codes["category"][a] == codes["category"][b]).astype(float),
        "same adjective": lambda a, b: (codes["adjective"][a] == codes["adjective"][b]).astype(float),
        "what photos show": _cosine(truth.shown),
        "tastes": _cosine(tastes),
    }


def _cosine(vectors: Array) -> Callable[[Array, Array], Array]:
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return lambda a, b: np.asarray((unit[a] * unit[b]).sum(-1))


def judged(near: Mapping[str, Array], truth: Truth, seed: int = 0) -> dict[str, dict[str, list[float]]]:
    """Way, and `chance` -> measure -> mean over items, and the ends of its 95 % bootstrap interval over items."""
    count = len(truth.items)
    everyone = np.arange(count)
    others = np.stack([np.delete(everyone, i) for i in everyone])
    return {
        way: {name: _interval(alike(everyone[:, None], rows).mean(1), seed) for name, alike in measures(truth).items()}
        for way, rows in {**near, "chance": others}.items()
    }


def _interval(each: Array, seed: int) -> list[float]:
    rng = np.random.default_rng(seed)
    drawn = each[rng.integers(0, len(each), (DRAWS, len(each)))].mean(1)
    return [float(each.mean()), *map(float, np.quantile(drawn, [0.025, 0.975]))]


def chosen(truth: Truth) -> list[int]:
    """The first item of each of the first ten categories: nobody picked them."""
    category = truth.items.codes["category"]
    return [int(np.flatnonzero(category == code)[0]) for code in np.unique(category)[:SHOWN]]


def main(arguments: Sequence[str] | None = None) -> dict[str, Any]:
    """Run; returns what the last line says."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    options = _parser().parse_args(given)
    torch.set_num_threads(1)
    world = make(seed=options.seed, users=options.users, items=options.items, cold=modalities.COLD, pictures=True)
    folder = options.folder / f"world-{options.seed}"
    if not (folder / "store.yaml").exists():
        world.write(folder, oracles=False)
    engine = Engine(Bundle.load(trained(folder, options.seed), device="cpu"))
    ids = world.frames["items"]["item_id"].cast(str).to_list()
    near = {by: neighbours(engine, ids, by) for by in WAYS}
    found = judged(near, world.truth)
    if options.picture:
        _drawn(options.picture, world, near)
    size = {"users": options.users, "items": options.items, "seed": options.seed}
    result = {"benchmark": "nearest", **size, "neighbours": NEAR, "ways": found}
    _report.append(options.results, _entry(shlex.join(["python", "-m", "benchmarks.nearest", *given]), result))
    print(json.dumps(result), flush=True)
    return result


def _drawn(path: Path, world: World, near: Mapping[str, Array]) -> None:
    items, codes = world.frames["items"], world.truth.items.codes["category"]
    rows = chosen(world.truth)
    _nearest_plot.draw(path, items["photo"].to_list(), items["title"].to_list(), codes, rows, {WAYS[by]: each[rows] for by, each in near.items()})


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.nearest", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--users", type=int, default=500)
    parser.add_argument("--items", type=int, default=400)
    parser.add_argument("--picture", type=Path, help="an SVG file of ten items and their nearest")
    parser.add_argument("--folder", type=Path, default=Path("runs/nearest"), help="where the world and its bundle are kept")
    parser.add_argument("--results", type=Path, default=Path(__file__).with_name("RESULTS.md"))
    return parser


def table(ways: Mapping[str, Mapping[str, Sequence[float]]]) -> list[str]:
    """The lines of a Markdown table: a row for each way, a column for each measure."""
    names = list(next(iter(ways.values())))
    head = [f"| neighbours | {' | '.join(names)} |", f"|{' --- |' * (len(names) + 1)}"]
    return [*head, *(f"| {WAYS.get(way, way)} | {' | '.join(_shown(way, each) for each in row.values())} |" for way, row in ways.items())]


def _shown(way: str, found: Sequence[float]) -> str:
    mean, low, high = (round(each, 2) + 0.0 for each in found)  # no -0.00
    return f"{mean:.2f}" if way == "chance" else f"{mean:.2f} ({low:.2f} to {high:.2f})"


def _entry(command: str, result: Mapping[str, Any]) -> str:
    said = f"one world of {result['users']:,} users and {result['items']:,} items; {result['neighbours']} neighbours of each item; shares and cosines"
    return "\n".join(["\n## nearest\n", *_report.facts(command, _report.versions({})), f"- {said}", "", *table(result["ways"]), ""])


if __name__ == "__main__":
    main()
