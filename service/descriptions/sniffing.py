"""Tells from its first look which file of a place is a description: by its marks, without reading it whole.

A description has its mark among its own keys, so a file that merely contains one somewhere else is no root.
What cannot be parsed counts when it looks like one: then reading says what is wrong with it.
"""

import re
from typing import Any, Final

import msgspec

SUFFIXES: Final = (".json", ".yaml", ".yml")

_FIRST: Final = re.compile(
    rb"(?:\xef\xbb\xbf)?(?:[ \t]*(?:#[^\n]*|---[^\n]*|%[^\n]*)?\r?\n)*+(?P<indent>[ ]*)"
)
_MARK: Final = rb"[\"']?(?:openapi|swagger|swaggerVersion|asyncapi)[\"']?[ \t]*:"
_FLOW: Final = re.compile(rb"[\"'](?:openapi|swagger|swaggerVersion|asyncapi)[\"'][ \t]*:[ \t]*[\"']?[0-9]")
_OBJECT: Final = re.compile(rb"(?:[\xef\xbb\xbf\xfe\xff\s]++|//[^\n]*+|/\*.*?\*/)*+[{\[]", re.DOTALL)
_POSTMAN: Final = re.compile(rb"schema\.(?:get)?postman\.com/|_postman_(?:id|variable_scope)|\"requests\"")
_CONNECTOR: Final = re.compile(r"api.?defi?n(?:i|a)tion.*\.json|.*\.swagger\.json", re.IGNORECASE)


_ABSENT: Final = msgspec.Raw()


class _Marks(msgspec.Struct):
    """The keys that tell. What stands there is not decoded."""

    openapi: msgspec.Raw = _ABSENT
    swagger: msgspec.Raw = _ABSENT
    swagger_version: msgspec.Raw = msgspec.field(name="swaggerVersion", default=_ABSENT)
    asyncapi: msgspec.Raw = _ABSENT
    info: msgspec.Raw = _ABSENT
    requests: msgspec.Raw = _ABSENT
    order: msgspec.Raw = _ABSENT
    item: msgspec.Raw = _ABSENT

    @property
    def any(self) -> bool:
        version = (self.openapi, self.swagger, self.swagger_version, self.asyncapi)
        postman = _POSTMAN.search(bytes(self.info)) is not None
        older = bytes(self.requests) != b"" != bytes(self.order)
        unnamed = bytes(self.item)[:1] == b"[" and b'"request"' in bytes(self.item)
        return any(map(bytes, version)) or postman or older or unnamed


class _Wrapped(msgspec.Struct):
    """A collection as Postman's own API answers it."""

    collection: _Marks | None = None


def may_be_description(name: str) -> bool:
    """Say whether a file of this name may be one."""
    return name.lower().endswith(SUFFIXES)


def is_connector(name: str) -> bool:
    """Say whether a file has the name of the definition in a folder of Power Platform."""
    return _CONNECTOR.fullmatch(name.rpartition("/")[2]) is not None


def is_description(data: bytes) -> bool:
    """Say whether these bytes are a description, as far as can be seen without reading them."""
    if b"\x00" in data[:4]:
        data = _narrow(data)
    if not _OBJECT.match(data):
        return _in_block(data)
    marks = _decoded(data)
    if marks is None:
        return _FLOW.search(data) is not None or _POSTMAN.search(data) is not None
    return marks


def _in_block(data: bytes) -> bool:
    """Look at the keys of YAML that stand as far to the right as the first one."""
    first = _FIRST.match(data)
    indent = first["indent"] if first else b""
    if first and re.compile(_MARK).match(data, first.end()):
        return True
    return re.search(rb"^" + indent + _MARK, data, re.MULTILINE) is not None


def _decoded(data: bytes) -> bool | None:
    """Look at the keys of JSON; None where it is not strict JSON."""
    data = data.removeprefix(b"\xef\xbb\xbf")
    try:
        return msgspec.json.decode(data, type=_Marks).any or _inner(data)
    except msgspec.ValidationError:
        return False
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return None


def _inner(data: bytes) -> bool:
    try:
        found: Any = msgspec.json.decode(data, type=_Wrapped).collection
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return False
    return found is not None and bool(found.any)


def _narrow(data: bytes) -> bytes:
    """Return UTF-16 or UTF-32 as one byte a character; only ASCII matters here."""
    return data.replace(b"\x00", b"")
