"""Commands on live state: forget."""

import os
from pathlib import Path
from typing import Annotated

import typer

from banyan.cli.terminal import say
from banyan.errors import ConfigError


def forget(
    user: Annotated[list[str], typer.Option(help="The user's id; may be repeated.", show_default=False)],
    state: Annotated[Path | None, typer.Option(help="Folder of the journal; without it BANYAN_DATABASE_URL.", show_default=False)] = None,
    bundles: Annotated[Path | None, typer.Option(help="Folder with bundles at any depth, or a registry.", show_default=False)] = None,
    compact: Annotated[
        bool | None, typer.Option(help="Rewrite the journal's whole database: always or never; where an id still stands in it unless given.")
    ] = None,
) -> None:
    """Delete users everywhere: events, state, recorded requests, notes of experiments, next training data, bundles."""
    from banyan.serving.state import journal_at, user_state_at
    from banyan.serving.state.erase import erase

    for folder in (state, bundles):
        if folder is not None and not folder.is_dir():
            raise ConfigError(f"There is no folder {folder}.")
    journal = journal_at(state)
    try:
        gone = erase(user, journal, user_state_at(journal), bundles, compact=compact)
    finally:
        journal.close()
    say(f"Deleted {gone.events:,} events, {gone.asked:,} recorded requests and {gone.notes:,} notes from {journal.name}.")
    if gone.remains:
        say("Copies of deleted rows may still stand in the journal's file; run again with --compact when intake can wait.")
    if bundles is not None:
        say(f"Rewrote {len(gone.bundles)} of {gone.looked} bundles" + "".join(f"\n  {path}" for path in gone.bundles))
    if not os.environ.get("BANYAN_STATE_URL"):
        say("BANYAN_STATE_URL is not set: if servers share state through Valkey or Redis, what it holds of them goes within ten minutes.")
