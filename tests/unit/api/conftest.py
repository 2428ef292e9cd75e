"""Houses: one for the tests of a file that change nothing that others look at, and one for a test alone."""

import pytest
import pytest_asyncio

from tests.unit.api.house import house


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def home(tmp_path_factory):
    async with house(tmp_path_factory.mktemp("house")) as made:
        yield made


@pytest.fixture
async def own_home(tmp_path):
    async with house(tmp_path) as made:
        yield made
