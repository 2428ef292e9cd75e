"""Connectors are closed within bounds at the end, those of superseded configurations too."""

import asyncio

from actions.auth import MemoryKeeper
from service import backends
from service.backends import Backends
from service.connections import Pauses


class Closing:
    """A connector that is closed, or does not want to be."""

    def __init__(self, how=""):
        self.how = how
        self.closed = False
        self.let_go = asyncio.Event()

    async def close(self):
        if self.how == "fails":
            raise OSError("gone already")
        if self.how == "gives up":
            raise asyncio.CancelledError
        while self.how == "hangs" and not self.let_go.is_set():
            try:
                await self.let_go.wait()
            except asyncio.CancelledError:
                continue
        self.closed = True


async def test_no_connector_keeps_another_from_closing_nor_the_service_from_its_end(monkeypatch):
    monkeypatch.setattr(backends, "CLOSING", 0.05)
    kept = Backends(None, list, stirred=lambda: None, tokens=MemoryKeeper(), pauses=lambda _name: Pauses())
    made = {how: Closing(how) for how in ("fails", "gives up", "hangs", "")}
    kept._connectors = {(how, "", ""): one for how, one in made.items()}
    await asyncio.wait_for(kept.close(), 5)
    assert made[""].closed
    made["hangs"].let_go.set()
    await asyncio.sleep(0)


async def test_a_connector_that_has_just_been_superseded_is_closed_at_the_end():
    kept = Backends(None, list, stirred=lambda: None, tokens=MemoryKeeper(), pauses=lambda _name: Pauses())
    old = Closing()
    kept._connectors = {("shop", "old", ""): old}
    kept.retire([])
    await kept.close()
    assert old.closed
