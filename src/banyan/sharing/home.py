"""HoME: experts in a hierarchy of all tasks, categories of tasks and single tasks, of one scale, each group with a gate on what it reads."""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from banyan.parts import Share
from banyan.sharing import Sharing
from banyan.sharing._blocks import Gates, he, linear, refuse, zeros
from banyan.sharing._scenario import Vectors
from banyan.types import Sizes

ALONE = -1  # the category of the views that are no stage of a funnel of several


class Home(Sharing):
    """Hierarchy of multi-gate experts (Wang et al., KDD 2025, section 3).

    expert(u) = swish(norm(W u));  each group of experts reads u * 2 sigmoid([u, e_s] B A), with e_s the scenario's vector
    m = mix of the experts of all groups + self;  m_c = mix of the common and the category's experts + self
    view_v = mix of the common experts of m, the category's and v's own of [m, m_c] + self, for v in category c

    `self` is a group's own experts, mixed by a gate of their own: a way past the shared ones, so that a task with few labels trains its experts.
    A category is a funnel; all views outside of funnels are one. Values are normalised over an expert (the paper: over the batch), which makes
    experts alike in scale just as well and does not mix rows, of which a step has several tables.
    """

    def __init__(
        self,
        sizes: Sizes,
        *,
        experts: int = 2,
        meta: int = 64,
        hidden: int = 64,
        rank: int = 8,
        scenario_width: int = 16,
        unknown: Share = 0.05,
        dropout: float = 0.0,
    ) -> None:
        """`experts`: of each group. `meta`: width of the first level's. `hidden`: width of the second's, and H. `rank`: of the gates on what groups read.

        `scenario_width`: entries of a scenario's vector. `unknown`: share of training rows whose scenario is hidden. `dropout`: share dropped in training.
        """
        super().__init__(sizes)
        refuse("home", dropout=dropout, experts=experts, meta=meta, hidden=hidden, rank=rank, scenario_width=scenario_width)
        self.width = hidden
        self.category = _categories(sizes)
        self.categories = sorted(set(self.category))
        self.scenarios = Vectors(sizes.scenarios, scenario_width, unknown)
        told, count = self.scenarios.width, len(self.categories)

        def group(inputs: int, outputs: int) -> "_Group":
            return _Group(inputs, told, outputs, experts, rank, dropout)

        self.first = nn.ModuleList([group(sizes.flat, meta) for _ in range(1 + count)])  # the common group, then the categories'
        self.common_gate, self.common_self = Gates(sizes.flat, experts * (1 + count), 1), Gates(sizes.flat, experts, 1)
        self.category_gates, self.category_self = Gates(sizes.flat, experts * 2, count), Gates(sizes.flat, experts, count)
        self.common = group(meta, hidden)
        self.shared = nn.ModuleList([group(2 * meta, hidden) for _ in self.categories])
        self.own = nn.ModuleList([group(2 * meta, hidden) for _ in range(sizes.views)])
        self.gates, self.own_self = Gates(2 * meta, experts * 3, sizes.views), Gates(2 * meta, experts, sizes.views)

    def forward(self, x: Float[Tensor, "B S D"], scenario: Int[Tensor, " B"], views: Sequence[int]) -> Float[Tensor, "V B H"]:
        """The first level, then what the views asked for read of the second."""
        flat = x.flatten(1)
        told = self.scenarios(scenario, flat)
        first = [group(flat, told) for group in self.first]
        meta = _mixed(self.common_gate, 0, flat, first) + _mixed(self.common_self, 0, flat, first[:1])
        common = self.common(meta, told)
        places = [self.categories.index(self.category[view]) for view in views]
        both = {place: torch.cat([meta, self._meta(place, flat, first)], 1) for place in sorted(set(places))}
        shared = {place: self.shared[place](each, told) for place, each in both.items()}
        return torch.stack([self._view(view, both[place], [common, shared[place]], told) for view, place in zip(views, places, strict=True)])

    def owned(self, view: int) -> list[nn.Parameter]:
        """The view's experts and gates; where it is the only one of its category, what the category has besides experts of the first level."""
        found = [*self.own[view].parameters(), *self.gates.of(view), *self.own_self.of(view)]
        if self.category.count(self.category[view]) == 1:
            place = self.categories.index(self.category[view])
            found += [*self.shared[place].parameters(), *self.category_gates.of(place), *self.category_self.of(place)]
        return found

    def _meta(self, place: int, flat: Tensor, first: list[Tensor]) -> Tensor:
        mine = first[1 + place]
        return _mixed(self.category_gates, place, flat, [first[0], mine]) + _mixed(self.category_self, place, flat, [mine])

    def _view(self, view: int, both: Tensor, shared: list[Tensor], told: Tensor) -> Tensor:
        own: Tensor = self.own[view](both, told)
        return _mixed(self.gates, view, both, [*shared, own]) + _mixed(self.own_self, view, both, [own])


class _Group(nn.Module):
    """Several normalised experts over one gated input."""

    def __init__(self, inputs: int, told: int, outputs: int, experts: int, rank: int, dropout: float) -> None:
        super().__init__()
        self.experts, self.dropout = experts, dropout
        self.enter, self.leave = linear(inputs + told, rank), linear(rank, inputs, 0.1)  # factors near 1 at the start
        self.weight, self.bias = he(experts * outputs, inputs), zeros(experts * outputs)
        self.gain, self.shift = zeros(experts, outputs), zeros(experts, outputs)

    def forward(self, u: Float[Tensor, "B I"], told: Float[Tensor, "B E"]) -> Float[Tensor, "B N O"]:
        factor = 2 * self.leave(self.enter(torch.cat([u, told], 1))).sigmoid()
        out = functional.linear(u * factor, self.weight, self.bias).view(len(u), self.experts, -1)
        out = functional.layer_norm(out, out.shape[-1:]) * (1 + self.gain) + self.shift
        return functional.dropout(functional.silu(out), self.dropout, self.training)


def _mixed(gates: Gates, of: int, u: Float[Tensor, "B I"], groups: Sequence[Tensor]) -> Float[Tensor, "B O"]:
    """The experts of some groups, mixed by the gate `of`; a single one by a weight in (0, 1)."""
    experts = torch.cat(list(groups), 1) if len(groups) > 1 else groups[0]  # (B, N, O)
    logits = functional.linear(u, *gates.stacked([of]))
    weight = logits.sigmoid() if experts.shape[1] == 1 else logits.softmax(-1)
    return torch.bmm(weight.unsqueeze(1).to(experts.dtype), experts).squeeze(1)


def _categories(sizes: Sizes) -> list[int]:
    """Each view's category: the first stage of its funnel, or `ALONE` for a view that is neither child nor parent."""
    found = []
    for view in range(sizes.views):
        root = view
        while (parent := sizes.parent(root)) is not None:
            root = parent
        found.append(root if root != view or view in sizes.parents else ALONE)
    return found
