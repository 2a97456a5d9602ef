"""Finds a part by its file name; a part's keyword-only arguments are its options.

Knows no family's contract: a family is a sub-package whose `__init__` defines one abstract base.
"""

import difflib
import importlib
import inspect
import pkgutil
import typing
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field, TypeAdapter, ValidationError

from banyan.errors import ConfigError

FAMILIES = {
    "encoders": "Encoder",
    "history": "History",
    "sharing": "Sharing",
    "tasks": "Task",
    "balancing": "Balancer",
    "cross": "Cross",
    "signals": "Signal",
    "calibration": "Calibration",
    "delayed": "Delayed",
    "auxiliary": "Auxiliary",
}
Spec = str | Mapping[str, Any]

# Types of options that say which values can be right; `check` refuses the others.
Share = Annotated[float, Field(ge=0, lt=1)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Size = Annotated[int, Field(ge=1)]
Natural = Annotated[int, Field(ge=0)]


def names(family: str) -> list[str]:
    """The parts of a family, by file name, sorted."""
    package = importlib.import_module(f"banyan.{family}")
    return sorted(m.name for m in pkgutil.iter_modules(package.__path__) if not m.name.startswith("_"))


def find(family: str, name: str) -> type[Any]:
    """The class of a part: `mmoe` is the one public class of `banyan/<family>/mmoe.py`; `package.module:Class` lends one.

    Raises ConfigError when there is no such part.
    """
    base = getattr(importlib.import_module(f"banyan.{family}"), FAMILIES[family])
    if ":" in name:
        return _lent(family, name, base)
    if name not in names(family):
        raise ConfigError(f"{family} has no part {name!r}.{_hint(name, names(family))} Known: {', '.join(names(family))}.")
    module = importlib.import_module(f"banyan.{family}.{name}")
    return next(
        each
        for key, each in vars(module).items()
        if inspect.isclass(each) and issubclass(each, base) and each.__module__ == module.__name__ and not key.startswith("_") and not inspect.isabstract(each)
    )


def _lent(family: str, name: str, base: type[Any]) -> type[Any]:
    module, _, attribute = name.partition(":")
    try:
        found = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise ConfigError(f"{family} part {name!r} cannot be imported: {error}.") from error
    if not (inspect.isclass(found) and issubclass(found, base)):
        raise ConfigError(f"{family} part {name!r} is not a {base.__name__}.")
    return found


def options(family: str, name: str) -> dict[str, inspect.Parameter]:
    """The options of a part: the keyword-only arguments of its `__init__`."""
    signature = inspect.signature(find(family, name).__init__)
    return {key: p for key, p in signature.parameters.items() if p.kind is inspect.Parameter.KEYWORD_ONLY}


def spec(value: Spec) -> tuple[str, dict[str, Any]]:
    """A part as written in YAML, `mmoe` or `{part: mmoe, experts: 6}`, as (name, options)."""
    if isinstance(value, str):
        return value, {}
    rest = dict(value)
    name = rest.pop("part", None)
    if not isinstance(name, str):
        raise ConfigError(f"A part is a name or a mapping with the key 'part'; found {dict(value)!r}.")
    return name, rest


def check(family: str, value: Spec) -> tuple[str, dict[str, Any]]:
    """Refuse an unknown part, an unknown option, a missing one, one of the wrong type, or a value out of range. Returns (name, options)."""
    name, given = spec(value)
    known = options(family, name)
    for key in given:
        if key not in known:
            listing = f"Known: {', '.join(known)}." if known else "It has no options."
            raise ConfigError(f"{family} {name!r} has no option {key!r}.{_hint(key, list(known))} {listing}")
    for key, parameter in known.items():
        if key not in given and parameter.default is inspect.Parameter.empty:
            raise ConfigError(f"{family} {name!r} needs the option {key!r}.")
    hints = typing.get_type_hints(find(family, name).__init__, include_extras=True)
    return name, {key: _typed(family, name, key, each, hints.get(key, Any)) for key, each in given.items()}


def _typed(family: str, name: str, key: str, value: Any, hint: Any) -> Any:
    try:
        return TypeAdapter(hint).validate_python(value)
    except ValidationError as error:
        plain = typing.get_args(hint)[0] if typing.get_origin(hint) is Annotated else hint
        kind = getattr(plain, "__name__", str(plain))
        raise ConfigError(f"{family} {name!r}: option {key!r} is {value!r}; it takes {kind} ({error.errors()[0]['msg'].lower()}).") from error


def build(family: str, value: Spec, *args: Any) -> Any:
    """Make a part: positional arguments come from the house, options from `value`."""
    name, given = check(family, value)
    return find(family, name)(*args, **given)


def _hint(word: str, known: list[str]) -> str:
    near = difflib.get_close_matches(word, known, n=1)
    return f" Did you mean {near[0]!r}?" if near else ""
