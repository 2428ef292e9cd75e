"""How a connection stands: everything that keeps its calls back, for machines and in words."""

from datetime import UTC, datetime
from typing import Any

from service.connections import Connection


def standing(connection: Connection) -> dict[str, Any]:
    """Return how a connection is, and everything that keeps calls back. A pause alone is healthy."""
    stops = [
        {"state": one.state, "reason": one.reason, "since": _since(one.since), "by": one.by}
        for one in connection.stops()
    ]
    pause = connection.pauses.present
    return {
        "state": connection.state,
        "reason": stops[0]["reason"] if stops else "",
        "since": stops[0]["since"] if stops else None,
        "healthy": all(one["state"] == "paused" for one in stops),
        "paused_by": pause.by if pause is not None else "",
        "stopped_by": stops,
    }


def stopped(connection: Connection) -> str:
    """Return in words what keeps a connection's calls back, all of it; "" for nothing."""
    said = []
    for one in connection.stops():
        if one.state == "paused":
            said.append(f"paused since {_since(one.since)} {one.reason}")
        else:
            said.append(f"{one.state}: {one.reason}")
    return f"connection {connection.name} is {'; and '.join(said)}" if said else ""


def _since(at: int | None) -> str | None:
    """Return a moment in milliseconds as text, to the second."""
    if at is None:
        return None
    return datetime.fromtimestamp(at // 1000, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
