"""The core of `pointsman match --lines`: one JSON line in, one JSON line out.

A line is `{"pattern": text or object, "message": text or object}`; the answer is `{"match": true}`,
`{"match": false}` or `{"error": "…"}`. Here the message is any JSON object, not only one of ours, so that
verdicts can be compared with those of other implementations. A line never raises.
"""

from typing import Any, Final

import msgspec

from service.errors import Invalid
from service.rules.pattern import DEFAULT_LIMITS, Limits, Pattern, parse_pattern_text
from service.rules.projection import decode_whole


class _Line(msgspec.Struct):
    pattern: msgspec.Raw
    message: msgspec.Raw


_decode_line: Final = msgspec.json.Decoder(_Line).decode
_decode_text: Final = msgspec.json.Decoder(str).decode
_encode: Final = msgspec.json.Encoder().encode

_DEPTH: Final = "nested too deep"


def match_line(line: str | bytes, *, limits: Limits = DEFAULT_LIMITS) -> bytes:
    """Return the answer to one line, as JSON without a line end."""
    try:
        asked = _decode_line(line)
    except msgspec.MsgspecError as error:
        return _encode({"error": f"this is no line of pattern and message: {error}"})
    except UnicodeError as error:
        return _encode({"error": f"this line is no text: {error}"})
    except RecursionError:
        return _encode({"error": f"the line is {_DEPTH}"})
    pattern = _read_pattern(bytes(asked.pattern), limits)
    if isinstance(pattern, str):
        return _encode({"error": pattern})
    message = _read_message(bytes(asked.message))
    if isinstance(message, str):
        return _encode({"error": message})
    return _encode({"match": pattern.matches(message)})


def _text_of(raw: bytes) -> bytes:
    """Return the JSON text that `raw` is, or that stands in it as a string."""
    return _decode_text(raw).encode("utf-8") if raw[:1] == b'"' else raw


def _read_pattern(raw: bytes, limits: Limits) -> Pattern | str:
    try:
        return parse_pattern_text(_text_of(raw), limits=limits)
    except Invalid as invalid:
        return "; ".join(map(str, invalid.problems))
    except (msgspec.MsgspecError, UnicodeError) as error:
        return f"the pattern is no text: {error}"


def _read_message(raw: bytes) -> dict[str, Any] | str:
    try:
        message = decode_whole(_text_of(raw))
    except (msgspec.MsgspecError, UnicodeError) as error:
        return f"the message is no JSON: {error}"
    except RecursionError:
        return f"the message is {_DEPTH}"
    return message if isinstance(message, dict) else "the message is no JSON object"
