"""What a step asks for: each thing and each id once, and where those who asked find them."""

import threading
from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor

from banyan.types import Array


class Scratch:
    """Finds the distinct among many ids in time of their number, on an array made once."""

    def __init__(self, size: int) -> None:
        self.slot = np.zeros(size, np.int32)
        self.lock = threading.Lock()  # a thread may assemble training steps while another one evaluates

    def distinct(self, ids: Array, first: int | None = None) -> tuple[Array, Array]:
        """((U,) each id once, (n,) the place of each), in the order of the last occurrences; `first` is put in front."""
        with self.lock:
            order = np.arange(len(ids), dtype=np.int32)
            self.slot[ids] = order
            unique = ids[self.slot[ids] == order]
            if first is not None:
                place = int(np.flatnonzero(unique == first)[0])
                unique[place], unique[0] = unique[0], unique[place]
            self.slot[unique] = np.arange(len(unique), dtype=np.int32)
            return unique, self.slot[ids]


class Gatherer:
    """Collects the ids of a step as they come and says where each block of them begins."""

    def __init__(self) -> None:
        self.parts: list[Array] = []
        self.size = 0

    def add(self, ids: Array) -> int:
        """Add ids of any shape; returns the place of the first."""
        start = self.size
        self.parts.append(ids.reshape(-1))
        self.size += ids.size
        return start

    def numbered(self) -> tuple[Tensor, Tensor, Tensor, Tensor, list[int]]:
        """The last five of a `Step`: its distinct rows in rising order, each id's place among them, and how to sum by row. One radix sort."""
        flat = np.concatenate(self.parts) if self.parts else np.zeros(0, np.int32)
        ids, order = torch.sort(torch.from_numpy(flat), stable=True)
        first = np.ones(len(flat), bool)
        np.not_equal(ids[1:].numpy(), ids[:-1].numpy(), out=first[1:])
        starts = np.flatnonzero(first)
        inverse = np.empty(len(flat), np.int32)
        inverse[order.numpy()] = np.cumsum(first, dtype=np.int32) - 1
        return ids[torch.from_numpy(starts)].long(), torch.from_numpy(inverse), order, torch.from_numpy(starts), [p.size for p in self.parts]


class Asked:
    """Collects the rows of entities that a step reads; the missing one of each is the first."""

    def __init__(self, names: Iterable[str]) -> None:
        self.rows: dict[str, list[Array]] = {name: [np.zeros(1, np.int64)] for name in names}
        self._end: dict[str, int] = dict.fromkeys(self.rows, 1)

    def __call__(self, name: str, rows: Array) -> slice:
        """Ask for rows of an entity, of any shape; where they lie among all that the step asks for."""
        self.rows[name].append(rows.reshape(-1).astype(np.int64))
        self._end[name] += rows.size
        return slice(self._end[name] - rows.size, self._end[name])
