"""Which rows each step reads: a permutation and a cursor for each table, and a thread that assembles steps ahead of the network."""

import queue
import threading
import zlib
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from banyan.training.schedule import TableMix
from banyan.types import Array, Step


class Picker:
    """Deals the rows of several tables. Every table is dealt from its own seeded permutation, pass after pass."""

    def __init__(self, rows: Mapping[str, Array], mix: TableMix, seed: int, groups: Mapping[str, Array] | None = None) -> None:
        """`rows`: table -> the rows that train. `mix` says how many of each a step reads.

        `groups`: table -> a number for each of its rows; rows of one number are dealt one after the other, in their order.
        """
        self.rows, self.mix, self.seed = dict(rows), mix, seed
        self.groups = {name: np.unique(each, return_inverse=True)[1].reshape(-1) for name, each in (groups or {}).items()}
        self.dealt = dict.fromkeys(self.rows, 0)  # rows dealt so far, over all passes
        self._order: dict[str, tuple[int, Array]] = {}

    def deal(self) -> dict[str, Array]:
        """The rows of the next step."""
        return {name: self._next(name, count) for name, count in self.mix.step().items()}

    def _next(self, name: str, count: int) -> Array:
        size = len(self.rows[name])
        taken = []
        while count:
            number, place = divmod(self.dealt[name], size)
            part = self._permutation(name, number)[place : place + count]
            taken.append(part)
            self.dealt[name] += len(part)
            count -= len(part)
        return np.asarray(self.rows[name][np.concatenate(taken) if len(taken) > 1 else taken[0]])

    def _permutation(self, name: str, number: int) -> Array:
        if self._order.get(name, (-1,))[0] != number:
            rng = np.random.default_rng([self.seed, zlib.crc32(name.encode()), number])
            self._order[name] = (number, self._shuffled(name, rng))
        return self._order[name][1]

    def _shuffled(self, name: str, rng: np.random.Generator) -> Array:
        if name not in self.groups:
            return rng.permutation(len(self.rows[name]))
        group = self.groups[name]
        return np.argsort(rng.permutation(int(group.max()) + 1)[group], kind="stable")

    def state(self) -> dict[str, Any]:
        """Cursors; the permutation of a pass follows from the seed, the table's name and the number of the pass."""
        return {"dealt": dict(self.dealt), "mix": self.mix.state()}

    def load(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` gave."""
        self.dealt = {name: int(n) for name, n in state["dealt"].items()}
        self.mix.load(state["mix"])


@dataclass
class Dealt:
    """A step, and the picker's state once it has been taken."""

    number: int
    step: Step
    state: dict[str, Any]


def ahead(picker: Picker, make: Callable[[dict[str, Array], np.random.Generator], Step], first: int, last: int, depth: int = 2) -> Generator[Dealt, None, None]:
    """Steps `first` to `last` - 1, assembled by a thread up to `depth` ahead; 0 assembles in the caller's own thread.

    Each step's randomness comes from (seed, number of the step) alone, so that it does not matter who makes it and when.
    """

    def one(number: int) -> Dealt:
        step = make(picker.deal(), np.random.default_rng([picker.seed, 1, number]))
        return Dealt(number, step, picker.state())

    if depth == 0:
        for number in range(first, last):
            yield one(number)
        return
    yield from _threaded(one, first, last, depth)


def _threaded(one: Callable[[int], Dealt], first: int, last: int, depth: int) -> Generator[Dealt, None, None]:
    waiting: queue.Queue[Dealt | BaseException] = queue.Queue(depth)
    stop = threading.Event()

    def put(item: Dealt | BaseException) -> None:
        while not stop.is_set():
            try:
                waiting.put(item, timeout=0.1)
                return
            except queue.Full:
                continue

    def work() -> None:
        try:
            for number in range(first, last):
                if stop.is_set():
                    return
                put(one(number))
        except BaseException as error:  # handed to the consumer, who raises it
            put(error)

    thread = threading.Thread(target=work, name="banyan-steps", daemon=True)
    thread.start()
    try:
        for _ in range(first, last):
            item = waiting.get()
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        stop.set()
        thread.join()
