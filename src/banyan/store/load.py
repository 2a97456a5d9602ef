"""store.yaml -> Store, every mistake with its line; and back."""

import inspect
import re
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from banyan import parts
from banyan.disk import whole
from banyan.errors import ConfigError
from banyan.store import overrides as settings
from banyan.store import yaml_lines
from banyan.store.hints import hint
from banyan.store.schema import AuxiliarySpec, Samples, Store, TaskSpec

MOST_BYTES = 4_000_000  # a description is a page, not a table
MOST_MISTAKES = 10  # shown at a time


def load(path: str | Path, overrides: Sequence[str] = ()) -> Store:
    """The store that a file describes; `Store.folder` is the file's folder, where relative paths begin.

    `overrides` such as `model.sharing=ple` or `balancing.aggregator=UPGrad` are set before anything is checked.
    Raises ConfigError: one sentence a mistake, with file, line, the value found and what would be right.
    """
    path = Path(path)
    values, lines = yaml_lines.parse(_text(path), path.name)
    if not isinstance(values, dict):
        raise ConfigError(f"{path.name}: the description of a store is a mapping with keys such as entities, events, samples and tasks.")
    page = _Page(path.name, values, lines, settings.apply(values, overrides))
    page.words()
    try:
        store = Store.model_validate(values)
    except ValidationError as error:
        raise ConfigError(page.mistakes(error)) from error
    store.folder = path.parent
    described = [*(each.features for each in store.entities.values()), *(each.features for each in store.samples.values())]
    for feature in (each for features in described for each in features.values()):
        if feature.kind == "image":  # from the root: a bundle answers elsewhere
            feature.under = str((path.parent / (feature.under or "")).resolve())
    return store


def dump(store: Store, path: str | Path) -> None:
    """Write a store so that `load` gives it back; what is at its default is left out. The file is written aside, then renamed.

    Into another folder than the store's own, the paths of its tables are written out in full.
    """
    path = Path(path)
    values = store.model_dump(mode="json", exclude_defaults=True)
    if path.parent.resolve() != store.folder.resolve():
        values = _absolute(values, store.folder.resolve())
    text = yaml.safe_dump(_short(values), sort_keys=False, allow_unicode=True, width=160)
    with whole(path) as aside:
        aside.write_text(text, encoding="utf-8")


