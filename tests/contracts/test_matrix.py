"""Every balancer with every sharing architecture, on two tables, with a view missing in some steps."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from banyan import parts
from banyan.balancing import Balancer, _lent
from banyan.errors import MissingExtraError
from banyan.sharing import Sharing
from banyan.training.reach import shared_tensors
from banyan.types import Sizes

NEEDED = {
    "CAGrad": {"c": 0.5},
    "FairGrad": {"alpha": 1.0},
    "Constant": {"weights": [1.0, 2.0, 3.0]},
    "Krum": {"n_byzantine": 0},
    "TrimmedMean": {"trim_number": 1},
}
BALANCERS = [name for name in parts.names("balancing") if name != "jacobian"] + [f"jacobian:{name}" for name in _lent.listing()]
SIZES = Sizes(slots={"user": slice(0, 2), "item": slice(2, 4)}, width=4, views=3, parents=(None, 0, None))
ROWS = 48
STEPS = ({"A": [0, 1], "B": [2]}, {"A": [0], "B": [2]}, {"A": [0, 1]})  # table -> the views that it labels in the step


class Model(nn.Module):
    """Tokens from rows of an embedding, a sharing architecture, and a head for each view."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.share: Sharing = parts.build("sharing", name, SIZES)
        self.heads = nn.ModuleList(nn.Linear(self.share.width, 1) for _ in range(SIZES.views))

    def losses(self, rows: Tensor, step: dict[str, list[int]], generator: torch.Generator) -> Tensor:
        found = []
        for views in step.values():
            ids = torch.randint(len(rows), (ROWS, SIZES.tokens), generator=generator)
            labels = torch.rand(len(views), ROWS, generator=generator).round()
            seen = self.share(rows[ids], torch.zeros(ROWS, dtype=torch.int64), views)
            raw = torch.stack([self.heads[view](seen[place]).squeeze(-1) for place, view in enumerate(views)])
            found.append(functional.binary_cross_entropy_with_logits(raw, labels, reduction="none").mean(1))
        return torch.cat(found)


def build(name: str) -> Balancer:
    part, _, aggregator = name.partition(":")
    try:
        built: Balancer = parts.build(
            "balancing", {"part": part} | ({"aggregator": aggregator, "options": NEEDED.get(aggregator, {})} if aggregator else {}), SIZES.views
        )
    except MissingExtraError as error:
        pytest.skip(str(error))
    return built


def copies(tensors: list[nn.Parameter]) -> list[Tensor]:
    return [each.detach().clone() for each in tensors]


@pytest.mark.parametrize("balancing", BALANCERS)
@pytest.mark.parametrize("sharing", parts.names("sharing"))
def test_every_balancer_trains_every_sharing_architecture(sharing: str, balancing: str) -> None:
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(1)
    model, balancer = Model(sharing), build(balancing)
    descent = torch.optim.AdamW([*model.parameters(), *balancer.parameters()], lr=1e-2, weight_decay=0.0)
    table = torch.randn(20, SIZES.width, generator=generator)
    start = {name: each.detach().clone() for name, each in model.named_parameters()}
    for step in STEPS:
        present = [view for views in step.values() for view in views]
        absent = [view for view in range(SIZES.views) if view not in present]
        theirs = [each for view in absent for each in [*model.share.owned(view), *model.heads[view].parameters()]]
        before = copies(theirs)
        rows = table.clone().requires_grad_()
        again = generator.get_state()
        losses = model.losses(rows, step, generator)
        shared = shared_tensors(losses, [rows, *model.parameters()])
        assert any(each is rows for each in shared)
        assert not any(each is own for each in shared for head in model.heads for own in head.parameters())
        descent.zero_grad()
        weights = balancer.backward(losses, present, shared)
        assert losses.isfinite().all()
        assert weights.shape == losses.shape
        assert rows.grad is not None
        assert rows.grad.isfinite().all()
        assert all(each.grad is None or each.grad.isfinite().all() for each in model.parameters())
        descent.step()
        if balancer.looks_back:
            generator.set_state(again)
            with torch.no_grad():
                balancer.after(model.losses(rows, step, generator), present)
        assert all(torch.equal(a, b) for a, b in zip(before, theirs, strict=True))
    balancer.epoch()
    still = [name for name, each in model.named_parameters() if torch.equal(each, start[name])]
    assert not still
