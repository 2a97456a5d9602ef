"""What an encoder says when a column lacks the very thing that it reads."""

from torch import Tensor

from banyan.errors import ConfigError

CURE = "choose one that fits the feature's kind in model.encoders."


def needed(value: Tensor | None, encoder: str, what: str) -> Tensor:
    """The value, or ConfigError when the feature's kind does not bring it."""
    if value is None:
        raise ConfigError(f"The encoder {encoder!r} reads {what}, and this feature has none; {CURE}")
    return value


def inputs_needed(inputs: int, encoder: str) -> None:
    """Raises ConfigError when an encoder of numbers is made for a feature without any."""
    if inputs < 1:
        raise ConfigError(f"The encoder {encoder!r} reads numbers, and this feature has {inputs}; {CURE}")
