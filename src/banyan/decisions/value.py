"""The value model: an expression over a model's answers and the items' numbers, such as `0.1*click + buy*item.margin`; by it items are ordered.

It is read by a parser of its own into a list of steps and computed on arrays. Nothing is ever run as code. Knows no network and no catalogue.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from banyan.errors import ConfigError, DataError
from banyan.store.hints import hint
from banyan.types import Array

CHARACTERS = 2_000  # most of one expression
STEPS = 400  # most numbers, names and operations
DEPTH = 32  # most brackets, functions and signs inside each other
LARGEST = 1e30  # every result is held between -LARGEST and LARGEST, so that none is infinite
ITEM = "item."  # what begins so is a number of the item's, and may be missing

NUMBER, NAME = r"(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?", r"[^\W\d]\w*(?:\.\w+)*"
TOKEN = re.compile(rf"\s*(?:(?P<number>{NUMBER})|(?P<name>{NAME})|`(?P<quoted>[^`]+)`|(?P<sign>[-+*/(),]))")


def _min(*values: Array) -> Array:
    return np.asarray(np.minimum.reduce(values))


def _max(*values: Array) -> Array:
    return np.asarray(np.maximum.reduce(values))


def _log1p(x: Array) -> Array:
    return np.log1p(np.maximum(x, 0.0))


def _clip(x: Array, low: Array, high: Array) -> Array:
    return np.minimum(np.maximum(x, low), high)


def _divide(x: Array, y: Array) -> Array:
    return np.where(y == 0, 0.0, x / np.where(y == 0, 1.0, y))


OPERATIONS: dict[str, Callable[..., Array]] = {"+": np.add, "-": np.subtract, "*": np.multiply, "/": _divide}
FUNCTIONS: dict[str, tuple[Callable[..., Array], int, int]] = {"min": (_min, 2, 8), "max": (_max, 2, 8), "log1p": (_log1p, 1, 1), "clip": (_clip, 3, 3)}
FILL = "fill"  # fill(item.margin, 0.3): the number where it is known, else the other

Step = tuple[str, float | str, int]  # (what: number, name, fill, call; which; how many it takes from the stack)


@dataclass(frozen=True)
class Term:
    """One summand of the whole expression: its own text, with its sign."""

    text: str
    sign: float
    steps: tuple[Step, ...]


@dataclass(frozen=True)
class Value:
    """An expression that was read. `Value.parse` makes one."""

    text: str
    names: tuple[str, ...]  # the columns that it reads, each once, in order of appearance
    summands: tuple[Term, ...] = field(repr=False)

    @classmethod
    def parse(cls, text: str, known: Sequence[str]) -> "Value":
        """The expression in `text` over the names in `known`: `task.column`, `task` where it has one column, `item.feature`.

        Numbers, + - * / ( ), `min` and `max` of two to eight, `log1p`, `clip(x, low, high)`, `fill(item.feature, number)`. A name with other characters
        stands in backticks. Raises ConfigError that says at which character, what was found and what would be right.
        """
        return _Parser(text, known).whole()

    def of(self, columns: Mapping[str, Array]) -> Array:
        """(n,) float64, finite: the value of n rows; `columns` has an array (n,) for each of `names`.

        A missing number of an item (NaN) counts as 0 unless `fill` says otherwise; what is divided by 0 is 0; log1p of a number below 0 is 0; each
        result is held within 1e30. Raises DataError for a missing column, columns of unlike length, or an answer that is not finite, with its row.
        """
        read = _checked(self.names, columns)
        total: Array = np.zeros(len(next(iter(read.values()))))
        for term in self.summands:
            total = _held(total + term.sign * _run(term.steps, read))
        return total

    def terms(self, columns: Mapping[str, Array]) -> dict[str, Array]:
        """Each summand's share of the value, by its text, (n,) each; they add up to `of`, within 1e30. Raises DataError as `of` does."""
        read = _checked(self.names, columns)
        found: dict[str, Array] = {}
        for term in self.summands:
            each = term.sign * _run(term.steps, read)
            found[term.text] = found[term.text] + each if term.text in found else each
        return found


@dataclass(frozen=True)
class Values:
    """A value model for each scenario: the one of "" holds where a scenario has none of its own."""

    by: Mapping[str, Value]

    @classmethod
    def parse(cls, texts: Mapping[str, str], known: Sequence[str]) -> "Values":
        """Scenario -> expression. Raises ConfigError that names the scenario, and for a missing ""."""
        if "" not in texts:
            raise ConfigError('The value model has no expression for "", which holds wherever a scenario has none of its own; add one.')
        found = {}
        for scenario, text in texts.items():
            try:
                found[scenario] = Value.parse(text, known)
            except ConfigError as error:
                raise ConfigError(f"Scenario {scenario!r}: {error}") from error
        return cls(found)

    def of(self, scenario: str) -> Value:
        """The value model of a scenario."""
        return self.by.get(scenario) or self.by[""]

    def texts(self) -> dict[str, str]:
        """What `parse` reads."""
        return {scenario: value.text for scenario, value in self.by.items()}


