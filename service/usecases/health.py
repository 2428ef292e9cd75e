"""How an instance is: the store, every source and every connection."""

from typing import Any, Final

from service.usecases import connecting
from service.usecases import sources as all_sources
from service.usecases.desk import Desk

SHOWN: Final = ("state", "stuck", "healthy", "detail", "fix", "warnings", "last_message_at")
"""What is said of each source."""


async def health(desk: Desk) -> dict[str, Any]:
    """Return how everything is; `status` is `ok` only when all of it is."""
    store, reason = desk.store.health(), desk.refusing()
    loaded = desk.live is not None and desk.live.plan is not None
    sources = (await all_sources.list_sources(desk))["items"] if loaded else []
    connections = (await connecting.list_connections(desk))["items"] if loaded else []
    good = (
        not reason
        and all(one["healthy"] for one in connections)
        and all(status.healthy for status in desk.running().supervisor.statuses())
    )
    return {
        "status": "ok" if good else "degraded",
        "refusing": reason,
        "store": {
            "writable": store.writable,
            "reason": store.reason,
            "queue_age_ms": store.queue_age_ms,
            "unfinished": store.unfinished,
        },
        "sources": {one["name"]: {name: one[name] for name in SHOWN} for one in sources},
        "connections": {one["name"]: {"state": one["state"], "reason": one["reason"]} for one in connections},
    }
