"""How a test ends a server of its own, so that nobody is left whom it was just accepting."""

import asyncio


async def stop_accepting(server: asyncio.Server) -> None:
    """Close a server of asyncio's own loop; what it has accepted is connected then, and ends as all its connections do.

    A connection that was accepted and not yet made when its server closes is lost: asyncio trips over the
    closed server (CPython gh-109564), and its socket is found by a later test's garbage collection.
    """
    loop = asyncio.get_running_loop()
    for listening in server.sockets:
        loop.remove_reader(listening.fileno())
    for _ in range(3):  # accepted, made, told to the protocol
        await asyncio.sleep(0)
    server.close()
