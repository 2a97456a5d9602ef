"""Which section of the description a mistake in a table belongs to."""

from collections.abc import Iterator
from contextlib import contextmanager

from banyan.errors import ConfigError, DataError


@contextmanager
def section(name: str) -> Iterator[None]:
    """Errors raised inside begin with the section's name, such as `samples.judged: `."""
    try:
        yield
    except (ConfigError, DataError) as error:
        message = str(error)
        if message.startswith(f"{name}:"):
            raise
        raise type(error)(f"{name}: {message}") from error
