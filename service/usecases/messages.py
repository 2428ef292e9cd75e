"""Messages and rejects, as people see them."""

import base64
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from service.rulesets import Rulesets
from service.store.base import RunKey
from service.store.ids import delivery_id, message_id, reject_id
from service.usecases.desk import Desk, message_number, reject_number
from triggers.message import TriggerMessage, document

_decode: Final = msgspec.msgpack.Decoder(TriggerMessage).decode


def instant(ms: int | None) -> str | None:
    """Return an instant as RFC 3339 text with milliseconds, None for none."""
    if ms is None:
        return None
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


async def list_messages(
    desk: Desk, *, cursor: str = "", limit: int = 50, source: str | None = None, of_type: str | None = None
) -> dict[str, Any]:
    """Return a page of messages, newest first: `items` and the cursor `next` ("" at the end)."""
    number = await desk.number_of("source", source)
    page = await desk.store.messages(cursor=cursor, limit=limit, source=number, of_type=of_type)
    return {
        "items": [
            {
                "id": message_id(row["number"]),
                "source": desk.rulesets.source_name(row["source"]),
                "type": row["type"],
                "received_at": instant(row["received_at"]),
                "bytes": row["bytes"],
                "deliveries": row["runs"],
            }
            for row in page.rows
        ],
        "next": page.next,
    }


async def show_message(desk: Desk, public_id: str) -> dict[str, Any]:
    """Return one message whole, with its deliveries. Raise NotFound."""
    row = await desk.store.message(message_number(public_id))
    message = _decode(row["record"])
    rules = await desk.rule_names()
    return {
        "id": message_id(row["number"]),
        "source": desk.rulesets.source_name(row["source"]),
        "received_at": instant(row["received_at"]),
        "ruleset": row["ruleset"],
        "message": document(message),
        "deliveries": [
            {
                "id": delivery_id(RunKey(row["number"], run["rule"], run["run"])),
                "rule": rules.get(run["rule"], str(run["rule"])),
                "state": run["state"].name.lower(),
                "reason": run["reason"],
            }
            for run in row["runs"]
        ],
    }


async def load_message(desk: Desk, public_id: str) -> tuple[TriggerMessage, str, int]:
    """Return a stored message, its source's name and the ruleset that matched it. Raise NotFound."""
    row = await desk.store.message(message_number(public_id))
    return _decode(row["record"]), _source(desk.rulesets, row), row["ruleset"]


def _source(rulesets: Rulesets, row: dict[str, Any]) -> str:
    return rulesets.source_name(row["source"])


async def list_rejects(
    desk: Desk, *, cursor: str = "", limit: int = 50, source: str | None = None
) -> dict[str, Any]:
    """Return a page of rejects, newest first, without their bytes."""
    number = await desk.number_of("source", source)
    page = await desk.store.rejects(cursor=cursor, limit=limit, source=number)
    return {
        "items": [
            {
                "id": reject_id(row["number"]),
                "source": desk.rulesets.source_name(row["source"]),
                "received_at": instant(row["received_at"]),
                "reason": row["reason"],
                "detail": row["detail"],
                "bytes": row["bytes"],
            }
            for row in page.rows
        ],
        "next": page.next,
    }


async def show_reject(desk: Desk, public_id: str) -> dict[str, Any]:
    """Return one reject with its bytes: as `text` where they are UTF-8, else as `base64`. Raise NotFound."""
    row = await desk.store.reject(reject_number(public_id))
    shown = {
        "id": reject_id(row["number"]),
        "source": desk.rulesets.source_name(row["source"]),
        "received_at": instant(row["received_at"]),
        "reason": row["reason"],
        "detail": row["detail"],
        "meta": msgspec.json.decode(row["meta"]),
    }
    try:
        shown["text"] = row["data"].decode("utf-8")
    except UnicodeDecodeError:
        shown["base64"] = base64.b64encode(row["data"]).decode("ascii")
    return shown
