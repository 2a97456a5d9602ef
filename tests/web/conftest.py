import importlib.util
from pathlib import Path

import pytest

SPEC = importlib.util.spec_from_file_location("banyan_web_stub", Path(__file__).parent / "stub.py")
stub = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(stub)


@pytest.fixture
def service():
    with stub.running() as found:
        yield found


@pytest.fixture
def bare_service():
    with stub.running(empty=True) as found:
        yield found
