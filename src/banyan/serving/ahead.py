"""What a bundle's network can compute of the items before anybody asks, as far as there is room for it."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from banyan import inference
from banyan.about import About, about
from banyan.features.step import Feeder
from banyan.features.stock import ITEM
from banyan.model import Network, Ready
from banyan.types import Array

BLOCK = 65_536  # items multiplied together
Asked = tuple[int, str]  # a trunk and a table


class Ahead:
    """Items' tokens, and what each trunk's first layer makes of them for the rows of a table.

    All rows beyond `last` are alike: items that nobody knows.
    """

    def __init__(self, network: Network, feeder: Feeder, last: int, budget: int) -> None:
        """`budget`: most bytes that are filled."""
        self.network, self.feeder, self.last, self.left = network, feeder, last, budget
        self.device = inference.device_of(network)
        self.read = ITEM in feeder.plan.entities and bool(feeder.plan.entities[ITEM].tokens)  # whether the network reads anything of an item
        self.ready = self._tokens() if self.read else None
        self.abouts: dict[Asked, About] = {}
        self.made: dict[Asked, Tensor] = {}
        self.alone: dict[str, tuple[About, Tensor]] = {}  # ranking task -> its rows, and what no item brings to them

    def _tokens(self) -> Ready | None:
        one = inference.tokens(self.network, self.feeder, ITEM, np.zeros(1, np.int64))
        if not self._room(sum(each.nbytes for trunk in one for each in trunk) * (self.last + 1)):
            return None
        return inference.tokens(self.network, self.feeder, ITEM, np.arange(self.last + 1))

    def _room(self, size: int) -> bool:
        fits = size <= self.left
        self.left -= size * fits
        return fits

    @torch.inference_mode()
    def expect(self, asked: Mapping[Asked, Sequence[int]]) -> None:
        """Make ready for questions about many items: (trunk, table) -> the views that they ask for."""
        for key, views in asked.items():
            trunk, table = key
            found = about(self.network.trunk(trunk), table, views) if self.read else None
            if found is None:
                continue
            self.abouts[key] = found
            if self.ready is not None and self._room(4 * sum(found.widths) * (self.last + 1)):
                tokens = self.ready[trunk][0]
                made = torch.empty(len(tokens), sum(found.widths), device=self.device)
                for start in range(0, len(tokens), BLOCK):
                    made[start : start + BLOCK] = found.of_items(tokens[start : start + BLOCK])
                self.made[key] = made

    @torch.inference_mode()
    def expect_alone(self, task: str, table: str) -> None:
        """Make ready for questions that a ranking task answers with a vector: its rows name no item."""
        trunk = self.network.trunk_of[task]
        found = about(self.network.trunk(trunk), table, self.network.own_views[task], aimed=False) if self.read else None
        if found is not None:
            none = inference.tokens(self.network, self.feeder, ITEM, np.zeros(1, np.int64))
            self.alone[task] = found, found.of_items(none[trunk][0])

    def items(self, rows: Array) -> Ready:
        """The tokens of items."""
        if self.ready is None:
            return inference.tokens(self.network, self.feeder, ITEM, rows)
        place = self._places(rows)
        return [[copy.index_select(0, place) for copy in trunk] for trunk in self.ready]

    def things(self, asked: Asked, rows: Array) -> Tensor:
        """(K, W) what items bring to `abouts[asked]`."""
        if asked in self.made:
            return self.made[asked].index_select(0, self._places(rows))
        ready = inference.tokens(self.network, self.feeder, ITEM, rows) if self.ready is None else self.ready
        tokens = ready[asked[0]][0]
        return self.abouts[asked].of_items(tokens if self.ready is None else tokens.index_select(0, self._places(rows)))

    def _places(self, rows: Array) -> Tensor:
        return torch.from_numpy(np.minimum(rows, self.last)).to(self.device)
