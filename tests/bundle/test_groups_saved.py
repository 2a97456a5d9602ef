"""A network of several trunks is kept in a bundle as any other."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from banyan.bundle import Bundle
from banyan.store.load import dump, load


def test_groups_are_trained_saved_and_loaded(train: Callable[..., Any], tmp_path: Path) -> None:
    def grouped(page: dict[str, Any]) -> None:
        names = list(page["tasks"])
        page["model"] |= {"groups": [names[::2], names[1::2]]}
        page["tasks"][names[0]] = {**page["tasks"][names[0]], "stop_gradient": True}

    run = train(tmp_path, grouped)
    dump(run.shop.store, tmp_path / "again.yaml")
    again = load(tmp_path / "again.yaml")
    assert (again.model.groups, [t.stop_gradient for t in again.tasks.values()].count(True)) == (run.shop.store.model.groups, 1)
    bundle = Bundle.load(run.path, device="cpu")
    assert len(bundle.network.trunks) == 2
    for name, weight in run.network.state_dict().items():
        assert torch.equal(bundle.network.state_dict()[name], weight), name
