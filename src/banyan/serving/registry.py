"""Versions of bundles in one folder, and which of them answers: added whole, tried before they serve, promoted and rolled back by one setting.

Knows no engine and no HTTP.
"""

import json
import secrets
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from banyan.bundle.folder import MANIFEST, check, reading
from banyan.disk import sync, whole
from banyan.errors import BundleError, ConfigError
from banyan.serving.settings import Changed, Settings, locked
from banyan.store.hints import hint

LAYOUT, VALUE = "layout", "value"  # names of settings
VERSIONS, PAGE, LOCK = "versions", "version.json", ".lock"
TRAIL = 50  # earlier versions that are remembered


@dataclass(frozen=True)
class Version:
    """One bundle that the registry keeps."""

    name: str  # its number and the first letters of its digest, such as 0003-1a2b3c4d5e6f
    added: int  # microseconds since 1970 UTC
    source: str  # where it came from
    digest: str  # of the bundle as it was added
    note: str
    edition: int  # 1, and one more each time that it was rewritten in place
    path: Path  # the bundle's folder
    names: tuple[str, ...] = ()  # the answers and numbers that it has, known since it was tried
    milliseconds: float = 0.0  # median time of an answer when it was tried


@dataclass(frozen=True)
class Split:
    """A share of the users is answered by another version."""

    version: str
    share: float  # of the users, in (0, 1)
    salt: str  # who is in it: the hash of salt and user
    name: str  # of the experiment
    since: int  # microseconds since 1970 UTC


@dataclass(frozen=True)
class Layout:
    """Which versions answer what: one setting, so that it changes as one."""

    active: str = ""
    trail: tuple[str, ...] = ()  # what was active before, newest last
    shadow: str = ""  # scores the same requests, unseen
    split: Split | None = None

    @property
    def used(self) -> tuple[str, ...]:
        """The versions that a worker holds."""
        named = (self.active, self.shadow, self.split.version if self.split else "")
        return tuple(dict.fromkeys(each for each in named if each))

    @classmethod
    def of(cls, value: Any) -> "Layout":
        """From the setting."""
        if value is None:
            return cls()
        split = Split(**value["split"]) if value.get("split") else None
        return cls(value["active"], tuple(value["trail"]), value["shadow"], split)


@dataclass(frozen=True)
class Checked:
    """What trying a version found. Without reasons against it, it may serve."""

    reasons: tuple[str, ...]
    names: tuple[str, ...] = ()
    milliseconds: float = 0.0  # median time of an answer
    asked: int = 0  # requests that were replayed

    @property
    def fine(self) -> bool:
        """Whether nothing speaks against it."""
        return not self.reasons


@runtime_checkable
class Trial(Protocol):
    """Tries a bundle before it serves."""

    def __call__(self, candidate: Version, serving: Version | None, value: Any) -> Checked:
        """What was found. `serving` is the version that serves now, None where none does; `value` the value model in force."""


@runtime_checkable
class Gone(Protocol):
    """Who was forgotten, and must be in no bundle that is added later."""

    def newest(self) -> int:
        """A number that grows when somebody is forgotten."""

    def clean(self, bundle: Path, to: Path) -> bool:
        """Write the bundle without the forgotten to `to`; False where it holds none of them and nothing was written."""


def _untried(candidate: Version, serving: Version | None, value: Any) -> Checked:
    return Checked(())


