"""What tests of the supervisor stand on."""

import asyncio

import pytest

from service.supervisor import supervised
from tests.fakes.sources import BlockingSource, MemoryBroker
from tests.integration.engine_room import engine_room
from tests.integration.house import House


@pytest.fixture
async def house(tmp_path, monkeypatch):
    monkeypatch.setattr(supervised, "FIRST_DELAY", 0.02)
    async with engine_room(tmp_path) as room:
        house = House(room)
        watch = asyncio.create_task(house.supervisor.watch())
        try:
            yield house
        finally:
            for source in house.made:
                if isinstance(source, BlockingSource):
                    source.let_go.set()
            await house.supervisor.close()
            watch.cancel()
            await asyncio.gather(watch, return_exceptions=True)


@pytest.fixture
def broker(request):
    with MemoryBroker(request.node.name).reachable() as broker:
        yield broker