def spelled_out(store: Store, leave_out: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Every key of a store with its value, JSON-able, the paths of its tables written out from the root: what two descriptions are compared by."""
    found: dict[str, Any] = _absolute(store.model_dump(mode="json", exclude=leave_out), store.folder.resolve())
    return found


def located(path: str | Path, overrides: Sequence[str], message: str) -> str:
    """A message that begins with a section, such as `samples.judged: ...`, with the file and the line of that section, or of the column it names."""
    found = re.match(r"(split|events|(?:entities|samples|tasks)\.([^:]+))(?=:)", message)
    if not found:
        return f"{Path(path).name}: {message}"
    values, lines = yaml_lines.parse(_text(Path(path)), Path(path).name)
    page = _Page(Path(path).name, values, lines, settings.apply(values, overrides))
    whole: yaml_lines.Path = (found[1].partition(".")[0], found[2]) if found[2] else (found[1],)
    column = re.search(r"column '([^']+)'|column ([^,:]+?)(?=,| holds|:)", message)
    word = (column[1] or column[2]) if column else None
    return page.at(page.place(whole, word)) + message[found.end() :]


def _text(path: Path) -> str:
    if not path.is_file():
        found = sorted(each.name for each in path.parent.glob("*.y*ml")) if path.parent.is_dir() else []
        raise ConfigError(f"There is no file {path}.{hint(path.name, found) if found else ' `banyan init` writes one from the headers of your tables.'}")
    if (size := path.stat().st_size) > MOST_BYTES:
        raise ConfigError(f"{path.name} has {size} bytes; the description of a store has at most {MOST_BYTES}. Is it a table?")
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path.name}: byte {error.start} is no UTF-8; save the file as UTF-8.") from error


class _Page:
    """The raw values of one file, and where each of them stands."""

    def __init__(self, name: str, values: dict[str, Any], lines: dict[yaml_lines.Path, int], set_: dict[yaml_lines.Path, str]) -> None:
        self.name, self.values, self.lines, self.set = name, values, lines, set_

    def at(self, path: yaml_lines.Path) -> str:
        """`store.yaml, line 12: samples.viewed.within`, or the setting that put it there."""
        for n in range(len(path), 0, -1):
            if path[:n] in self.set:
                return f"{self.name}, setting {self.set[path[:n]]!r}: {_dotted(path)}"
            if path[:n] in self.lines:
                break
        near = next((self.lines[path[:n]] for n in range(len(path), -1, -1) if path[:n] in self.lines), 1)
        return f"{self.name}, line {near}" + (f": {_dotted(path)}" if path else "")

    def place(self, whole: yaml_lines.Path, word: str | None) -> yaml_lines.Path:
        """Where `word` stands in a section as a value or as a feature of that name, else the section."""

        def walk(value: Any, path: yaml_lines.Path) -> yaml_lines.Path | None:
            if isinstance(value, dict):
                below = (walk(each, (*path, key)) for key, each in value.items())
                named = (*path, word) if path[-1:] == ("features",) and isinstance(word, str) and word in value else None
                return named or next((each for each in below if each), None)
            return path if value == word and word is not None else None

        section: Any = self.values
        for step in whole:
            section = _mapping(section).get(str(step))
        return walk(section, whole) or whole

    def words(self) -> None:
        """Refuse unknown keys of samples and tasks, unknown parts and unknown options, all at once."""
        wrong = [*self._samples(), *self._tasks(), *self._auxiliary(), *self._model()]
        if wrong:
            raise ConfigError("\n".join(wrong[:MOST_MISTAKES]))

    def _samples(self) -> list[str]:
        entities = list(_mapping(self.values.get("entities")))
        known = [*Samples.model_fields, *entities]
        found = [(name, key) for name, each in _mapping(self.values.get("samples")).items() for key in _mapping(each) if key not in known]
        return [f"{self.at(('samples', name, key))}: {key!r} is neither a key of samples nor an entity.{hint(key, known)}" for name, key in found]

    def _tasks(self) -> list[str]:
        wrong = []
        for name, task in _mapping(self.values.get("tasks")).items():
            if not isinstance(kind := _mapping(task).get("kind"), str):
                continue
            path = ("tasks", name)
            try:
                options = parts.options("tasks", kind)
            except ConfigError as error:
                wrong.append(f"{self.at((*path, 'kind'))}: {error}")
                continue
            unknown = [key for key in task if key not in TaskSpec.model_fields and key not in options]
            known = [*TaskSpec.model_fields, *options]
            wrong += [f"{self.at((*path, key))}: {key!r} is neither a key of a task nor an option of {kind}.{hint(key, known)}" for key in unknown]
            given = {key: value for key, value in task.items() if key in options}
            wrong += [] if unknown else self._part(path, "tasks", {"part": kind, **given})
            for family in ("calibration", "delayed"):
                wrong += [] if task.get(family) is None else self._part((*path, family), family, task[family])
        return wrong

    def _auxiliary(self) -> list[str]:
        wrong = []
        for name, each in _mapping(self.values.get("auxiliary")).items():
            if isinstance(kind := _mapping(each).get("kind"), str):
                given = {key: value for key, value in each.items() if key not in AuxiliarySpec.model_fields}
                wrong += self._part(("auxiliary", name), "auxiliary", {"part": kind, **given})
        return wrong

    def _model(self) -> list[str]:
        model = _mapping(self.values.get("model"))
        wrong = []
        for family in settings.FAMILIES:
            if model.get(family) is not None:
                wrong += self._part(("model", family), family, model[family])
        for family in ("encoders", "signals"):
            for kind, part in _mapping(model.get(family)).items():
                wrong += self._part(("model", family, kind), family, part)
        return wrong

    def _part(self, path: yaml_lines.Path, family: str, value: Any) -> list[str]:
        if not isinstance(value, (str, dict)):
            return [f"{self.at(path)} is {value!r}; a part is a name, or a mapping with the key `part` and its options."]
        try:
            parts.check(family, value)
        except ConfigError as error:
            option = re.search(r"option '(\w+)'", str(error))
            return [f"{self.at((*path, option[1]) if option else path)}: {error}"]
        return []

    def mistakes(self, error: ValidationError) -> str:
        """One sentence a mistake."""
        sentences: dict[yaml_lines.Path, str] = {}
        for each in error.errors():
            path = self._path(each["loc"])
            sentence = self._sentence(path, each)
            if not path and (named := re.match(r": (tasks|samples|auxiliary)\.([^:]+)(: .*)", sentence, re.DOTALL)):
                path, sentence = (named[1], named[2]), named[3]  # the store as a whole found it, and says where
            sentences.setdefault(path, f"{self.at(path)}{sentence}")
        shown = list(sentences.values())
        rest = [f"... and {len(shown) - MOST_MISTAKES} more."] if len(shown) > MOST_MISTAKES else []
        return "\n".join([*shown[:MOST_MISTAKES], *rest])

    def _path(self, location: tuple[str | int, ...]) -> yaml_lines.Path:
        """The part of pydantic's location that stands in the file: it also names branches of unions, and keys as `[key]`."""
        here: Any = self.values
        path: list[str | int] = []
        for step in location:
            if step in (here if isinstance(here, dict) else range(len(here)) if isinstance(here, list) else ()):
                here = here[step]
                path.append(step)
        return tuple(path)

    def _sentence(self, path: yaml_lines.Path, each: Any) -> str:
        said = str(each["ctx"]["error"]) if each["type"] == "value_error" else each["msg"]
        if each["type"] == "extra_forbidden":
            return f": {path[-1]!r} is no key here.{hint(str(path[-1]), _keys(path[:-1]))}"
        if each["type"] == "missing":
            return f" needs the key {each['loc'][-1]!r}." if path else f": the page needs the key {each['loc'][-1]!r}."
        found = each["input"]
        if isinstance(found, (dict, BaseModel)):
            return f": {said[0].lower() + said[1:]}."
        return f" is {found!r}; {said[0].lower() + said[1:]}."


def _keys(path: yaml_lines.Path) -> list[str]:
    """The keys that the schema knows at a path."""
    model: Any = Store
    for step in path:
        if isinstance(model, type) and issubclass(model, BaseModel):
            field = model.model_fields.get(str(step))
            model = _model_in(field.annotation) if field else None
    return [key for key in model.model_fields if key != "folder"] if model is not None else []


def _model_in(annotation: Any) -> Any:
    """The model inside `X | None` or `dict[Name, X]`."""
    if inspect.isclass(annotation) and not typing.get_args(annotation) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for each in reversed(typing.get_args(annotation)) if (found := _model_in(each)) is not None), None)


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _dotted(path: yaml_lines.Path) -> str:
    return ".".join(str(each) for each in path)


