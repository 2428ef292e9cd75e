"""An instance that several tests of one worker may share: each leaves it as well as it was."""

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.end_to_end.backend import Backend, backend
from tests.end_to_end.instance import OPEN, WEB, Process, document, process, step
from tests.patience import PATIENCE


@pytest.fixture(scope="module")
def well(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Process, Backend]]:
    """The real command with a backend, kept by a thread with a loop of its own."""
    folder: Path = tmp_path_factory.mktemp("well")
    started, made = threading.Event(), []
    done = threading.Event()

    async def live() -> None:
        async with backend() as shop:
            content = document(
                shop.url,
                sources={"web": WEB, "open": OPEN},
                rules={"all": {"from": ["web"], "when": "has(data.good)", "do": [step()]}},
            )
            async with process(folder, content) as it:
                made.append((it, shop))
                started.set()
                await asyncio.to_thread(done.wait)
                assert it.process.returncode is None, it.log[-5:]
                assert await it.stop() == 0

    thread = threading.Thread(target=asyncio.run, args=(live(),))
    thread.start()
    assert started.wait(PATIENCE)
    try:
        yield made[0]
    finally:
        done.set()
        thread.join(PATIENCE)
