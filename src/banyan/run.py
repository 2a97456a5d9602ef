"""A whole run from Python: read a store, fit the joint model, judge it beside what it must beat, keep it. The command line calls these."""

import io
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console

from banyan.bundle import Bundle, save
from banyan.claim import JOINT, claim
from banyan.devices import device as named
from banyan.disk import whole
from banyan.errors import ConfigError
from banyan.evaluation import baselines, calibrate, table, transfer
from banyan.evaluation.baselines import Baselines
from banyan.evaluation.evaluate import Evaluation, validator
from banyan.evaluation.evaluate import evaluate as judge
from banyan.evaluation.questions import MOST_RANKED, Question
from banyan.evaluation.report import Report
from banyan.evaluation.transfer import Alone, Row
from banyan.features.build import build, stocked, tabled, task_options
from banyan.features.data import Data
from banyan.features.step import Feeder
from banyan.features.texts import Texts
from banyan.graft import Origin, shown
from banyan.graft.origin import PULL
from banyan.model import Network
from banyan.refit import planted, refit
from banyan.store import doctor, fingerprint, several
from banyan.store.finding import Finding
from banyan.store.load import load
from banyan.store.open import open_store
from banyan.store.schema import Store
from banyan.store.shop import Shop
from banyan.training.loop import Fit
from banyan.training.progress import Bar
from banyan.training.pseudo import told
from banyan.training.record import Record
from banyan.types import PARTS, TEST, TRAIN, VALID

MOST, DRAWS = 20_000, 100  # rows a task is judged on, and draws of the bootstrap, unless said otherwise
BUNDLE, REPORT, TABLE, REFIT = "bundle", "report.html", "table.json", "refit"
JOINED = "joined"  # the tables of several stores as those of one


@dataclass
class Run:
    """What a run found: the model, how good each task is, and what it was compared with."""

    folder: Path
    store: Store
    data: Data
    network: Network
    record: Record
    evaluation: Evaluation
    rows: list[Row]
    baselines: Baselines = field(default_factory=Baselines)
    alone: Mapping[str, Sequence[Alone]] = field(default_factory=dict)
    notes: Sequence[str] = ()
    origin: Origin | None = None  # with `start_from`: what moved into the model before training
    refitted: Evaluation | None = None  # with `training.refit`: the model of the bundle, judged on the same rows

    def table(self, width: int = 150) -> str:
        """The table of tasks as text, `width` characters wide."""
        console = Console(file=io.StringIO(), width=width)
        console.print(table.terminal(self.rows, self.store.store))
        assert isinstance(console.file, io.StringIO)
        return console.file.getvalue()

    @cached_property
    def bundle(self) -> Bundle:
        """The model as it was saved, checked by its hashes."""
        return Bundle.load(self.folder / BUNDLE)

    @property
    def report(self) -> Path:
        """The page that shows the run."""
        return self.folder / REPORT


def check(store: Store | str | Path) -> list[Finding]:
    """What the data can support, and what would spoil it; errors first."""
    return doctor.check(open_store(store))


