"""Labels that a model gave to rows without one, laid over a table's own in training steps. A true label is never touched."""

from dataclasses import dataclass

import numpy as np

from banyan.types import Array


@dataclass(frozen=True)
class Given:
    """One task's: of `rows` of its table, each at most once and rising."""

    rows: Array  # (m,) int64
    value: Array  # float32 (m, V) labels in the task's own form, or (m, C) shares of the classes; int64 (m,) codes of classes
    confidence: Array  # (m,) float32
    weight: float  # of such a row beside one with a true label

    def __len__(self) -> int:
        return len(self.rows)

    def laid(self, rows: Array, value: Array, seen: Array) -> tuple[Array, Array, Array]:
        """(value, seen, (B,) factor of the weight) of a batch's rows, whose own labels are `value` where `seen` (B, 1).

        Where shares of classes were given, codes become shares: 1 for the row's own class.
        """
        place = np.minimum(np.searchsorted(self.rows, rows), max(len(self.rows) - 1, 0))
        mine = np.asarray(self.rows[place] == rows) & ~seen[:, 0] if len(self.rows) else np.zeros(len(rows), bool)
        if value.ndim == 1 and self.value.ndim == 2:
            value = (value[:, None] == np.arange(self.value.shape[1])).astype(np.float32)
        value, seen = value.copy(), seen.copy()
        value[mine], seen[mine] = self.value[place[mine]], True
        return value, seen, np.where(mine, self.weight, 1.0).astype(np.float32)
