"""The toy shop, built once."""

import pytest

from tests.training import toy as shop


@pytest.fixture(scope="session")
def toy(tmp_path_factory: pytest.TempPathFactory) -> shop.Toy:
    return shop.toy(tmp_path_factory.mktemp("toy"))
