"""What a search may change: ranges read from the parts' own options, or from a YAML file, and how a point is written into a store."""

import inspect
import json
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from banyan import parts
from banyan.errors import ConfigError
from banyan.store.hints import hint
from banyan.store.schema import Store, Training

FAMILIES = ("sharing", "history", "cross", "balancing")  # of which a key `sharing.ple.own` is an option of one part
MODEL = ("width", *FAMILIES, "products", "wide")  # keys of `model` that leave the data as they are
TRAINING = ("lr", "embedding_lr", "weight_decay", "warmup", "decay", "clip", "mix", "passes", "weights")
Scalar = bool | int | float | str
FACTOR = 4.0  # a rate is searched from its value / 4 to its value x 4


class Range(BaseModel):
    """Numbers from `low` to `high`, whole ones where both ends are; or `choices`."""

    model_config = ConfigDict(extra="forbid")

    low: int | float | None = None
    high: int | float | None = None
    log: bool = False
    choices: list[Any] | None = None

    @model_validator(mode="before")
    @classmethod
    def _short(cls, value: Any) -> Any:
        return {"choices": value} if isinstance(value, list) else value

    @model_validator(mode="after")
    def _fits(self) -> "Range":
        if (self.choices is None) == (self.low is None or self.high is None):
            raise ValueError("a range has low and high, or is a list of choices")
        if self.low is not None and self.high is not None and (self.low > self.high or (self.log and self.low <= 0)):
            raise ValueError(f"low is at most high, and above 0 on a log scale; found {self.low} and {self.high}")
        return self

    @property
    def written(self) -> list[Scalar]:
        """The choices as scalars: what is none, such as the sizes of layers, as JSON."""
        return [each if isinstance(each, (bool, int, float, str)) else json.dumps(each) for each in self.choices or []]


@dataclass(frozen=True)
class Space:
    """Key -> range. A key is `training.lr`, `model.width`, `model.sharing`, `tasks.age.weight`, or `sharing.ple.own`: an option of the part `ple`."""

    ranges: Mapping[str, Range]

    def asked(self, chosen: Mapping[str, Scalar]) -> list[str]:
        """Keys that matter once the parts are chosen, the parts first."""
        names = {family: chosen.get(f"model.{family}") for family in FAMILIES}
        firsts = [key for key in self.ranges if key.partition(".")[0] not in FAMILIES]
        return firsts + [key for key in self.ranges if key.partition(".")[0] in FAMILIES and names[key.partition(".")[0]] == key.split(".")[1]]

    def of(self, store: Store, point: Mapping[str, Scalar]) -> Store:
        """The store at a point. Raises ConfigError where a value cannot be."""
        values = store.model_dump(mode="json", exclude_defaults=True)
        for family in FAMILIES:
            name = point.get(f"model.{family}")
            own = parts.spec(getattr(store.model, family)) if getattr(store.model, family) is not None else (None, {})
            options = {key.split(".")[2]: _read(value) for key, value in point.items() if key.startswith(f"{family}.{name}.")}
            if name is not None:
                values.setdefault("model", {})[family] = {"part": name, **(own[1] if own[0] == name else {}), **options}
        for key, value in point.items():
            section, *rest = key.split(".")
            if section in ("training", "model", "tasks", "auxiliary") and not (section == "model" and rest[0] in FAMILIES):
                here = values.setdefault(section, {})
                for step in rest[:-1]:
                    here = here.setdefault(step, {})
                here[rest[-1]] = _read(value)
        try:
            return Store.model_validate(values).model_copy(update={"folder": store.folder})
        except ValidationError as error:
            raise ConfigError(f"A point of the search cannot be: {error.errors()[0]['msg']}") from error

    def here(self, store: Store) -> dict[str, Scalar]:
        """The point at which the store stands, as far as the space holds it: where a search begins."""
        found: dict[str, Scalar] = {}
        for key, each in self.ranges.items():
            value = _value(store, key)
            written = value if isinstance(value, (bool, int, float, str)) else json.dumps(value)
            if each.choices is not None and written in each.written:
                found[key] = written
            elif isinstance(value, (int, float)) and each.low is not None and each.high is not None:
                found[key] = min(max(value, each.low), each.high)
        return {key: found[key] for key in self.asked(found) if key in found}


def _read(value: Scalar) -> Any:
    return json.loads(value) if isinstance(value, str) and value[:1] in "[{" else value


