"""The embedded store keeps what every store promises, and what a file on a disk promises besides."""

import pytest

from service.store.sqlite import SQLiteStore
from tests.contract.store_contract import StoreContract


class TestSQLiteStore(StoreContract):
    @pytest.fixture
    def make(self, clock, tmp_path):
        def fatal(error):
            raise AssertionError("a commit failed") from error

        return lambda: SQLiteStore(
            tmp_path / "data", reached=lambda _point: None, clock_ms=clock, on_fatal=fatal
        )
