"""The store in memory keeps what every store promises."""

import pytest

from tests.contract.store_contract import StoreContract
from tests.fakes.memory_store import MemoryStore


class TestMemoryStore(StoreContract):
    @pytest.fixture
    def make(self, clock):
        store = MemoryStore(clock_ms=clock)
        return lambda: store
