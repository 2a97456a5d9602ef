"""The command line: every command is a few lines over what Python offers."""

import errno
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import Progress
from rich.table import Table
from typer.core import TyperGroup

from banyan import __version__, parts
from banyan.cli import catalogue, demo, fresh, search, service, state, trials
from banyan.cli.terminal import BundleFolder, Device, Draws, Most, Set, StoreFile, err, out, say, tell
from banyan.errors import BanyanError


class Commands(TyperGroup):
    """Every command: what the user can mend is one sentence on stderr and exit status 2, never a trace; Ctrl-C says how to go on."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was asked for."""
        try:
            return super().invoke(ctx)
        except BanyanError as error:
            raise _refused(str(error)) from error
        except OSError as error:
            if error.errno == errno.EPIPE:
                raise
            raise _refused(f"{error.filename or 'A file'}: {error.strerror or error}.") from error
        except KeyboardInterrupt as stop:
            if not str(stop):  # what has more to say has said it
                say("Stopped. Start the same command again to go on.", err)
            raise typer.Exit(130) from stop


def _refused(sentence: str) -> typer.Exit:
    err.print(f"Error: {sentence}", style="bold red", highlight=False, soft_wrap=True, markup=False)
    return typer.Exit(2)


app = typer.Typer(
    name="banyan",
    cls=Commands,
    help="One multi-task model for a whole store.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


@app.callback(invoke_without_command=True)
def main(version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    """One multi-task model for a whole store."""
    if version:
        say(__version__)
        raise typer.Exit


@app.command()
def init(
    files: Annotated[list[Path], typer.Argument(help="The shop's tables: Parquet, CSV or JSON lines.", show_default=False)],
    to: Annotated[Path, typer.Option("--out", help="Where to write the page.")] = Path("store.yaml"),
    force: Annotated[bool, typer.Option(help="Replace a page that is there.")] = False,
) -> None:
    """Write a commented store.yaml from the headers of your files."""
    from banyan.store.init import init as draft

    if to.exists() and not force:
        raise BanyanError(f"{to} is there already; give another --out, or --force to replace it.")
    to.write_text(draft(files, to.parent), encoding="utf-8")
    say(f"Wrote {to}. Read its comments, then run: banyan check {to}")


@app.command()
def check(store: StoreFile) -> None:
    """Say what the data can support and what would spoil it. Exit status 1 when there is an error."""
    from banyan.run import check as look
    from banyan.store import doctor

    findings = look(store)
    doctor.show(findings, out)
    if any(f.severity == "error" for f in findings):
        raise typer.Exit(1)


@app.command()
def train(
    stores: Annotated[list[Path], typer.Argument(help="The store.yaml; several train one model together, each a scenario of it.")],
    to: Annotated[Path, typer.Option("--out", help="Folder of the run; a stopped run found there goes on.")] = Path("runs/latest"),
    sharing: Annotated[str | None, typer.Option(help="Sharing architecture; `banyan parts sharing` lists them.")] = None,
    balancing: Annotated[str | None, typer.Option(help="Balancer.")] = None,
    history: Annotated[str | None, typer.Option(help="How a user's past is read.")] = None,
    settings: Set = None,
    alone: Annotated[bool, typer.Option(help="Also train each task alone under the same budget.")] = True,
    simple: Annotated[bool, typer.Option(help="Also fit the simple baselines.")] = True,
    most: Most = None,
    draws: Draws = None,
    device: Device = None,
    from_service: Annotated[
        Path | None, typer.Option(help="Folder of a service: train on its events too, and promote there what is not worse.", show_default=False)
    ] = None,
    every: Annotated[str | None, typer.Option(help="With --from-service: again and again, such as 24h.", show_default=False)] = None,
    margin: Annotated[float, typer.Option(help="With --from-service: the share of a figure that may be lost.", min=0.0, max=0.99)] = 0.01,
    start_from: Annotated[Path | None, typer.Option(help="A bundle, of another store or of this one, from which the model starts.", show_default=False)] = None,
    share: Annotated[list[str] | None, typer.Option(help="A feature that is, or is not, the same in both, such as item.brand=no. May be repeated.")] = None,
    freeze: Annotated[list[str] | None, typer.Option(help="Moved parts that do not learn: encoders, trunk, heads, all-but-new. May be repeated.")] = None,
    thaw: Annotated[int | None, typer.Option(help="Epochs after which frozen parts learn; never unless given.", min=1, show_default=False)] = None,
    pull: Annotated[
        float | None, typer.Option(help="How strongly moved parts are drawn back to their start, the weaker the more rows there are.", min=0.0)
    ] = None,
) -> None:
    """Train one model on all tables, judge it, keep it."""
    from banyan.graft.alike import asked
    from banyan.run import train as fit
    from banyan.store.load import load

    chosen = [f"model.{key}={value}" for key, value in (("sharing", sharing), ("balancing", balancing), ("history", history)) if value]
    described = [load(store, [*chosen, *(settings or [])]) for store in stores]
    if every is not None and from_service is None:
        raise BanyanError("--every goes with --from-service, the folder of the service whose events are trained on.")
    if from_service is not None:
        if start_from is not None:
            raise BanyanError("--start-from and --from-service are two ways to train; take one of them.")
        if len(described) > 1:
            raise BanyanError("A service is of one store; name one with --from-service.")
        fresh.keep(described[0], from_service, every, margin, most=most, draws=draws, device=device)
        return
    start: dict[str, Any] = {"start_from": start_from, "share": asked(share or []), "freeze": freeze or [], "thaw": thaw, "pull": pull}
    tell(fit(described[0] if len(described) == 1 else described, to, alone=alone, simple=simple, console=err, device=device, **start, **_judging(most, draws)))


def _judging(most: int | None, draws: int | None) -> dict[str, Any]:
    """What was asked for; the rest is as in Python."""
    return ({} if most is None else {"most": most or None}) | ({} if draws is None else {"draws": draws})


@app.command()
def evaluate(
    store: StoreFile,
    bundle: Annotated[Path, typer.Option(help="The bundle to judge.")] = Path("runs/latest/bundle"),
    part: Annotated[str, typer.Option(help="train, valid or test.")] = "test",
    simple: Annotated[bool, typer.Option(help="Also fit the simple baselines.")] = True,
    most: Most = None,
    draws: Draws = None,
    device: Device = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Judge a saved bundle on a part of the store's split."""
    from banyan.evaluation import table
    from banyan.run import evaluate as judge

    rows = judge(store, bundle, part=part, simple=simple, device=device, **_judging(most, draws))
    if as_json:
        sys.stdout.write(json.dumps(table.plain(rows), indent=1) + "\n")
    else:
        out.print(table.terminal(rows, f"{bundle}, {part} part"))


@app.command()
def predict(
    bundle: BundleFolder,
    rows: Annotated[Path, typer.Option(help="Rows to answer: Parquet, CSV or JSON lines.")],
    to: Annotated[Path, typer.Option("--out", help="Where the answers go: .parquet, .csv or .jsonl.")],
    table: Annotated[str | None, typer.Option(help="The samples table that the rows are like; needed where the bundle has several.")] = None,
    task: Annotated[list[str] | None, typer.Option(help="Only these tasks. May be repeated.")] = None,
    device: Device = None,
) -> None:
    """Answer a table's tasks for the rows of a file."""
    from banyan.bundle import Bundle

    kept = Bundle.load(bundle, device=device)
    with _bar("rows") as step:
        path = kept.predict_file(table or _only_table(kept), rows, to, tasks=task, progress=step)
    say(f"Wrote {path}")


def _only_table(bundle: Any) -> str:
    tables = [name for name, t in bundle.plan.tables.items() if not t.ranking]
    if len(tables) != 1:
        raise BanyanError(f"The bundle answers rows of {', '.join(tables) or 'no table'}; say which with --table.")
    return str(tables[0])


@app.command()
def recommend(
    bundle: BundleFolder,
    to: Annotated[Path, typer.Option("--out", help="Where the lists go: .parquet, .csv or .jsonl.")],
    users: Annotated[str, typer.Option(help="A file with a column of user ids (the first column), or `all`.")] = "all",
    k: Annotated[int, typer.Option("-k", min=1, help="Items a user.")] = 20,
    task: Annotated[str | None, typer.Option(help="The ranking task; the first unless given.")] = None,
    leave_out: Annotated[list[str] | None, typer.Option(help="Behaviours whose items are not offered again.")] = None,
    device: Device = None,
) -> None:
    """Write the best items of each user. A run that was stopped goes on where it stood."""
    from banyan.bundle import Bundle

    kept = Bundle.load(bundle, device=device)
    asked = "all" if users == "all" else _ids(Path(users), kept.store.entities["user"].id)
    with _bar("blocks of users") as step:
        path = kept.recommend_to(to, asked, k, task=task, leave_out=leave_out or (), progress=step)
    say(f"Wrote {path}")


def _ids(path: Path, column: str) -> Any:
    from banyan.store.schema import Source
    from banyan.store.sources import read

    frame = read(Source(path=str(path)), Path(), plain=True)
    return frame[column if column in frame.columns else frame.columns[0]]


@contextmanager
def _bar(what: str) -> Iterator[Callable[[int, int], None]]:
    with Progress(console=err, transient=True) as progress:
        task = progress.add_task(what, total=None)
        yield lambda done, of: progress.update(task, total=of, completed=done)


@app.command(name="parts")
def list_parts(
    family: Annotated[str | None, typer.Argument(help="One family only.", show_default=False)] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List every part with its options, read from the parts themselves."""
    if family is not None and family not in parts.FAMILIES:
        raise BanyanError(f"There is no family {family!r}. Families: {', '.join(parts.FAMILIES)}.")
    found = {each: {name: _options(each, name) for name in parts.names(each)} for each in ([family] if family else parts.FAMILIES)}
    if as_json:
        plain = {each: {name: {key: _plain(value) for key, value in known.items()} for name, known in of.items()} for each, of in found.items()}
        sys.stdout.write(json.dumps(plain, indent=1) + "\n")
        return
    for each, known in found.items():
        table = Table("part", "what it is", "options", title=each, title_justify="left")
        for name, options in known.items():
            text = ", ".join(f"{key}={value!r}" if value is not ... else f"{key} (needed)" for key, value in options.items())
            table.add_row(name, (parts.find(each, name).__doc__ or "").strip().split("\n")[0], text)
        out.print(table)


def _options(family: str, name: str) -> dict[str, Any]:
    return {key: ... if p.default is p.empty else p.default for key, p in parts.options(family, name).items()}


def _plain(default: Any) -> dict[str, Any]:
    return {"needed": True} if default is ... else {"default": default}


@app.command()
def dataset(
    name: Annotated[str | None, typer.Argument(help="The set; --list shows them.", show_default=False)] = None,
    source: Annotated[Path | None, typer.Option("--from", help="The folder of the files as they were downloaded and unpacked.", show_default=False)] = None,
    to: Annotated[Path | None, typer.Option("--to", help="Where the tables and store.yaml go.", show_default=False)] = None,
    share: Annotated[float | None, typer.Option(help="Only this share of the users, such as 0.1: whole users, the same ones each time.")] = None,
    force: Annotated[bool, typer.Option(help="Replace a page that is there.")] = False,
    listed: Annotated[bool, typer.Option("--list", help="List the sets: what to download from where, and on which terms.")] = False,
) -> None:
    """Turn the files of a public set into tables and a store.yaml."""
    from banyan.store import datasets

    if listed:
        _list_sets()
        return
    if name is None or source is None or to is None:
        raise BanyanError(
            "A set, the folder of its files and the folder to write are needed: banyan dataset NAME --from FOLDER --to FOLDER. --list shows the sets."
        )
    with Progress(console=err, transient=True) as progress:
        bars: dict[str, Any] = {}

        def tell(what: str, done: int, of: int) -> None:
            bars.setdefault(what, progress.add_task(what, total=of) if what not in bars else None)
            progress.update(bars[what], completed=done)

        found = datasets.convert(name, source, to, share=share, force=force, tell=tell)
    say("\n".join([*(f"{table}: {rows:,} rows" for table, rows in found.rows.items()), *(f"Note: {note}" for note in found.notes)]))
    say(f"Wrote {found.page}. Read its comments, then run: banyan check {found.page}")


def _list_sets() -> None:
    from banyan.store import datasets

    table = Table("set", "what it is", "files", "from", "terms")
    table.columns[0].min_width = max(map(len, datasets.names()))  # a name that is cut short cannot be typed
    for each in datasets.names():
        chosen = datasets.find(each)
        table.add_row(each, f"{chosen.title}: {chosen.size}", chosen.needs, chosen.url, chosen.licence)
    out.print(table)


for command in (demo.demo, search.search, trials.audit, trials.tune, trials.crossval, trials.compare, catalogue.enrich, state.forget):
    app.command()(command)
app.command()(service.serve)
app.add_typer(service.keys, name="keys")


def run() -> None:
    """What the command `banyan` starts."""
    app()
