"""Makes trigger messages of rows and of logical messages. Pure."""

import functools
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from triggers.base import Expression, Reject
from triggers.bodies import read_json
from triggers.errors import BadEvent
from triggers.expressions import expressed
from triggers.message import DataFormat, TriggerMessage
from triggers.postgres.rows import RowWriter

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def read_message(
    writer: RowWriter,
    values: Sequence[bytes | None],
    *,
    id: str,  # noqa: A002  the attribute's name
    source: str,
    time: str | None,
    meta: dict[str, Any],
    expressions: Mapping[str, Expression],
) -> TriggerMessage | Reject:
    """Return the message of a row that a snapshot read; values in text form, in the order of the columns."""
    try:
        data = writer.read(values)
    except UnicodeDecodeError as error:
        shown = b"\t".join(b"\\N" if value is None else value for value in values)
        return Reject(
            reason="invalid-utf8",
            detail=f"a value of {id} is not UTF-8: {error.reason}",
            data=shown,
            meta=meta,
        )
    message = TriggerMessage(
        id=id,
        source=f"/sources/{source}",
        type="postgres.read",
        subject=writer.subject,
        time=time,
        datacontenttype="application/json",
        format="json",
        data=data,
        meta=meta,
    )
    return expressed_or_reject(message, expressions) if expressions else message


def expressed_or_reject(
    message: TriggerMessage, expressions: Mapping[str, Expression]
) -> TriggerMessage | Reject:
    """Return the message with its attributes that are expressions; a reject when one gives no text."""
    try:
        return expressed(message, expressions)
    except BadEvent as bad:
        return Reject(reason=bad.reason, detail=bad.detail, data=message.data or b"", meta=message.meta)


def moment(microseconds: int) -> str | None:
    """Return an RFC 3339 moment from microseconds since 1970; None for what no calendar holds."""
    seconds, rest = divmod(microseconds, 1_000_000)
    second = _second(seconds)
    return f"{second}.{rest:06}Z" if second else None


@functools.lru_cache(maxsize=8)
def _second(seconds: int) -> str | None:
    """Return a second; of many transactions in one it is made once."""
    try:
        return (_EPOCH + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S")
    except OverflowError:
        return None


def form_of(content: bytes) -> tuple[DataFormat, str]:
    """Say what a logical message holds: an object or array of JSON, text, or bytes."""
    if content[:1] in (b"{", b"["):
        try:
            read_json(content)
        except BadEvent:
            pass
        else:
            return "json", "application/json"
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        return "binary", "application/octet-stream"
    return "text", "text/plain; charset=utf-8"
