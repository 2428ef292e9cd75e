"""What holds for all tests."""

import asyncio
import gc
import os
import signal
import sys
from collections.abc import Iterator

import pytest
import structlog

pytest_plugins = ["tests.servers.fixtures"]

# pytest-asyncio asks for the current loop around synchronous tests, and before Python 3.14 asking makes one that
# nobody closes: a warning, and so an error, at the end of the run. Saying that there is none makes it not ask.
asyncio.set_event_loop(None)

# A run in the background of a shell ignores Ctrl-C, and so would the commands that tests start and interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# What the surroundings say of terminals, proxies and servers is not what tests are about, and would change what they
# and the commands that they start do.
_SAYINGS = {"FORCE_COLOR", "NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "COLUMNS", "LINES"}
for _name in tuple(os.environ):
    if _name in _SAYINGS or _name.startswith("PG") or _name.lower().endswith("_proxy"):
        del os.environ[_name]

# Collecting the tests makes some 400,000 objects that live to the end. Looking for garbage among them, while they
# come into being and in every test thereafter, was a twentieth of the run.
gc.disable()


def pytest_configure(config: pytest.Config) -> None:
    """Leave out a warning that is wrong: the first releases of Python 3.12 take `?1` for a name (its gh-117995)."""
    if sys.version_info[:2] == (3, 12):
        wrong = r"ignore:Binding \d+ \('\?\d+'\) is a named parameter:DeprecationWarning"
        config.addinivalue_line("filterwarnings", wrong)


def pytest_collection_finish() -> None:
    """Leave what was collected out of every later look for garbage."""
    gc.freeze()
    gc.enable()


@pytest.fixture(autouse=True)
def _logs_of_its_own() -> Iterator[None]:
    """Forget how a test set up the logs: its standard error is gone when the next one runs."""
    yield
    structlog.reset_defaults()
