"""Which processor computes: the first GPU where there is one, else the CPU, or the one that is named."""

import torch

from banyan.errors import ConfigError


def device(name: str | torch.device | None = None) -> torch.device:
    """The device of that name, such as `cpu`, `cuda` or `cuda:1`; without a name the first GPU where there is one, else the CPU.

    Raises ConfigError for a name that torch does not know and for a device that this machine does not have.
    """
    if name is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        found = torch.device(name)
        torch.zeros(1, device=found).item()  # what cannot hold a number cannot compute
    except (RuntimeError, AssertionError) as error:
        raise ConfigError(f"There is no device {str(name)!r} here; devices are {', '.join(_present())}.") from error
    return found


def has_bf16(device: torch.device) -> bool:
    """Whether a device computes in bf16 natively, and so faster than in fp32."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    return bool(getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)())


def _present() -> list[str]:
    return ["cpu", *(f"cuda:{number}" for number in range(torch.cuda.device_count()))]
