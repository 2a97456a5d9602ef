"""`banyan serve` and `banyan keys`: the service over a bundle, and who may ask it."""

import os
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from banyan.cli.terminal import BundleFolder, err, out, say
from banyan.errors import BanyanError

LOCAL = ("127.0.0.1", "localhost", "::1")
State = Annotated[Path, typer.Option(help="Folder of the service: events, versions of models, keys.")]
Host = Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 for every network.")]
Port = Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")]
Workers = Annotated[int, typer.Option(min=1, max=64, help="Processes that answer.")]
Threads = Annotated[int, typer.Option(min=1, max=64, help="Requests that a worker answers at the same time.")]
Reads = Annotated[list[str] | None, typer.Option(help="How a behaviour that training did not see is read, such as view=purchase. May be repeated.")]

keys = typer.Typer(help="API keys: who may send events, ask for answers, or change the service.", no_args_is_help=True, rich_markup_mode=None)


def serve(
    bundle: BundleFolder,
    host: Host = "127.0.0.1",
    port: Port = 8000,
    workers: Workers = 1,
    state: State = Path("service"),
    threads: Threads = 2,
    items: Annotated[Path | None, typer.Option(help="A table of the items with titles and pictures, shown as it is.", show_default=False)] = None,
    runs: Annotated[Path | None, typer.Option(help="Folder of training runs that /v1/training tells of.", show_default=False)] = None,
    reads: Reads = None,
    synonyms: Annotated[Path | None, typer.Option(help="A file of words that mean the same, such as `sofa, couch`, a line each.", show_default=False)] = None,
    pages: Annotated[bool, typer.Option(help="Also the pages for people, where the extra `web` is installed.")] = True,
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:1.")] = "cpu",
) -> None:
    """Answer over HTTP: recommend, search, predict, with live events. A bundle that the state does not know is tried and promoted."""
    start(bundle, host, port, workers, state, threads=threads, items=items, runs=runs, reads=reads, synonyms=synonyms, pages=pages, device=device)


def start(
    bundle: Path,
    host: str,
    port: int,
    workers: int,
    state: Path,
    *,
    threads: int = 2,
    items: Path | None = None,
    runs: Path | None = None,
    reads: list[str] | None = None,
    synonyms: Path | None = None,
    pages: bool = True,
    device: str = "cpu",
    demo: bool = False,
) -> None:
    """What `serve` and `demo --serve` do."""
    try:
        from banyan.serving.asking import EngineOptions
        from banyan.serving.house import House, settle
        from banyan.serving.server import Beside, ending
        from banyan.serving.server import serve as answer
        from banyan.serving.service import Options
    except ImportError as error:
        if (error.name or "").startswith("banyan"):
            raise
        from banyan.errors import MissingExtraError

        raise MissingExtraError("Serving", "serve") from error
    state.mkdir(parents=True, exist_ok=True, mode=0o700)
    with ExitStack() as stack:
        stack.enter_context(ending())
        secret = os.environ.get("BANYAN_PAGES_KEY") or ""
        beside = None
        if pages and Beside.there():
            secret = secret or settle_key(state, "pages", ("events", "answers"))
            beside = stack.enter_context(Beside(f"http://127.0.0.1:{port}", secret, local=host in LOCAL))
        options = Options(threads=threads, pages=beside.url if beside else "", runs=runs.resolve() if runs else None, items=items.resolve() if items else None)
        engine = EngineOptions(reads=dict(_pair(each) for each in reads or ()))
        house = House(state.resolve(), options, engine, device, synonyms.resolve() if synonyms else None)
        settle(house, bundle, lambda line: say(line, err))
        shown = settle_key(state, "demo", ("events", "answers", "admin")) if demo else ""
        answer(house, host, port, workers, told=lambda url: _tell(url, house.keys().all() != [], shown, beside is not None))


def settle_key(state: Path, name: str, roles: tuple[str, ...]) -> str:
    """A key that this start shows or uses; the one of the start before under the same name is revoked."""
    from banyan.serving.keys import Keys

    known = Keys(state / "keys.json", {})
    for key in known.all():
        if key.name == name:
            known.revoke(key.id)
    return known.add(name, roles)[1]


def _pair(told: str) -> tuple[str, str]:
    name, sign, other = told.partition("=")
    if not (name and sign and other):
        raise BanyanError(f"--reads {told!r}: write it as the behaviour, =, and the one as which it is read, such as view=purchase.")
    return name, other


def _tell(url: str, keyed: bool, shown: str, pages: bool) -> None:
    if pages:
        say(f"Guide:   {url}/")
        say(f"Console: {url}/console")
    say(f"API:     {url}/v1, described at {url}/docs")
    if shown:
        say(f"Key:     {shown}")
        say(f"""Try:     curl -s {url}/v1/recommend -H 'Authorization: Bearer {shown}' -H 'Content-Type: application/json' -d '{{"user": "1", "k": 3}}'""")
    elif not keyed:
        say("There is no key yet, so nobody may ask. Make one: banyan keys add shop --role events --role answers", err)


@keys.command("add")
def add(
    name: Annotated[str, typer.Argument(help="Whose key it is.", show_default=False)],
    role: Annotated[list[str], typer.Option(help="events, answers or admin; may be repeated. An admin's key may do everything.", show_default=False)],
    state: State = Path("service"),
) -> None:
    """Make a key and print it: once, since only its hash is kept."""
    from banyan.serving.keys import Keys

    state.mkdir(parents=True, exist_ok=True, mode=0o700)
    key, secret = Keys(state / "keys.json", {}).add(name, role)
    say(f"Made the key {key.id} with {', '.join(key.roles)}. It is shown only now:", err)
    say(secret)


@keys.command("list")
def listed(state: State = Path("service")) -> None:
    """List the keys: ids, names, roles, never the keys themselves."""
    from banyan.serving.keys import Keys

    table = Table("id", "name", "roles", "added")
    for key in Keys(state / "keys.json").all():
        table.add_row(key.id, key.name, ", ".join(key.roles), key.added)
    out.print(table)


@keys.command("revoke")
def revoke(identity: Annotated[str, typer.Argument(help="The key's id, from `banyan keys list`.", show_default=False)], state: State = Path("service")) -> None:
    """Take a key back; every worker refuses it within a second."""
    from banyan.serving.keys import Keys

    key = Keys(state / "keys.json", {}).revoke(identity)
    say(f"Revoked the key {key.id} of {key.name}.")
