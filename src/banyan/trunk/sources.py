"""The tokens of one source, an entity or the context: its columns, each read by the encoder of its kind."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from banyan import parts
from banyan.features.columns import Layout
from banyan.store.schema import TUNED
from banyan.trunk.names import safe
from banyan.types import Block, Column

ENCODERS = {
    "category": "categorical",
    "number": "numeric",
    "tags": "tags",
    "text": "text",
    "vector": "vector",
    "time": "time",
    "image": "image",
    "pixels": "convnet",
}


class Source(nn.Module):
    """All tokens of one source: an entity, or the context."""

    def __init__(self, layout: Layout, width: int, encoders: Mapping[str, Any]) -> None:
        super().__init__()
        self.layout, self.width = layout, width
        chosen = {kind: encoders.get(kind, name) for kind, name in ENCODERS.items()}
        self.categories = parts.build("encoders", chosen["category"], width, 0) if layout.categories else None
        self.numbers = parts.build("encoders", chosen["number"], width, len(layout.numbers)) if layout.numbers else None
        self.bags = nn.ModuleDict()
        for key in (*layout.tags, *layout.texts):
            self.bags[safe(key)] = parts.build("encoders", chosen["tags" if key in layout.tags else "text"], width, 0)
        self.views = {key: layout.features[key].views if key in layout.features else 1 for key in layout.dense}
        own = {key: {TUNED: layout.features[key].encoder} if kind == TUNED else chosen for key, (kind, _) in layout.dense.items()}
        self.dense = nn.ModuleDict(
            {safe(key): parts.build("encoders", own[key][kind], width, size // self.views[key]) for key, (kind, size) in layout.dense.items()}
        )
        self.absent = {key: feature.absent for key, feature in layout.features.items() if feature.absent}

    def forward(self, block: Block, embedded: Mapping[int, Tensor], hidden: Mapping[str, Tensor] | None = None) -> Float[Tensor, "n S D"]:
        """Tokens of n rows, from their columns and the embeddings of the step's ids; `hidden` as `hides` drew it, which is asked unless given."""
        hidden = self.hides(block) if hidden is None else hidden
        n, count, width = block.rows, len(self.layout.categories), self.width
        tokens: list[Tensor] = []
        if self.categories is not None:
            tokens.append(self.categories(Column(embedded[block.start].view(n * count, 1, width))).view(n, count, width))
        if self.numbers is not None:
            tokens.append(self.numbers(self._bag(block, "numbers", embedded, block.numbers, block.known)).unsqueeze(1))
        for key in (*self.layout.tags, *self.layout.texts):
            bag = self._bag(block, key, embedded)
            if key in hidden and bag.mask is not None:
                bag = replace(bag, mask=bag.mask & ~hidden[key])
            tokens.append(self.bags[safe(key)](bag).unsqueeze(1))
        for key in self.layout.dense:
            values = self._view(key, block.dense[key])
            known = (values != 0).any(1, keepdim=True)
            known = (known & ~hidden[key] if key in hidden else known).expand_as(values)
            tokens.append(self.dense[safe(key)](Column(numbers=values, known=known)).unsqueeze(1))
        return torch.cat(tokens, 1) if len(tokens) > 1 else tokens[0]

    def _view(self, key: str, values: Tensor) -> Float[Tensor, "n E"]:
        """One look of each picture: in training any of those that are stored, else the picture as it is."""
        count = self.views[key]
        if count == 1:
            return values
        each: Tensor = values.view(len(values), count, values.shape[1] // count)
        drawn = torch.randint(count, (len(values),), device=values.device) if self.training else torch.zeros(1, dtype=torch.long, device=values.device)
        found: Tensor = each[torch.arange(len(values), device=values.device), drawn]
        return found

    def hides(self, block: Block) -> dict[str, Tensor]:
        """Feature -> (n, 1) which rows go without it in this step. A row lacks one at most, so that it is never without all of them."""
        if not (self.training and self.absent):
            return {}
        draws, place, found = torch.rand(block.rows, 1, device=block.numbers.device), 0.0, {}
        for key, share in self.absent.items():
            found[key] = (draws >= place) & (draws < place + share)
            place += share
        return found

    def _bag(self, block: Block, key: str, embedded: Mapping[int, Tensor], numbers: Tensor | None = None, known: Tensor | None = None) -> Column:
        if key not in block.bags:
            return Column(None, None, numbers, known)
        bag = block.bags[key]
        n, k = bag.mask.shape
        return Column(embedded[bag.start].view(n, k, self.width), bag.mask, numbers, known)
