"""Names that a module of torch can hold."""

from torch import nn

_WORDS = nn.ModuleDict()


def safe(name: str) -> str:
    """A name under which a ModuleDict can hold a module: no dot, and none of its own words such as `items` or `type`."""
    name = name.replace(".", "·")
    return f"{name}·" if hasattr(_WORDS, name) else name
