"""A worker's service put together from a folder of state: journal, users, registry with its trial, live models, keys, limits.

The only place that names them all.
"""

import os
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from banyan.bundle import Bundle
from banyan.errors import BundleError
from banyan.serving import wire
from banyan.serving.asking import Ask, EngineOptions
from banyan.serving.engine import Engine
from banyan.serving.keys import Keys
from banyan.serving.limits import Meter, Remote, Shared
from banyan.serving.live import Live
from banyan.serving.metrics import Metrics
from banyan.serving.registry import Registry
from banyan.serving.service import ASKING, MODELS, Options, Service
from banyan.serving.shadow import Shadow
from banyan.serving.state import Event, Journal, Note, UserState, journal_at, user_state_at
from banyan.serving.state.erase import Tombstones
from banyan.serving.state.journal import URL as DATABASE
from banyan.serving.state.users import URL as STATE
from banyan.serving.synonyms import groups
from banyan.serving.trial import Replay

TRIED = 100  # recorded requests on which a version is tried
LATELY = 200_000  # newest events of everybody that are counted for what goes together
HOUSE = "BANYAN_HOUSE"  # what the first process tells its workers, as JSON


@dataclass(frozen=True)
class House:
    """Where everything is and how much it may take; travels to the workers as JSON."""

    state: Path
    options: Options = field(default_factory=Options)
    engine: EngineOptions = field(default_factory=EngineOptions)
    device: str = "cpu"
    synonyms: Path | None = None  # the shop's own file of words that mean the same

    def to_environment(self) -> None:
        """Leave it for the workers."""
        os.environ[HOUSE] = msgspec.json.encode(self, enc_hook=str).decode()

    @classmethod
    def of_environment(cls) -> "House":
        """What the first process left."""
        return msgspec.json.decode(os.environ[HOUSE], type=cls, dec_hook=lambda kind, value: kind(value))

    def journal(self) -> Journal:
        """The journal: the database named in the environment, else a file in the folder."""
        return journal_at(os.environ.get(DATABASE) or self.state)

    def keys(self) -> Keys:
        """The keys of the folder and of the environment."""
        return Keys(self.state / "keys.json")

    def opening(self, users: UserState) -> "Opening":
        """How a bundle becomes an engine."""
        alike = self.engine.alike if self.synonyms is None else groups(self.synonyms)
        return Opening(users, replace(self.engine, alike=alike, indexes=self.engine.indexes or self.local / "indexes"), self.device)

    def registry(self, journal: Journal, users: UserState) -> Registry:
        """The versions, with the trial that each passes before it may answer."""
        return Registry(self.state / MODELS, journal, Replay(self.opening(users), partial(tried, journal)), Tombstones(journal))

    def service(self) -> Service:
        """A worker's service; `Service.open` starts it."""
        journal = self.journal()
        users = user_state_at(journal)
        registry = self.registry(journal, users)
        live = Live(registry, self.opening(users), shadow=Shadow(partial(_report, journal)))
        return Service(
            journal=journal, users=users, live=live, registry=registry, keys=self.keys(), meter=self.meter(), metrics=Metrics(self.local / "metrics"),
            folder=self.state, options=self.options,
        )  # fmt: skip

    @property
    def local(self) -> Path:
        """What only the workers of this machine share."""
        return self.state / "run" / socket.gethostname()

    def meter(self) -> Meter:
        """What counts requests: a file of this machine, or Valkey for several."""
        here = Shared(self.local / "limits.bin")
        url = os.environ.get(STATE, "")
        if not url:
            return here
        import valkey

        client: Any = valkey.Valkey.from_url(url, socket_timeout=0.05, socket_connect_timeout=0.05, retry_on_timeout=False)
        return Remote(client, here)


@dataclass(frozen=True)
class Opening:
    """Opens an engine over a bundle's folder; its answers know the events that came after the bundle's training."""

    users: UserState
    options: EngineOptions
    device: str = "cpu"

    def __call__(self, path: Path) -> Engine:
        """The engine. Raises BundleError."""
        bundle = Bundle.load(path, device=self.device)
        through = int(bundle.facts.get("through", 0))
        return Engine(bundle, partial(self.recent, through), self.options, partial(self.lately, through))

    def recent(self, after: int, who: str) -> Sequence[Event]:
        """What a user did since the bundle was trained, and what happened in the session before it was known whose it is."""
        user, session = ASKING.get()
        if who == session and not user:
            return self.users.recent("", after, session)
        return self.users.recent(who, after, session if who == user else "")

    def lately(self, after: int) -> Iterator[tuple[str, Event]]:
        """(who, event) of the newest events of everybody since the bundle was trained."""
        journal = self.users.journal
        for _, event in journal.since(max(after, journal.last() - LATELY)):
            yield event.user or f"session {event.session}", event


def tried(journal: Journal) -> list[Ask]:
    """The newest recorded questions that any bundle can answer."""
    return [wire.again(each) for each in journal.recorded(4 * TRIED) if each.method == "recommend"][-TRIED:] or [Ask()]


def _report(journal: Journal, identity: str, sums: dict[str, Any]) -> None:
    """Keep what a shadow counted."""
    journal.note("outcomes", [Note(identity, "", f"shadow/{sums['shadow']}", time.time_ns() // 1000, sums)])


def settle(house: House, bundle: Path, tell: Callable[[str], None]) -> None:
    """Before the workers start: a bundle that the registry does not know is taken in, tried and promoted; one that it knows changes nothing.

    So a restart with the old command leaves what was promoted since. Raises BundleError where the bundle is refused and nothing else answers.
    """
    journal = house.journal()
    try:
        registry = house.registry(journal, user_state_at(journal))
        known = {each.name for each in registry.versions()}
        version = registry.add(bundle)
        active = registry.active()
        if version.name in known and active is not None:
            if active.name != version.name:
                tell(f"{bundle} is {version.name}, which is kept; {active.name} answers, as was decided.")
            return
        try:
            registry.promote(version.name, "banyan serve")
            tell(f"{bundle} answers as {version.name}.")
        except BundleError as error:
            if active is None:
                raise
            tell(f"{error} {active.name} goes on answering.")
    finally:
        journal.close()
