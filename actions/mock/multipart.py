"""Splits a multipart body into its parts (RFC 2046, RFC 7578). Pure; what the parts mean is not decided here.

File names are what the client calls its files: nothing here, or after it, makes a path of one.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote

_MAX_PARTS: Final = 1_000
_MAX_HEAD: Final = 8_192
_BOUNDARY: Final = re.compile(r"[0-9A-Za-z'()+_,\-./:=? ]{0,69}[0-9A-Za-z'()+_,\-./:=?]")
_PARAMETER: Final = re.compile(
    r"[;\s]+([!#$%&'*+\-.^_`|~0-9A-Za-z]+)[ \t]*=[ \t]*(\"(?:[^\"\\]|\\.)*\"|[^;\s\"]*)", re.DOTALL
)
_ESCAPED: Final = re.compile(r'\\(["\\])')
_CHARSETS: Final = {"iso-8859-1": "latin-1"}
_FIELD: Final = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*([^\r\n]*)")


class BadMultipart(Exception):
    """The body is not what its media type says; the text says why."""


@dataclass(frozen=True, slots=True)
class Part:
    """One part. Header names are lower case; `name` is "" where the part has none, `filename` None."""

    headers: Mapping[str, str]
    content: bytes
    name: str = ""
    filename: str | None = None

    @property
    def content_type(self) -> str:
        """The media type as given, text/plain where none is."""
        return self.headers.get("content-type", "text/plain")


def split(content_type: str, body: bytes) -> list[Part]:
    """Return the parts of a body. Raises BadMultipart."""
    boundary = header_parameters(content_type).get("boundary", "")
    if not _BOUNDARY.fullmatch(boundary):
        raise BadMultipart("has no usable boundary in its Content-Type")
    line = b"--" + boundary.encode("ascii")
    # The first boundary may stand at the very beginning; all others follow a line break.
    pieces = (b"\r\n" + body).split(b"\r\n" + line)
    if len(pieces) < 2:
        raise BadMultipart("does not contain its boundary")
    if len(pieces) - 2 > _MAX_PARTS:
        raise BadMultipart(f"has more than {_MAX_PARTS} parts")
    if not re.match(rb"--[ \t]*(?:\r\n|\Z)", pieces[-1]):
        raise BadMultipart("does not end with its closing boundary")
    return [_part(piece) for piece in pieces[1:-1]]


def _part(piece: bytes) -> Part:
    start = re.match(rb"[ \t]*\r\n", piece)
    if start is None:
        raise BadMultipart("has a boundary that is followed by something else than a line break")
    rest = piece[start.end() :]
    if rest.startswith(b"\r\n"):
        return _named({}, rest[2:])
    head, blank, content = rest.partition(b"\r\n\r\n")
    if not blank:
        raise BadMultipart("has a part whose headers do not end")
    if len(head) > _MAX_HEAD:
        raise BadMultipart(f"has a part with more than {_MAX_HEAD} bytes of headers")
    headers: dict[str, str] = {}
    for line in head.split(b"\r\n"):
        field = _FIELD.fullmatch(line)
        if field is None:
            raise BadMultipart("has a part with a malformed header")
        name = field[1].decode("ascii").lower()
        if name in headers:
            raise BadMultipart(f"has a part with two headers {name}")
        headers[name] = field[2].decode("utf-8", "replace").strip()
    return _named(headers, content)


def _named(headers: dict[str, str], content: bytes) -> Part:
    disposition = headers.get("content-disposition", "")
    values = header_parameters(disposition)
    filename = values.get("filename*", values.get("filename"))
    return Part(headers, content, values.get("name", ""), filename)


def header_parameters(value: str) -> dict[str, str]:
    """Return the parameters of a header such as Content-Type: names in lower case, values unquoted."""
    found: dict[str, str] = {}
    at = value.find(";")
    while 0 <= at < len(value) and (match := _PARAMETER.match(value, at)):
        at = match.end()
        name, text = match[1].lower(), match[2]
        if text.startswith('"'):
            text = _ESCAPED.sub(r"\1", text[1:-1])
        if name.endswith("*"):  # RFC 8187: charset'language'text
            charset, _, rest = text.partition("'")
            text = unquote(rest.partition("'")[2], _CHARSETS.get(charset.lower(), "utf-8"), "replace")
        # HTML forms write a quote and a line break inside of a name percent-encoded.
        found.setdefault(name, text.replace("%22", '"').replace("%0D", "\r").replace("%0A", "\n"))
    return found
