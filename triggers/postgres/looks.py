"""Tells when a table looks different from how it looked last: columns, their types, its identity. Pure."""

from typing import Any, Final

import msgspec

from triggers.postgres.pgoutput import Relation

TABLE_KEY: Final = "table:"
"""Under this and the table's name it is stored how a table looked last."""


def looks_of(relation: Relation) -> bytes:
    """Return how a table looks, to compare and to store."""
    return msgspec.json.encode(
        {
            "oid": relation.oid,
            "identity": relation.identity,
            "columns": [
                [column.name, column.type_oid, column.modifier, column.key] for column in relation.columns
            ],
        }
    )


def difference(before: bytes, after: bytes) -> dict[str, Any]:
    """Return in words of the message what is different between two looks of a table."""
    old, new = msgspec.json.decode(before), msgspec.json.decode(after)
    was = {name: rest for name, *rest in old["columns"]}
    now = {name: rest for name, *rest in new["columns"]}
    return {
        "columns": list(now),
        "added": [name for name in now if name not in was],
        "removed": [name for name in was if name not in now],
        "altered": [name for name in now if name in was and now[name][:2] != was[name][:2]],
        "key": [name for name, *_, key in new["columns"] if key],
        "key_before": [name for name, *_, key in old["columns"] if key],
        "identity": new["identity"],
        "identity_before": old["identity"],
        "recreated": old["oid"] != new["oid"],
    }