def train(
    store: Store | str | Path | Sequence[Store | str | Path],
    folder: str | Path,
    *,
    alone: bool = True,
    simple: bool = True,
    seconds_simple: float | None = 600.0,
    most: int | None = MOST,
    draws: int = DRAWS,
    console: Console | None = None,
    device: str | None = None,
    facts: Mapping[str, Any] | None = None,
    start_from: str | Path | None = None,
    share: Mapping[str, bool] | None = None,
    freeze: Sequence[str] = (),
    thaw: int | None = None,
    pull: float | None = None,
) -> Run:
    """Fit the joint model on the store's training part, judge it on the test part, write bundle and report into `folder`.

    `alone`: also train each task by itself under the same budget. `simple`: also fit the simple baselines, for at most `seconds_simple` of CPU time.
    `most`: test rows that a task is judged on, drawn by the seed (None: all; a ranking takes at most 2,000 unless None). `draws`: of the
    bootstrap. A run that was stopped, or is over, goes on where its last checkpoint stands when the same call is made again; another
    description, or other data, are refused. `console` shows progress; None is quiet. `device` is the first GPU where there is one, else the CPU.
    `facts` join those of the bundle, such as {"through": 120_000}, the newest event of the service's journal that it was trained on.
    Several stores train one model, in which each is a scenario (`store.several`): what they share is found by name and content, their tables are
    written into `folder` as those of one store, and `share` speaks of them. `start_from`: a bundle, of another store or of this one, whose model
    this one starts from wherever both speak of the same thing. `share` says of features (`item.brand`) whether they are the same, in place of what
    names and values say. `freeze`: parts that do not move: encoders, trunk, heads, all-but-new; after `thaw` epochs they do. `pull`: how strongly
    what moved is drawn back to where it started, the weaker the more rows there are. `Run.origin` says what moved.
    Raises ConfigError, DataError, BundleError.
    """
    one = isinstance(store, (Store, str, Path)) or len(store) == 1
    place, origin = named(device), _origin(start_from, share if one else {}, freeze, thaw, pull)
    folder = Path(folder)
    store, together = _joined(store, folder, share, console)
    with _busy("reading the tables", console) as line:
        with fingerprint.noting() as queries:
            shop = open_store(store)
        store = shop.store
        claim(folder, store, fingerprint.of_files(store) | queries, origin)
        texts = Texts(folder / "texts.sqlite", _counted(line))
        data = build(shop, texts, origin)
    feeder, seed = feeder_of(data, store), store.training.seed
    torch.manual_seed(seed)
    network = Network(data.plan, store.model, store.tasks, store.auxiliary)
    held = planted(origin, network, store)
    if console is not None and origin is not None:
        console.print(shown.tables(origin.facts))
    with watched(f"joint ({len(store.tasks)} tasks)", console) as bar:
        options = {"evaluate": validator(feeder, store.tasks), "folder": folder / JOINT, "watch": bar, "device": place, "held": held}
        fit = Fit(network, feeder, store.tasks, store.training, store.model.balancing, **options)
        record = fit.run()
    calibrate.calibrate(network, feeder, store.tasks, seed=seed)
    ranked = None if most is None else min(most, MOST_RANKED)
    evaluation = judge(network, feeder, store.tasks, TEST, most=most, most_ranked=ranked, by_scenario=True, intervals=draws, seed=seed)
    run = Run(
        folder,
        store,
        data,
        network,
        record,
        evaluation,
        [],
        notes=[*shop.notes, *dict.fromkeys(texts.pictures.notes), *_fewer(data, evaluation.questions), *told(record.pseudo_labels), *_started(origin)],
        origin=origin,
    )
    if alone:
        run.alone = {task: [_alone(run, feeder, fit, task, console, place)] for task in store.tasks if len(evaluation.questions[task])}
    if simple:
        with _busy("baselines: popularity, own history, item-kNN, trees", console):
            threads = store.training.threads or torch.get_num_threads()
            run.baselines = baselines.run(store, data, evaluation.questions, TEST, seconds=seconds_simple, threads=threads)
    run.rows = transfer.compare(store, data, evaluation, run.alone, run.baselines, draws=draws)
    if store.training.refit:
        _refitted(run, most, ranked, console, place)
    _written(run, fit, {**(facts or {}), **together})
    return run


def _refitted(run: Run, most: int | None, ranked: int | None, console: Console | None, place: torch.device) -> None:
    """Fit once more with validation among training; that model is the run's own from here on, and the table stays that of training alone."""
    store, epochs = run.store, run.record.best_epoch + 1
    with watched("once more, validation rows among training", console) as bar:
        run.data, run.network = refit(
            store, run.network, run.record, Texts(run.folder / "texts.sqlite"), folder=run.folder / REFIT, watch=bar, device=place, origin=run.origin
        )
    feeder = feeder_of(run.data, store)
    run.refitted = judge(run.network, feeder, store.tasks, TEST, most=most, most_ranked=ranked, by_scenario=True, seed=store.training.seed)
    said = f"The bundle holds a model fitted to training and validation rows together for {epochs} epochs; the table compares models fitted to training rows."
    run.notes = [*run.notes, said]


def _joined(
    store: Store | str | Path | Sequence[Store | str | Path], folder: Path, share: Mapping[str, bool] | None, console: Console | None
) -> tuple[Store | str | Path, dict[str, Any]]:
    """(The one store that several are, what its bundle says of them); a single one as it is."""
    if isinstance(store, (Store, str, Path)):
        return store, {}
    each = [one if isinstance(one, Store) else load(one) for one in store]
    if len(each) == 1:
        return each[0], {}
    made, found = several.join(each, folder / JOINED, share)
    names = [several.slug(one) for one in each]
    facts = {"stores": {"names": names, "found": found.rows(names)}}
    if console is not None:
        console.print(shown.stores(facts["stores"]))
    return made, facts


def _origin(start_from: str | Path | None, share: Mapping[str, bool] | None, freeze: Sequence[str], thaw: int | None, pull: float | None) -> Origin | None:
    if start_from is None:
        if share or freeze or thaw is not None or pull is not None:
            raise ConfigError("share, freeze, thaw and pull say what becomes of the bundle that a training starts from; name it with --start-from.")
        return None
    kept = Bundle.load(start_from, device="cpu")
    pull = PULL if pull is None else float(pull)
    return Origin(kept.network, kept.store, kept.stock, str(kept.facts["digest"]), share or {}, tuple(freeze), thaw, pull)


def _started(origin: Origin | None) -> list[str]:
    """A line for report and card."""
    if origin is None:
        return []
    moves = origin.carried.moves
    moved, new = sum(m.moved for m in moves), sum(m.new for m in moves)
    return [f"The joint model started from a bundle of {origin.store.store!r}: {moved:,} entries moved, {new:,} are new. Tasks alone started from nothing."]


