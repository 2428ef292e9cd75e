"""Fixtures of the crash suite."""

import asyncio
import os

import pytest

from tests.crash.outside.servers import Servers
from tests.crash.product import Launcher


@pytest.fixture(scope="session")
def launcher():
    """A launcher that others come of."""
    with Launcher.first() as first:
        yield first


@pytest.fixture(scope="session")
def servers(tmp_path_factory):
    """The suite's own servers, started once; they are killed and frozen."""
    made = Servers(tmp_path_factory.mktemp("servers"))
    lacking = made.lacking()
    if lacking is not None:
        if os.environ.get("CI", "").lower() == "true":
            pytest.fail(lacking, pytrace=False)
        pytest.skip(lacking)
    try:
        asyncio.run(made.start())
        yield made
    finally:
        made.end()