class Registry:
    """The versions in `folder`, and the setting that says which of them answers.

    A version is a folder that appears when it is whole: its page (`version.json`) and the bundle. Any number of processes may share the folder.
    `trial` loads a version and replays requests on it before it may answer; without one only hashes are checked. `gone` knows who was forgotten: they are
    taken out of a bundle that was trained before; without it bundles are kept as they come.
    """

    def __init__(self, folder: Path, settings: Settings, trial: Trial = _untried, gone: Gone | None = None) -> None:
        self.folder, self.settings, self.trial, self.gone = folder, settings, trial, gone
        (folder / VERSIONS).mkdir(parents=True, exist_ok=True)

    def add(self, bundle: Path, note: str = "") -> Version:
        """Copy a bundle into the registry, every file checked by its hash. The same bundle again is the version that it is already.

        Users who were forgotten since it was trained are not in the copy. Raises BundleError that names the file where it is not whole; then, and where the
        disk is full, the registry is as it was.
        """
        with locked(self.folder / LOCK):
            manifest = check(bundle, ())
            kept = self.versions()
            for each in kept:
                if each.digest == manifest["digest"]:
                    return each
            number = 1 + max((int(each.name.split("-")[0]) for each in kept), default=0)
            before = self.gone.newest() if self.gone is not None else 0
            version = self._copied(bundle, f"{max(number, self._last_number() + 1):04d}-{manifest['digest'][:12]}", manifest, note)
            if self.gone is not None and self.gone.newest() != before:  # forgotten meanwhile, by somebody who did not see this version yet
                version = self._replaced(version, self.gone.clean)
            return version

    def _copied(self, bundle: Path, name: str, manifest: dict[str, Any], note: str) -> Version:
        aside = self._clear_aside()
        try:
            target = aside / "bundle-1"
            target.mkdir(parents=True)
            for file in (*manifest["files"], MANIFEST):
                shutil.copyfile(bundle / file, target / file)
                sync(target / file)
            _whole(target, bundle)
            if self.gone is not None and self.gone.clean(target, aside / "clean"):
                shutil.rmtree(target)
                (aside / "clean").rename(target)
            version = Version(name, time.time_ns() // 1000, str(bundle.resolve()), manifest["digest"], note, 1, self._home(name) / "bundle-1")
            _write(aside / PAGE, version)
            sync(target)
            aside.rename(self._home(name))
            sync(self.folder / VERSIONS)
            return version
        finally:
            shutil.rmtree(aside, ignore_errors=True)

    def _clear_aside(self) -> Path:
        aside = self.folder / ".adding"
        shutil.rmtree(aside, ignore_errors=True)
        return aside

    def _last_number(self) -> int:
        """The highest number that was ever active, so that a name is not given twice."""
        _, layout = self.layout()
        return max((int(each.split("-")[0]) for each in (*layout.trail, *layout.used)), default=0)

    def _home(self, name: str) -> Path:
        return self.folder / VERSIONS / name

    def versions(self) -> list[Version]:
        """Every version, oldest first."""
        return [_read(page) for page in sorted((self.folder / VERSIONS).glob(f"[0-9]*/{PAGE}"))]

    def version(self, name: str) -> Version:
        """The version called `name`. Raises ConfigError that says which there are."""
        known = [each.name for each in (self.folder / VERSIONS).iterdir()]
        if name not in known:
            raise ConfigError(f"There is no version {name!r}.{hint(name, sorted(known))}")
        return _read(self._home(name) / PAGE)

    def layout(self) -> tuple[int, Layout]:
        """(version of the setting, layout)."""
        number, value = self.settings.setting(LAYOUT)
        return number, Layout.of(value)

    def active(self) -> Version | None:
        """The version that answers; None before the first was promoted."""
        _, layout = self.layout()
        return self.version(layout.active) if layout.active else None

    def changes(self) -> Sequence[Changed]:
        """Who changed what answers, and when."""
        return self.settings.changes(LAYOUT)

    def check(self, name: str, *, against: bool = True) -> Checked:
        """Try a version: hashes, then what `trial` looks at. `against`: it must also answer all that the active version answers."""
        version = self.version(name)
        try:
            _whole(version.path, version.path)
        except BundleError as error:
            return Checked((str(error),))
        serving = self.active() if against else None
        found = self.trial(version, serving if serving is None or serving.name != name else None, self.settings.setting(VALUE)[1])
        if found.fine and found.names:
            self._keep(version, found)
        return found

    def _keep(self, version: Version, found: Checked) -> None:
        """Write down what trying a version found, unless it was rewritten meanwhile."""
        with locked(self.folder / LOCK):
            now = self.version(version.name)
            if now.edition == version.edition:
                _write(self._home(now.name) / PAGE, replace(now, names=found.names, milliseconds=found.milliseconds))

    def promote(self, name: str, who: str) -> Checked:
        """Try a version and let it answer from now on; a running split ends.

        Raises BundleError with all reasons where it fails its trial: the old one stays. ConflictError where somebody changed the layout meanwhile.
        """
        number, layout = self.layout()
        checked = self._fit(name)
        if layout.active != name:
            trail = (*layout.trail, layout.active)[-TRAIL:] if layout.active else layout.trail
            self._set(Layout(name, trail, "" if layout.shadow == name else layout.shadow), who, number)
        return checked

    def roll_back(self, who: str) -> str:
        """Let the version before the active one answer again; its name. Its files are checked, and nothing else, since it has served.

        Raises ConfigError where there is none, BundleError where it is no longer whole.
        """
        number, layout = self.layout()
        if not layout.trail:
            raise ConfigError("There is no earlier version to roll back to.")
        earlier = self.version(layout.trail[-1])
        _whole(earlier.path, earlier.path)
        self._set(Layout(earlier.name, layout.trail[:-1], "" if layout.shadow == earlier.name else layout.shadow), who, number)
        return earlier.name

    def shadow(self, name: str, who: str) -> None:
        """Have a version score the same requests without showing it; "" for none. Raises BundleError where it fails its trial."""
        number, layout = self.layout()
        if name:
            self._fit(name, against=False)
        self._set(replace(layout, shadow=name), who, number)

    def split(self, name: str, share: float, who: str, experiment: str = "") -> Split:
        """Give a share of the users to a version, which begins an experiment. A larger share for the same version keeps those who have it, and adds some.

        Raises ConfigError for a share that is none, BundleError where the version fails its trial.
        """
        number, layout = self.layout()
        if not 0 < share < 1:
            raise ConfigError(f"The share is {share}; it is a part of the users, more than 0 and less than 1.")
        if name == layout.active:
            raise ConfigError(f"{name} is the active version; a split compares it with another.")
        self._fit(name)
        salt = layout.split.salt if layout.split is not None and layout.split.version == name else secrets.token_hex(8)
        started = Split(name, share, salt, experiment or f"{name} against {layout.active}, {share:.3g}", time.time_ns() // 1000)
        self._set(replace(layout, split=started), who, number)
        return started

    def end_split(self, who: str) -> None:
        """Let the active version answer everybody again."""
        number, layout = self.layout()
        self._set(replace(layout, split=None), who, number)

    def _fit(self, name: str, *, against: bool = True) -> Checked:
        checked = self.check(name, against=against)
        if not checked.fine:
            raise BundleError(f"{name} may not answer: {' '.join(checked.reasons)}")
        return checked

    def _set(self, layout: Layout, who: str, expected: int) -> None:
        with locked(self.folder / LOCK):
            for name in layout.used:  # none was removed meanwhile
                self.version(name)
            self.settings.set(LAYOUT, asdict(layout), who, expected)

    def rewrite(self, name: str, make: Callable[[Path, Path], None]) -> Version:
        """Replace a version's bundle by one that `make(old, new)` writes from it, such as one without a user; workers load it by themselves.

        Raises BundleError where what was written is not whole; then the old one stays.
        """
        with locked(self.folder / LOCK):
            return self._replaced(self.version(name), make)

    def _replaced(self, version: Version, make: Callable[[Path, Path], Any]) -> Version:
        fresh = self._home(version.name) / f"bundle-{version.edition + 1}"
        shutil.rmtree(fresh, ignore_errors=True)
        if make(version.path, fresh) is False:
            return version
        _whole(fresh, fresh)
        found = replace(version, edition=version.edition + 1, path=fresh)
        _write(self._home(version.name) / PAGE, found)
        shutil.rmtree(version.path)
        return found

    def remove(self, name: str) -> None:
        """Delete a version. Raises ConfigError for one that is in use, or to which one would roll back."""
        with locked(self.folder / LOCK):
            version, (_, layout) = self.version(name), self.layout()
            if name in (*layout.used, *layout.trail[-1:]):
                raise ConfigError(f"{name} is in use, or is what one would roll back to; promote another first.")
            gone = self.folder / f".gone-{name}"
            self._home(version.name).rename(gone)
            sync(self.folder / VERSIONS)
            shutil.rmtree(gone)

    def prune(self, keep: int = 5) -> list[str]:
        """Delete all but the newest `keep`, those in use and the one to roll back to; the names of those that went."""
        _, layout = self.layout()
        kept = {*layout.used, *layout.trail[-1:]}
        gone = [each.name for each in self.versions()[: -keep or None] if each.name not in kept]
        for name in gone:
            self.remove(name)
        return gone


def _whole(found: Path, named: Path) -> None:
    """Check every file of a bundle; messages speak of it as `named`."""
    try:
        check(found, ())
    except BundleError as error:
        raise BundleError(str(error).replace(str(found), str(named))) from error


def _write(path: Path, version: Version) -> None:
    with whole(path) as aside:
        aside.write_text(json.dumps({**asdict(version), "path": version.path.name}, indent=1, ensure_ascii=False), encoding="utf-8")


def _read(path: Path) -> Version:
    with reading(path):
        found = json.loads(path.read_text(encoding="utf-8"))
        return Version(**{**found, "names": tuple(found["names"]), "path": path.parent / Path(found["path"]).name})