def _short(value: Any) -> Any:
    """`{path: x}` as `x` and `{kind: x}` as `x`, as a person writes them."""
    if isinstance(value, list):
        return [_short(each) for each in value]
    if not isinstance(value, dict):
        return value
    tidy = {key: _short(each) for key, each in value.items()}
    for key in ("table", "known"):
        if isinstance(tidy.get(key), dict) and set(tidy[key]) == {"path"}:
            tidy[key] = tidy[key]["path"]
    if isinstance(files := tidy.get("files"), dict):
        tidy["files"] = {k: f["path"] if isinstance(f, dict) and set(f) == {"path"} else f for k, f in files.items()}
    if isinstance(features := tidy.get("features"), dict):
        tidy["features"] = {k: f["kind"] if isinstance(f, dict) and set(f) == {"kind"} else f for k, f in features.items()}
    return tidy


def _absolute(values: Any, folder: Path) -> Any:
    """The same description with the paths of tables written out from the root."""
    if not isinstance(values, dict):
        return values
    moved = {key: _absolute(each, folder) for key, each in values.items()}
    if moved.get("kind") == "image":
        moved["under"] = str(folder / (moved.get("under") or ""))
    for source in (moved.get("table"), moved.get("known"), *_mapping(moved.get("files")).values()):
        if not isinstance(source, dict):
            continue
        if isinstance(source.get("path"), str):
            source["path"] = str(folder / source["path"])
        if isinstance(source.get("sql"), str) and (found := re.fullmatch(r"sqlite:///([^/].*)", source["sql"])):
            source["sql"] = f"sqlite:///{folder / found[1]}"
    return moved
