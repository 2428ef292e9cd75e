"""Names of media types: what was meant by a broken one, what a range covers, what is put in the header.

Pure text. How a body of a type is written is known elsewhere.
"""

import codecs
import re
from typing import Final

from actions.specs.model import MediaKind, media_kind

_PARAMETER: Final = re.compile(
    r";[ \t]*([!#$%&'*+.^_`|~0-9A-Za-z-]+)[ \t]*=[ \t]*(\"(?:[ !#-\[\]-~]|\\[ -~])*\"|[!#-:<-~]+)[ \t]*"
)
_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
TYPE: Final = re.compile(rf"{_TOKEN.pattern}/{_TOKEN.pattern}")
_SHORT: Final = {
    "json": "application/json",
    "xml": "application/xml",
    "text": "text/plain",
    "plain": "text/plain",
    "html": "text/html",
    "csv": "text/csv",
    "form": "application/x-www-form-urlencoded",
    "x-www-form-urlencoded": "application/x-www-form-urlencoded",
    "form-data": "multipart/form-data",
    "multipart": "multipart/form-data",
    "binary": "application/octet-stream",
    "octet-stream": "application/octet-stream",
    "pdf": "application/pdf",
    "": "*/*",
    "*": "*/*",
}
"""What people write for a media type, and what they mean."""

_CONCRETE: Final[dict[MediaKind, str]] = {
    "json": "application/json",
    "form": "application/x-www-form-urlencoded",
    "multipart": "multipart/form-data",
    "text": "text/plain",
    "xml": "application/xml",
    "binary": "application/octet-stream",
}
"""What is sent for a range, by how the body is written."""

_LINES: Final = frozenset(
    {"application/x-ndjson", "application/ndjson", "application/jsonl", "application/jsonlines",
     "application/x-jsonlines", "application/x-json-stream", "application/stream+json"}
)  # fmt: skip
_SEQUENCES: Final = frozenset({"application/json-seq", "application/geo+json-seq"})


def essence(name: str) -> str:
    """Return the type alone, in lower case: no parameters, the first of several, common mistakes mended."""
    first = name.split(",", 1)[0].partition(";")[0].strip().lower()
    return _SHORT.get(first, first)


def parameters(name: str) -> list[tuple[str, str]]:
    """Return the parameters that are written as parameters; names in lower case, values unquoted."""
    found = []
    for match in _PARAMETER.finditer(name):
        value = match.group(2)
        if value.startswith('"'):
            value = re.sub(r"\\(.)", r"\1", value[1:-1])
        found.append((match.group(1).lower(), value))
    return found


def with_parameters(name: str, given: list[tuple[str, str]]) -> str:
    """Return a Content-Type made of a type and its parameters."""
    texts = []
    for key, value in given:
        quoted = '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
        texts.append(f"; {key}={value if _TOKEN.fullmatch(value) else quoted}")
    return name + "".join(texts)


def mended(name: str) -> str:
    """Return a media type as it can be sent: what was written where that is sound, else what was meant."""
    name = name.strip()
    kind = essence(name)
    if name.partition(";")[0].strip().lower() == kind and not name.rstrip().endswith(";"):
        rest = name.partition(";")[2]
        if not rest or _PARAMETER.sub("", f";{rest}").strip() == "":
            return name
    return with_parameters(kind, parameters(name))


def is_range(name: str) -> bool:
    """Say whether this names many types (`*/*`, `image/*`, `application/*+json`)."""
    return "*" in essence(name)


def covers(wide: str, name: str) -> bool:
    """Say whether a type or range covers a type; parameters do not count."""
    wanted, given = essence(wide), essence(name)
    if wanted in (given, "*/*"):
        return True
    if "*" not in wanted:
        return False
    pattern = re.escape(wanted).replace(r"\*", "[^/;]*")
    return re.fullmatch(pattern, given) is not None


def concrete(name: str, kind: MediaKind) -> str:
    """Return what is sent as Content-Type for a type or range."""
    if not is_range(name):
        whole = mended(name)
        return whole if TYPE.fullmatch(essence(whole)) else _CONCRETE[kind]
    fitting = _CONCRETE[kind]
    top, _, sub = essence(name).partition("/")
    return fitting if covers(name, fitting) or "*" in top or "*" in sub else f"{top}/{sub}"


def kind_of(name: str) -> MediaKind:
    """Return how a body of a type is written, what was meant by a broken name included."""
    return "json" if essence(name) in _LINES | _SEQUENCES else media_kind(essence(name))


def framing(name: str) -> tuple[bytes, bytes]:
    """Return what stands before and after each member of a list that is sent one by one, or nothing."""
    kind = essence(name)
    if kind in _LINES:
        return b"", b"\n"
    return (b"\x1e", b"\n") if kind in _SEQUENCES else (b"", b"")


def charset(name: str) -> str:
    """Return the character set that a type asks for where it is known and not UTF-8, else nothing."""
    given = dict(parameters(name)).get("charset", "")
    try:
        known = codecs.lookup(given).name if given else ""
    except (LookupError, ValueError):
        return ""
    return (
        known
        if known in {"ascii", "iso8859-1", "iso8859-15", "cp1252", "utf-16", "utf-16-le", "utf-16-be"}
        else ""
    )
