"""The arms that an audit compares: groupings, sharing architectures and balancers, and all together without one of what can be left out."""

from collections.abc import Sequence
from dataclasses import dataclass

from banyan import parts
from banyan.evaluation.grouping import Proposal
from banyan.evaluation.trial import Variant, switches
from banyan.store.schema import Store


@dataclass(frozen=True)
class Arm:
    """A proposal with a sharing architecture and a balancer, "" being the store's own, and what of the description is left out."""

    proposal: Proposal
    sharing: str = ""
    balancing: str = ""
    without: tuple[str, ...] = ()

    @property
    def variant(self) -> Variant:
        """What it changes."""
        groups = self.proposal.groups if len(self.proposal.groups) > 1 else ()
        return Variant(groups, self.proposal.stopped, self.sharing, self.balancing, self.without)

    @property
    def label(self) -> str:
        """How the table calls it."""
        less = f"without {' '.join(self.without)}" if self.without else ""
        return ", ".join(each for each in (self.proposal.label, self.sharing, self.balancing, less) if each)


def less(store: Store, together: Arm) -> list[Arm]:
    """All together without one of what can be left out, then without all of it."""
    names = switches(store)
    return [Arm(together.proposal, without=each) for each in dict.fromkeys([*((name,) for name in names), tuple(names)]) if each]


def beside(store: Store, family: str, asked: Sequence[str], usual: tuple[str, str]) -> list[str]:
    """The parts tried beside the store's own."""
    own = parts.spec(getattr(store.model, family))[0]
    for name in asked:
        parts.check(family, name)
    return [name for name in dict.fromkeys(asked or (usual[0] if own != usual[0] else usual[1],)) if name != own]


def described(store: Store) -> list[Proposal]:
    """The groups and stops of the description itself, if it has any."""
    stopped = tuple(name for name, task in store.tasks.items() if task.stop_gradient)
    groups = tuple(tuple(group) for group in store.model.groups) or (tuple(store.tasks),)
    return [Proposal(groups, stopped, "as the description has it")] if stopped or len(groups) > 1 else []


def crossing(found: Sequence[Proposal], sharings: Sequence[str], balancings: Sequence[str], most: int) -> list[Arm]:
    """Groupings x sharing x balancing: those that change least first, since a change has to earn its place."""
    every = [Arm(p, s, b) for p in found for s in ("", *sharings) for b in ("", *balancings)]
    return sorted(every, key=lambda arm: arm.variant.changes())[:most]
