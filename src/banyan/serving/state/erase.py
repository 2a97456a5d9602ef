"""A user is forgotten everywhere: journal, shared state, recorded requests, notes of experiments, next training data, and every kept bundle."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from banyan.bundle import forget
from banyan.errors import BanyanError, StateError
from banyan.serving.registry import PAGE, VERSIONS, Registry
from banyan.serving.state.events import check_word
from banyan.serving.state.journal import Journal
from banyan.serving.state.users import UserState

AT_ONCE = 100_000  # users looked up at a time among the forgotten


@dataclass(frozen=True)
class Tombstones:
    """Keeps who was forgotten out of bundles that were trained before."""

    journal: Journal

    def newest(self) -> int:
        """The number of the newest tombstone; another one later says that somebody was forgotten meanwhile."""
        return self.journal.pulse().forgotten

    def clean(self, bundle: Path, to: Path) -> bool:
        """Write the bundle without those of its users who were forgotten into `to`; False, and nothing written, where it names none of them."""
        if not self.newest():
            return False
        named = forget.users(bundle)
        gone = set[str]().union(*(self.journal.forgotten_among(named[at : at + AT_ONCE]) for at in range(0, len(named), AT_ONCE)))
        return bool(gone) and forget.without(bundle, gone, to) > 0


@dataclass(frozen=True)
class Erased:
    """What was deleted."""

    events: int
    asked: int  # recorded requests
    notes: int  # of experiments and of exploration
    bundles: tuple[Path, ...]  # that were rewritten
    looked: int  # bundles that were looked at
    remains: bool = False  # whether copies of deleted rows still stand in the journal's file, until it is compacted


def erase(users: Sequence[str], journal: Journal, state: UserState | None = None, folder: Path | None = None, *, compact: bool | None = None) -> Erased:
    """Forget the users: their tombstones stand first, so that nothing new of them is written meanwhile.

    `folder` holds bundles, at any depth, or is a registry; each that knows one of the users is rewritten without them. Unless `compact` says
    always or never, the journal's database is rewritten where an id still stands in its bytes; intake waits meanwhile, so that a service says
    never. Whatever could not be done is said in one StateError at the end; doing it again does what is left.
    """
    for user in users:
        check_word(user, "user")
    before, told = journal.pulse().forgotten, list[str]()
    gone = [journal.forget(user) for user in users]
    if state is not None:
        try:
            state.bury([digest for _, digest in journal.forgotten_since(before)])
        except StateError as error:
            told.append(str(error))
    found, rewritten = list(forget.bundles(folder)) if folder is not None else [], list[Path]()
    for path in found:
        try:
            rewritten += _rewritten(path, users, journal)
        except (BanyanError, OSError) as error:
            told.append(str(error))
    remains = journal.remains(users)
    if remains if compact is None else compact:
        try:
            journal.compact()
            remains = False
        except StateError as error:
            told.append(str(error))
    if told:
        raise StateError(f"The journal has forgotten, but not everything has: {' '.join(told)} Ask again when that is mended.")
    return Erased(sum(g.events for g in gone), sum(g.asked for g in gone), sum(g.notes for g in gone), tuple(rewritten), len(found), remains)


def _rewritten(path: Path, users: Sequence[str], journal: Journal) -> list[Path]:
    """The bundle's folder where it held one of the users. One that a registry keeps is rewritten through it, so that workers take it up."""
    home = path.parent
    if not (home / PAGE).is_file() or home.parent.name != VERSIONS:
        return [path] if forget.without(path, users) else []
    if not forget.knows(path, users):
        return []
    made = Registry(home.parent.parent, journal).rewrite(home.name, lambda old, new: _made(old, new, users))
    return [made.path]


def _made(old: Path, new: Path, users: Sequence[str]) -> None:
    forget.without(old, users, new)
