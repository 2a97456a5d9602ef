"""The transformer over tokens."""

import pytest

from banyan.errors import ConfigError
from tests.sharing.making import make


def test_transformer_heads_divide_its_width() -> None:
    with pytest.raises(ConfigError, match="must divide"):
        make({"part": "transformer", "hidden": 30, "heads": 4})
