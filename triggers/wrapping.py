"""Makes a message of a request that is no CloudEvent: where its id, type and subject come from.

A configured expression wins, then what is known of the provider, then what every message has. An id that the
outside does not give is random. Pure but for the randomness, which is handed in.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from triggers.base import Expression
from triggers.bodies import MAX_DEPTH, check_charset, format_of, read_body, stated_type
from triggers.credentials import is_credential
from triggers.expressions import expressed
from triggers.message import DataFormat, TriggerMessage
from triggers.presets import FALLBACK_TYPE, Preset
from triggers.signatures import form_pairs, octets
from triggers.templates import compile_templates

ID_BYTES: Final = 16


class Wrapper:
    """Wraps requests of one source. `form` fixes how the body is read; None: its Content-Type says it."""

    def __init__(
        self,
        *,
        source: str,
        preset: Preset,
        form: DataFormat | None,
        expressions: Mapping[str, Expression],
        random: Callable[[int], bytes],
    ) -> None:
        self._source = source
        self._form = form
        self._id = compile_templates(preset.id)
        self._type = compile_templates(preset.type)
        self._subject = compile_templates(preset.subject)
        self._time = compile_templates(preset.time)
        self._expressions = dict(expressions)
        self._random = random

    def wrap(self, headers: Mapping[str, str], body: bytes, meta: dict[str, Any]) -> TriggerMessage:
        """Return the message. Raise BadEvent when the body or an expression does not allow one."""
        content_type = headers.get("content-type")
        form = self._format(content_type, body)
        if content_type and form in ("json", "form", "text"):
            check_charset(content_type)
        data = read_body(body, form, max_depth=MAX_DEPTH)
        message = TriggerMessage(
            id=self._id(headers, data) or self._random(ID_BYTES).hex(),
            source=self._source,
            type=self._type(headers, data) or FALLBACK_TYPE,
            subject=self._subject(headers, data),
            time=self._time(headers, data),
            datacontenttype=stated_type(content_type, form),
            format=form,
            data=None if form == "none" else body,
            meta=meta,
        )
        return expressed(message, self._expressions) if self._expressions else message

    def _format(self, content_type: str | None, body: bytes) -> DataFormat:
        if not body and not content_type:
            return "none"
        if self._form is not None:
            return self._form
        form = format_of(content_type) if content_type else "binary"
        # An empty text or form says nothing; empty JSON is not JSON.
        return form if body or form == "json" else "none"


def describe(
    method: str,
    headers: Mapping[str, str],
    query: str,
    *,
    drop_headers: frozenset[str],
    drop_query: frozenset[str],
) -> dict[str, Any]:
    """Return the `meta` of a request, without credentials: consumed ones, and what the deny list names."""
    return {
        "kind": "webhook",
        "method": method,
        "query": _query(query, drop_query) if query else {},
        "headers": {
            name: value
            for name, value in headers.items()
            if name not in drop_headers and not is_credential(name)
        },
    }


def joined(fields: Sequence[tuple[str, str]]) -> dict[str, str]:
    """Return headers by name; what stands several times is joined with commas (RFC 9110, 5.3)."""
    headers = dict(fields)
    if len(headers) == len(fields):
        return headers
    headers = {}
    for name, value in fields:
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


def _query(query: str, drop: frozenset[str]) -> dict[str, str | list[str]]:
    fields: dict[str, str | list[str]] = {}
    for raw_name, raw_value in form_pairs(octets(query)):
        name = raw_name.decode("utf-8", "replace")
        if name in drop or is_credential(name.lower()):
            continue
        value, known = raw_value.decode("utf-8", "replace"), fields.get(name)
        if known is None:
            fields[name] = value
        elif isinstance(known, list):
            known.append(value)
        else:
            fields[name] = [known, value]
    return fields