def _value(store: Store, key: str) -> Any:
    section, *rest = key.split(".")
    if section in FAMILIES:
        name, given = parts.spec(getattr(store.model, section)) if getattr(store.model, section) is not None else ("", {})
        known = parts.options(section, rest[0])
        return given.get(rest[1], known[rest[1]].default) if name == rest[0] else known[rest[1]].default
    if section in ("tasks", "auxiliary"):
        return getattr(getattr(store, section)[rest[0]], rest[1], None)
    value = getattr(getattr(store, section), rest[0])
    return parts.spec(value)[0] if rest[0] in FAMILIES and value is not None else value


def usual(store: Store) -> Space:
    """Rates and widths around the store's own, its sharing and balancing beside usual others, and their options that a range can be read for."""
    rate = store.training.lr
    found = {"training.lr": Range(low=rate / FACTOR, high=rate * FACTOR, log=True), "training.weight_decay": Range(low=1e-6, high=1e-3, log=True)}
    width = store.model.width
    found["model.width"] = Range(choices=sorted({max(4, width // 2), width, width * 2}))
    for family, others in (("sharing", ("mmoe", "ple")), ("balancing", ("fixed", "uncertainty"))):
        names = list(dict.fromkeys([parts.spec(getattr(store.model, family))[0], *others]))
        found[f"model.{family}"] = Range(choices=names)
        for name in names:
            known = parts.options(family, name)
            hints = typing.get_type_hints(parts.find(family, name).__init__, include_extras=True)
            ranges = {key: _range(_value(store, f"{family}.{name}.{key}"), hints.get(key), each) for key, each in known.items()}
            found |= {f"{family}.{name}.{key}": each for key, each in ranges.items() if each is not None}
    return Space(found)


def _range(value: Any, hint: Any, parameter: inspect.Parameter) -> Range | None:
    """A range around an option's value by its type; None where none can be read."""
    plain = typing.get_args(hint)[0] if typing.get_origin(hint) is Annotated else hint
    if typing.get_origin(plain) is typing.Literal:
        return Range(choices=list(typing.get_args(plain)))
    if isinstance(value, bool):
        return Range(choices=[False, True])
    if isinstance(value, int) and value > 0:
        return Range(low=max(1, value // 2), high=2 * value)
    if isinstance(value, float) and ("dropout" in parameter.name or (hint == parts.Share)):
        return Range(low=0.0, high=0.5)
    if isinstance(value, float) and value > 0:
        return Range(low=value / FACTOR, high=value * FACTOR, log=True)
    if isinstance(value, (tuple, list)) and value and all(isinstance(each, int) for each in value):
        return Range(choices=[[max(4, each // 2) for each in value], list(value), [each * 2 for each in value]])
    return None


def read(path: Path, store: Store) -> Space:
    """A space from a YAML mapping such as `{training.lr: {low: 5e-4, high: 0.01, log: true}, model.sharing: [ple, mmoe], sharing.ple.own: {low: 1, high: 3}}`.

    Raises ConfigError that names the key and says what would be right.
    """
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: this is no YAML: {str(error).splitlines()[0]}.") from error
    if not isinstance(values, dict) or not values:
        raise ConfigError(f"{path}: a search space is a mapping from keys such as training.lr to ranges such as {{low: 0.0005, high: 0.01, log: true}}.")
    found = {}
    for key, value in values.items():
        _known(path, str(key), store)
        try:
            found[str(key)] = Range.model_validate(value)
        except ValidationError as error:
            raise ConfigError(f"{path}: {key}: {error.errors()[0]['msg']}; found {value!r}.") from error
    return Space(found)


def _known(path: Path, key: str, store: Store) -> None:
    section, *rest = key.split(".")
    if section in FAMILIES and len(rest) == 2:
        known = parts.options(section, rest[0])
        if rest[1] not in known:
            raise ConfigError(f"{path}: {section} {rest[0]!r} has no option {rest[1]!r}.{hint(rest[1], list(known))}")
        return
    allowed = [*(f"model.{each}" for each in MODEL), *(f"training.{each}" for each in TRAINING), *(f"tasks.{task}.weight" for task in store.tasks)]
    allowed += [*(f"auxiliary.{name}.weight" for name in store.auxiliary), *(["training.pretrain"] if store.auxiliary else [])]
    if key not in allowed:
        raise ConfigError(f"{path}: {key!r} cannot be searched.{hint(key, allowed)} Keys: {', '.join(allowed)}, and options of parts, such as sharing.ple.own.")


assert set(TRAINING) <= set(Training.model_fields)
__all__ = ["Range", "Scalar", "Space", "read", "usual"]
