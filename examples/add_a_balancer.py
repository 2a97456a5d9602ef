"""A balancer of your own, lent by its dotted path, on the shop of own_csv_files.py. Run from the root: python -m examples.add_a_balancer"""

from collections.abc import Sequence
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

import banyan
from banyan.balancing import Balancer
from examples.own_csv_files import STORE, write_files


class Geometric(Balancer):
    """Descend the sum of log losses, so that each loss counts by its relative change and its scale does not matter.

    sum_t log(loss_t + floor), whose gradient weighs each loss by 1 / (loss_t + floor).
    """

    def __init__(self, views: int, *, floor: float = 1e-3) -> None:
        super().__init__(views)
        self.floor = floor

    def backward(self, losses: Float[Tensor, " P"], present: Sequence[int], shared: Sequence[Tensor]) -> Float[Tensor, " P"]:
        weights = 1 / (losses.detach() + self.floor)
        torch.dot(weights, losses).backward()  # type: ignore[no-untyped-call]
        return weights


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    write_files(folder)
    (folder / "store.yaml").write_text(STORE)
    mine = "balancing={part: 'examples.add_a_balancer:Geometric', floor: 0.01}"  # in your project: my_package.mine:Mine
    store = banyan.load(folder / "store.yaml", [f"model.{mine}"])
    print(banyan.train(store, folder / "run").table())


if __name__ == "__main__":
    main(Path("runs/add_a_balancer"))