def _fewer(data: Data, questions: Mapping[str, Question]) -> list[str]:
    """What the cap on test rows took away."""
    counts = {task: int(np.count_nonzero((data.tables[q.table].part == TEST) & data.tables[q.table].labels[task].seen.any(1))) for task, q in questions.items()}
    return [f"{task}: judged on {len(q):,} of {counts[task]:,} test rows, drawn at random." for task, q in questions.items() if len(q) < counts[task]]


def _alone(run: Run, feeder: Feeder, fit: Fit, task: str, console: Console | None, device: torch.device) -> Alone:
    with watched(f"{task} alone", console) as bar:
        questions, seed = run.evaluation.questions, run.store.training.seed
        return transfer.alone(
            run.store, feeder, task, fit.budget, questions, TEST, seed=seed, folder=run.folder / "alone" / task.replace("/", "_"), watch=bar, device=device
        )


def _written(run: Run, fit: Fit, more: Mapping[str, Any]) -> None:
    rows = table.plain(run.rows)
    with whole(run.folder / TABLE) as aside:
        aside.write_text(json.dumps(rows, indent=1), encoding="utf-8")
    facts = {
        **more,
        **({} if run.origin is None else {"start_from": run.origin.facts}),
        "metrics": (run.refitted or run.evaluation).figures,
        "table": rows,
        "calibration": {task: {"before": before, "after": run.evaluation.figures[task]} for task, before in run.evaluation.before.items()},
        "notes": list(run.notes),
        "options": {"training": run.store.training.model_dump(mode="json")},
        "record": {key: value for key, value in vars(run.record).items() if key != "epochs"},
    }
    save(run.folder / BUNDLE, run.network, run.data, run.store, facts)
    notes = [*run.notes, *run.baselines.notes]
    Report(run.store, run.data, run.rows, run.evaluation, run.record, fit.history, run.baselines, run.alone, notes).write(run.folder / REPORT)


def evaluate(
    store: Store | str | Path,
    bundle: str | Path,
    *,
    part: str = "test",
    simple: bool = False,
    most: int | None = MOST,
    draws: int = DRAWS,
    device: str | None = None,
) -> list[Row]:
    """Judge a saved bundle on a part of a store's split: the store that it was trained on, or the same shop with newer rows.

    `part` is train, valid or test; `simple`, `most`, `draws` and `device` as in `train`.
    Raises ConfigError where the store has other tasks or tables than the bundle.
    """
    if PARTS.get(part) not in (TRAIN, VALID, TEST):
        raise ConfigError(f"There is no part {part!r}; parts are train, valid and test.")
    kept, shop = Bundle.load(bundle, device=device), open_store(store)
    _same_shop(kept, shop, bundle)
    texts, now = Texts(), shop.cut[0] if shop.cut is not None else None
    stock = stocked(kept.plan, shop, texts)
    data = Data(kept.plan, stock, {name: tabled(kept.plan, stock, shop.store, each, texts, now=now) for name, each in shop.samples.items()})
    ranked = None if most is None else min(most, MOST_RANKED)
    seed = shop.store.training.seed
    found = judge(kept.network, feeder_of(data, shop.store), shop.store.tasks, PARTS[part], most=most, most_ranked=ranked, intervals=draws, seed=seed)
    simple_ones = baselines.run(shop.store, data, found.questions, PARTS[part]) if simple else None
    return transfer.compare(shop.store, data, found, None, simple_ones, draws=draws)


def _same_shop(kept: Bundle, shop: Shop, bundle: str | Path) -> None:
    """Refuse a store that asks what the bundle does not answer, or codes what happens otherwise."""
    if set(shop.store.tasks) != set(kept.store.tasks) or set(shop.samples) != set(kept.plan.tables):
        asked = ", ".join(shop.store.tasks)
        raise ConfigError(f"{bundle} answers {', '.join(kept.store.tasks)}; the store asks for {asked}. Train again, or name its own store.")
    behaviours = shop.log.behaviours if shop.log else ()
    for what, mine, theirs in (("behaviours", behaviours, kept.plan.behaviours), ("scenarios", shop.scenarios, kept.plan.scenarios)):
        if tuple(mine) != tuple(theirs):
            raise ConfigError(f"The store's {what} are {_said(mine)}; {bundle} was trained on {_said(theirs)}. Train again, or name its own store.")


def _said(words: Sequence[str]) -> str:
    return ", ".join(word for word in words if word) or "none"


def feeder_of(data: Data, store: Store) -> Feeder:
    """What makes steps for a store's tasks."""
    return Feeder(data, {task: task_options(store, task) for task in store.tasks}, store.model.id_dropout)


def watched(title: str, console: Console | None) -> Any:
    """A progress bar, or nothing."""
    return Bar(title, console) if console is not None else nullcontext()


def _counted(shown: Any) -> Callable[[int, int], None] | None:
    """Tells on a line that is shown how many texts have their vectors."""
    return None if shown is None else lambda done, total: shown.update(f"reading the tables: vectors of {done:,} of {total:,} texts")


def _busy(text: str, console: Console | None) -> Any:
    return console.status(text) if console is not None else nullcontext()
