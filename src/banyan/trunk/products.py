"""The tokens that say how two entities of a row meet: products of what they are."""

from collections.abc import Mapping
from itertools import combinations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from banyan.encoders._lookup import START
from banyan.features.plan import Plan
from banyan.trunk.names import safe
from banyan.types import Batch

TOKENS = 2


class Products(nn.Module):
    """Products of what two entities of a row are: the model's own user x item, query x item, user x offer (a factorisation machine between slots).

    z_e = P_e tokens_e,  token = sum over pairs (a, b) of the row's entities of w_ab * z_a * z_b

    A taste that meets a property is a product, which a network of ReLU layers has to build out of many kinks (Rendle et al., RecSys 2020).
    Rows with fewer than two entities hold zeros, and nothing is computed for them.
    """

    def __init__(self, plan: Plan, lengths: Mapping[str, int], width: int) -> None:
        super().__init__()
        self.width, size = width, TOKENS * width
        together = {tuple(n for n in lengths if n in t.entities) for t in plan.tables.values() if not t.ranking}
        self.pairs = sorted({pair for names in together for pair in combinations(names, 2)})
        met = dict.fromkeys(name for pair in self.pairs for name in pair)
        self.project = nn.ModuleDict({safe(name): nn.Linear(lengths[name] * width, size) for name in met})
        self.scale = nn.Parameter(torch.full((len(self.pairs), size), 1 / START))  # embeddings begin small, and their products would be unheard

    def forward(self, slots: Mapping[str, Tensor], batch: Batch) -> Float[Tensor, "B K D"]:
        """The product tokens of a batch whose entities' tokens stand in `slots`."""
        here = self._here(batch)
        if not here:
            return self.scale.new_zeros(batch.rows, TOKENS, self.width)
        z = {name: self.project[safe(name)](slots[name].flatten(1)) for name in dict.fromkeys(n for _, a, b in here for n in (a, b))}
        met = sum(self.scale[i] * z[a] * z[b] for i, a, b in here)
        assert isinstance(met, Tensor)
        return met.view(batch.rows, TOKENS, self.width)

    def apart(self, slots: Mapping[str, Tensor], batch: Batch, entity: str) -> tuple[Float[Tensor, "B M"], Float[Tensor, "B M"]]:
        """(By what the projection of one entity is multiplied, what the others make of each other): its product with the first, and the second, are `forward`.

        `slots` may lack that entity.
        """
        here = self._here(batch)
        z = {name: self.project[safe(name)](slots[name].flatten(1)) for name in dict.fromkeys(n for _, a, b in here for n in (a, b)) if name != entity}
        meets = met = self.scale.new_zeros(1, self.scale.shape[1])
        for i, a, b in here:
            if entity in (a, b):
                meets = meets + self.scale[i] * z[b if a == entity else a]
            else:
                met = met + self.scale[i] * z[a] * z[b]
        return meets, met

    def _here(self, batch: Batch) -> list[tuple[int, str, str]]:
        """(Number, entities) of the pairs that the batch's rows have."""
        return [(i, a, b) for i, (a, b) in enumerate(self.pairs) if a in batch.entities and b in batch.entities]