def _checked(names: Sequence[str], columns: Mapping[str, Array]) -> dict[str, Array]:
    found = {}
    for name in names:
        if name not in columns:
            raise DataError(f"The value model reads {name!r}, and the answers have no such column.{hint(name, columns)}")
        found[name] = np.asarray(columns[name], np.float64)
        if not name.startswith(ITEM) and not (fine := np.isfinite(found[name])).all():
            row = int(np.argmin(fine))
            raise DataError(f"The answer {name!r} is {found[name][row]} in row {row}; an answer is finite. The model cannot be used; train it again.")
    if len(lengths := {name: each.shape for name, each in found.items()}) and len(set(lengths.values())) > 1:
        raise DataError(f"The value model's columns have unlike shapes: {lengths}; each has one number a row.")
    return found


def _held(x: Array) -> Array:
    return np.clip(x, -LARGEST, LARGEST)


def _run(steps: Sequence[Step], columns: Mapping[str, Array]) -> Array:
    rows = len(next(iter(columns.values())))
    stack: list[Array] = []
    for kind, which, count in steps:
        taken = [stack.pop() for _ in range(count)][::-1]
        if kind == "number":
            stack.append(np.full(rows, which, np.float64))
        elif kind == "name":
            stack.append(_known(columns[str(which)], np.zeros(1)))
        elif kind == FILL:
            stack.append(_known(columns[str(which)], taken[0]))
        else:
            call = OPERATIONS.get(str(which)) or FUNCTIONS[str(which)][0]
            with np.errstate(over="ignore"):  # by a number near 0: held within bounds at once
                stack.append(_held(call(*taken)))
    return stack[0]


def _known(values: Array, otherwise: Array) -> Array:
    return _held(np.where(np.isfinite(values), values, otherwise))


@dataclass
class _Token:
    kind: str  # number, name, sign, end
    text: str
    at: int  # of its first character, from 0


