"""How a value is written as a parameter: the style table of OpenAPI, as one table and one expansion.

Pure text. Nothing here knows where the text goes; whoever uses it says how characters are encoded. Cells that
the specification marks `n/a` are written in the nearest way that it defines: a single value as with `form`,
an exploded list or object of a delimited style as with `form` exploded. A list or an object inside a style
that has no place for it is written as JSON text, which is what Swagger UI sends; in a header, where nothing
is encoded, the whole value is; a list in an exploded object of the query repeats its name.
Null is nothing to send.
"""

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from actions.arguments import Unfit, as_json, leaf, opened
from actions.specs.model import Style

Encode = Callable[[str], str]
Write = Callable[[Any], str]


class _Shape(NamedTuple):
    """One line of the table: what comes first, what stands between, and whether names are written."""

    start: str
    between: str  # the parts of an exploded value
    flat: str  # the parts of a value that is not exploded
    named: bool


SHAPES: Final[dict[tuple[str, Style], _Shape]] = {
    ("path", "simple"): _Shape("", ",", ",", named=False),
    ("path", "label"): _Shape(".", ".", ",", named=False),
    ("path", "matrix"): _Shape(";", ";", ",", named=True),
    ("query", "form"): _Shape("", "&", ",", named=True),
    ("query", "spaceDelimited"): _Shape("", "&", "%20", named=True),
    ("query", "tabDelimited"): _Shape("", "&", "%09", named=True),
    ("query", "pipeDelimited"): _Shape("", "&", "%7C", named=True),
    ("header", "simple"): _Shape("", ",", ",", named=False),
    ("cookie", "form"): _Shape("", "; ", ",", named=True),
    # Swagger 2 has its delimiters in paths and headers too.
    ("path", "spaceDelimited"): _Shape("", ",", "%20", named=False),
    ("path", "tabDelimited"): _Shape("", ",", "%09", named=False),
    ("path", "pipeDelimited"): _Shape("", ",", "%7C", named=False),
    ("header", "spaceDelimited"): _Shape("", ",", " ", named=False),
    ("header", "tabDelimited"): _Shape("", ",", "\t", named=False),
    ("header", "pipeDelimited"): _Shape("", ",", "|", named=False),
}
"""RFC 6570, which versions 3.0.4 and 3.1.1 of the specification made the rule for all styles."""

DELIMITERS: Final[dict[str, str]] = {
    "form": ",",
    "spaceDelimited": " ",
    "tabDelimited": "\t",
    "pipeDelimited": "|",
}
"""What stands between the parts of a value where nothing is encoded, as in a multipart body."""

_INSIDE: Final = {".": ".", "%20": " ", "%09": "\t", "%7C": "|", " ": " ", "\t": "\t", "|": "|"}
"""Delimiters that the encoding of a part does not tell from its own characters."""

_PREFERRED: Final[dict[str, Style]] = {
    "path": "simple",
    "query": "form",
    "header": "simple",
    "cookie": "form",
}


def writer(
    location: str, style: Style, *, explode: bool, name: str, encode: Encode, label: str = ""
) -> Write:
    """Return the function that writes values of one parameter; the name is written encoded, or as `label`.

    The function returns "" for what leaves no trace (an empty list, exploded) and raises Unfit.
    """
    named = label or encode(name)
    if style == "deepObject" and location == "query":
        return lambda value: "&".join(
            f"{key}={encode(text)}" for key, text in deep(named, value, lambda part: f"%5B{encode(part)}%5D")
        )
    shape = SHAPES.get((location, style)) or SHAPES[location, _PREFERRED[location]]
    start = f"{named}=" if shape.named else ""
    alone = encode
    delimiter = shape.between if explode else shape.flat
    if delimiter in _INSIDE:
        encode = _parting(encode, delimiter)

    def write(value: Any) -> str:
        value = opened(value)
        if isinstance(value, list | tuple):
            texts = [encode(text) for text in map(inner, value) if text is not None]
            if not explode:
                return shape.start + start + shape.flat.join(texts)
            return shape.start + shape.between.join(start + text for text in texts) if texts else ""
        if isinstance(value, dict):
            repeated = explode and location == "query"
            members = [
                (encode(str(key)), text)
                for key, member in value.items()
                for text in (_each(member) if repeated else (inner(member),))
            ]
            pairs = [(key, encode(text)) for key, text in members if text is not None]
            if not explode:
                return shape.start + start + shape.flat.join(text for pair in pairs for text in pair)
            return shape.start + shape.between.join(f"{key}={text}" for key, text in pairs) if pairs else ""
        text = alone(leaf(value) or "")
        # RFC 6570: a matrix parameter with an empty value is written without the equals sign.
        return shape.start + (start + text if text or style != "matrix" else named)

    return write


def _parting(encode: Encode, delimiter: str) -> Encode:
    """Return the encoding of parts that must not hold what stands between them.

    A dot is encoded more than it has to be; an encoded space, tab or pipe is the delimiter itself.
    """
    meant = _INSIDE[delimiter]

    def part(text: str) -> str:
        if meant not in text:
            return encode(text)
        if delimiter == ".":
            return encode(text).replace(".", "%2E")
        raise Unfit(f"has {meant!r} inside, which is what stands between the parts of its style")

    return part


def _each(value: Any) -> list[str | None]:
    """Return the texts of a member of an exploded object: a list is as many of its own name."""
    value = opened(value)
    return [inner(one) for one in value] if isinstance(value, list | tuple) else [inner(value)]


def inner(value: Any) -> str | None:
    """Return what stands inside a list or an object as text: JSON where it is one of these itself."""
    value = opened(value)
    return as_json(value).decode() if isinstance(value, list | tuple | dict) else leaf(value)


def deep(name: str, value: Any, step: Callable[[str], str]) -> list[tuple[str, str]]:
    """Return name and text of every scalar inside: `name[key][0]`. OpenAPI tells of one level only."""
    found: list[tuple[str, str]] = []
    stack: list[tuple[str, Any]] = [(name, value)]
    while stack:
        prefix, one = stack.pop()
        one = opened(one)
        if isinstance(one, dict | list | tuple):
            members = one.items() if isinstance(one, dict) else enumerate(one)
            stack.extend(reversed([(prefix + step(str(key)), member) for key, member in members]))
            continue
        text = leaf(one)
        if text is not None:
            found.append((prefix, text))
    return found
