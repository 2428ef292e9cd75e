"""What holds for all tests."""

import asyncio
from collections.abc import Iterator

import pytest
import structlog

pytest_plugins = ["tests.servers.fixtures"]

# pytest-asyncio asks for the current loop around synchronous tests, and before Python 3.14 asking makes one that
# nobody closes: a warning, and so an error, at the end of the run. Saying that there is none makes it not ask.
asyncio.set_event_loop(None)


@pytest.fixture(autouse=True)
def _logs_of_its_own() -> Iterator[None]:
    """Forget how a test set up the logs: its standard error is gone when the next one runs."""
    yield
    structlog.reset_defaults()
