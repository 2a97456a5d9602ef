"""Where a training starts from: a loaded bundle, what is shared with it, and what shall not move."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from banyan.errors import ConfigError
from banyan.features.plan import Plan
from banyan.features.stock import Stock
from banyan.graft import alike, carry
from banyan.graft.alike import Alike
from banyan.graft.carry import Carried
from banyan.graft.names import Described
from banyan.graft.still import PARTS_FROZEN, Still
from banyan.model import Network
from banyan.store.hints import hint
from banyan.store.schema import Store
from banyan.store.shop import Shop

PULL = 100_000.0


@dataclass
class Origin:
    """A bundle that a new store's training starts from. `build` asks it for the plan, `plant` gives its knowledge to the network."""

    network: Network
    store: Store
    stock: Stock
    digest: str  # of the bundle
    share: Mapping[str, bool] = field(default_factory=dict)
    freeze: Sequence[str] = ()
    thaw: int | None = None  # epochs after which what is frozen moves; None for never
    pull: float = PULL  # how strongly what moved is drawn back to where it started, when an epoch has one row; with more rows that much less
    alike: Alike = field(default_factory=Alike)
    carried: Carried = field(default_factory=Carried)

    def __post_init__(self) -> None:
        if wrong := [each for each in self.freeze if each not in PARTS_FROZEN]:
            raise ConfigError(f"--freeze {wrong[0]}: parts that can be frozen are {', '.join(PARTS_FROZEN)}.{hint(wrong[0], PARTS_FROZEN)}")
        if not math.isfinite(self.pull) or self.pull < 0:
            raise ConfigError(f"--pull {self.pull}: a number of at least 0; 0 lets what moved go wherever the new rows lead.")
        if self.thaw is not None and (not self.freeze or self.thaw < 1):
            raise ConfigError(f"--thaw {self.thaw}: the epochs after which frozen parts move, 1 or more, beside --freeze.")

    def adapt(self, plan: Plan, shop: Shop) -> None:
        """Find what the new store has in common with the bundle, and let its plan know what the bundle knows."""
        self.alike = alike.adapt(plan, shop, self.network.plan, self.stock, self.share)

    def edges(self, plan: Plan) -> list[list[float]]:
        """The edges of the pair features' pieces."""
        return alike.edges(plan, self.network.plan)

    def plant(self, network: Network, store: Store) -> None:
        """Give the new network what the bundle's has of the same things."""
        tasks = {name: spec for name, spec in self.store.tasks.items() if name in self.network.views}
        new, old = Described(network, store.model, store.tasks), Described(self.network, self.store.model, tasks)
        self.carried = carry.carry(new, old, self.alike)

    def still(self, network: Network, steps: int, rows: float) -> Still | None:
        """What keeps training near its start, when an epoch has so many steps of so many rows; None where all moves freely.

        The more rows, the less the pull: it stands for what was learned elsewhere, which weighs as much beside many rows of the store's own as beside few.
        """
        if not self.freeze and not self.pull:
            return None
        return Still(network, self.carried.masks, self.freeze, None if self.thaw is None else self.thaw * steps, self.pull / max(steps * rows, 1.0))

    @property
    def claim(self) -> dict[str, Any]:
        """What must be the same for a stopped run to go on."""
        return {"bundle": self.digest, "share": dict(self.share), "freeze": list(self.freeze), "thaw": self.thaw, "pull": self.pull}

    @property
    def facts(self) -> dict[str, Any]:
        """What the new bundle's card tells."""
        features = [{"feature": here, "there": there, "found": why} for here, there, why in self.alike.said()]
        return {"store": self.store.store, **self.claim, "features": features, "moved": carry.table(self.carried.moves)}
