"""A device is one that computes here, or a sentence says which do."""

import pytest
import torch

from banyan import devices
from banyan.errors import ConfigError


def test_without_a_name_it_is_the_first_gpu_or_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert devices.device() == torch.device("cuda")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert devices.device() == torch.device("cpu")


def test_a_name_is_taken_as_it_is() -> None:
    assert devices.device("cpu") == devices.device(torch.device("cpu")) == torch.device("cpu")


@pytest.mark.parametrize("name", ["gpu", "", "cuda:99", "cuda:x", "meta"])
def test_what_cannot_compute_here_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=f"There is no device '{name}' here; devices are cpu"):
        devices.device(name)