class _Parser:
    """Sums of products of signed factors, by recursive descent; brackets nest at most DEPTH deep, and sums and products do not nest at all."""

    def __init__(self, text: str, known: Sequence[str]) -> None:
        if len(text) > CHARACTERS:
            raise ConfigError(f"The value model has {len(text):,} characters; at most {CHARACTERS:,} are read.")
        self.text, self.known = text, known
        self.tokens = list(self._tokens())
        self.place = self.depth = self.count = 0
        self.names: list[str] = []

    def _tokens(self) -> "list[_Token]":
        found, at = [], 0
        end = len(self.text.rstrip())
        while at < end:
            match = TOKEN.match(self.text, at)
            if match is None:
                at += len(self.text[at:]) - len(self.text[at:].lstrip())
                raise self._error(at, f"{self.text[at]!r} has no meaning here. Known are numbers, names, + - * / ( ) and commas; no comparisons")
            kind = str(match.lastgroup)
            found.append(_Token(kind, match[kind], match.start(kind)))
            at = match.end()
        return [*found, _Token("end", "the end", end)]

    def _error(self, at: int, what: str) -> ConfigError:
        return ConfigError(f"The value model {_short(self.text)!r}, character {at + 1}: {what}")

    @property
    def here(self) -> _Token:
        return self.tokens[self.place]

    def _take(self) -> _Token:
        self.place += 1
        return self.tokens[self.place - 1]

    def _sign(self, *signs: str) -> bool:
        return self.here.kind == "sign" and self.here.text in signs

    def _expect(self, sign: str, why: str) -> None:
        if not self._sign(sign):
            raise self._error(self.here.at, f"found {self.here.text!r}, and {sign!r} {why}.")
        self._take()

    def whole(self) -> Value:
        if self.here.kind == "end":
            raise ConfigError("The value model is empty; write an expression such as 0.1*click + buy*item.price.")
        terms, sign = [], 1.0
        while True:
            begin, steps = self.here.at, list[Step]()
            self._product(steps)
            text = self.text[begin : self.here.at].strip()
            terms.append(Term(text if sign > 0 else f"-{text}", sign, tuple(steps)))
            if not self._sign("+", "-"):
                break
            sign = 1.0 if self._take().text == "+" else -1.0
        if self.here.kind != "end":
            raise self._error(self.here.at, f"found {self.here.text!r}, and the expression had ended. Is a sign such as * missing before it?")
        if not self.names:
            raise self._error(0, f"it names no answer, so that all items are worth the same.{hint('', self.known)}")
        return Value(self.text.strip(), tuple(self.names), tuple(terms))

    def _sum(self, steps: list[Step]) -> None:
        self._product(steps)
        while self._sign("+", "-"):
            sign = self._take()
            self._product(steps)
            self._add(steps, ("call", sign.text, 2), sign.at)

    def _product(self, steps: list[Step]) -> None:
        self._factor(steps)
        while self._sign("*", "/"):
            sign = self._take()
            self._factor(steps)
            self._add(steps, ("call", sign.text, 2), sign.at)

    def _factor(self, steps: list[Step]) -> None:
        token = self._take()
        self.depth += 1
        if self.depth > DEPTH:
            raise self._error(token.at, f"brackets, functions and signs stand inside each other more than {DEPTH} deep.")
        if token.kind == "number":
            self._add(steps, ("number", self._number(token), 0), token.at)
        elif token.kind == "sign" and token.text == "(":
            self._sum(steps)
            self._expect(")", f"closes the bracket of character {token.at + 1}")
        elif token.kind == "sign" and token.text in "+-":
            self._signed(token, steps)
        elif token.kind == "name" and self._sign("("):
            self._call(token, steps)
        elif token.kind in ("name", "quoted"):
            self._add(steps, ("name", self._name(token), 0), token.at)
        else:
            raise self._error(token.at, f"found {token.text!r}, and a number, a name, a function or a bracket belongs here.")
        self.depth -= 1

    def _signed(self, sign: _Token, steps: list[Step]) -> None:
        if sign.text == "-":
            self._add(steps, ("number", 0.0, 0), sign.at)
        self._factor(steps)
        if sign.text == "-":
            self._add(steps, ("call", "-", 2), sign.at)

    def _call(self, token: _Token, steps: list[Step]) -> None:
        if token.text == FILL:
            return self._fill(steps)
        if token.text not in FUNCTIONS:
            raise self._error(token.at, f"there is no function {token.text!r}.{hint(token.text, [*FUNCTIONS, FILL])}")
        self._take()
        count = 0
        while count == 0 or self._sign(","):
            if count:
                self._take()
            self._sum(steps)
            count += 1
        self._expect(")", f"closes {token.text}(")
        _, least, most = FUNCTIONS[token.text]
        if not least <= count <= most:
            stated = str(least) if least == most else f"{least} to {most}"
            raise self._error(token.at, f"{token.text} takes {stated} arguments and has {count}.")
        return self._add(steps, ("call", token.text, count), token.at)

    def _fill(self, steps: list[Step]) -> None:
        self._take()
        token = self._take()
        if token.kind not in ("name", "quoted"):
            raise self._error(token.at, f"{FILL} reads the name of an item's number, as in {FILL}(item.margin, 0.3); found {token.text!r}.")
        name = self._name(token)
        if not name.startswith(ITEM):
            raise self._error(token.at, f"{FILL} is for numbers of an item, which may be missing; {name!r} is an answer, and none is missing.")
        self._expect(",", f"stands between the name and what holds where it is missing, as in {FILL}(item.margin, 0.3)")
        self._sum(steps)
        self._expect(")", f"closes {FILL}(")
        self._add(steps, (FILL, name, 1), token.at)

    def _number(self, token: _Token) -> float:
        found = float(token.text)
        if found > LARGEST:
            raise self._error(token.at, f"{_short(token.text)} is larger than {LARGEST:g}, the largest number there is here.")
        return found

    def _name(self, token: _Token) -> str:
        name = token.text
        if name not in self.known:
            inside = [each for each in self.known if each.startswith(f"{name}.")]
            if len(inside) != 1:
                raise self._error(token.at, _unknown(name, inside, self.known))
            name = inside[0]
        if name not in self.names:
            self.names.append(name)
        return name

    def _add(self, steps: list[Step], step: Step, at: int) -> None:
        self.count += 1
        if self.count > STEPS:
            raise self._error(at, f"the expression has more than {STEPS} numbers, names and operations.")
        steps.append(step)


def _unknown(name: str, inside: Sequence[str], known: Sequence[str]) -> str:
    if inside:
        return f"{name!r} has {len(inside)} answers; name one: {', '.join(inside[:10])}."
    tasks = [each.split(".", 1)[0] for each in known]
    short = [task if tasks.count(task) == 1 and task != "item" else each for task, each in zip(tasks, known, strict=True)]  # as one would write them
    return f"there is no answer or number {_short(name)!r}.{hint(_short(name), short)}"


def _short(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:57]}..."
