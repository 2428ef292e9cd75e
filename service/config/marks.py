"""Where things stand: the nodes of what was read, and the way back from a JSON pointer to line and column.

Pure. A node knows its text and its first and last character; lines and columns are worked out only when
somebody asks, which is when something is wrong.
"""

from bisect import bisect_right
from functools import cached_property
from typing import Any, Final, NamedTuple

import msgspec

ESCAPES: Final = {
    "0": "\0", "a": "\x07", "b": "\x08", "t": "\t", "\t": "\t", "n": "\n", "v": "\x0b", "f": "\x0c",
    "r": "\r", "e": "\x1b", " ": " ", '"': '"', "/": "/", "\\": "\\", "N": "\x85", "_": "\xa0",
    "L": "\u2028", "P": "\u2029",
}  # fmt: skip
"""The escapes of YAML's double quotes (YAML 1.2 §5.7); those of JSON are among them."""

HEX_DIGITS: Final = {"x": 2, "u": 4, "U": 8}


class Place(NamedTuple):
    """A file, a line and a column, both from 1."""

    file: str
    line: int
    column: int


class Text:
    """One file's characters, with the line feed as the only line break."""

    def __init__(self, name: str, content: str) -> None:
        self.name = name
        self.content = content

    @cached_property
    def _starts(self) -> list[int]:
        starts = [0]
        found = self.content.find("\n")
        while found >= 0:
            starts.append(found + 1)
            found = self.content.find("\n", found + 1)
        return starts

    def place(self, index: int) -> Place:
        """Return the line and column of a character."""
        row = bisect_right(self._starts, index) - 1
        return Place(self.name, row + 1, index - self._starts[row] + 1)

    def line_at(self, index: int) -> str:
        """Return the whole line that a character stands in."""
        start = self.content.rfind("\n", 0, index) + 1
        end = self.content.find("\n", index)
        return self.content[start : end if end >= 0 else len(self.content)]


class Node(msgspec.Struct, frozen=True, gc=False):
    """One value as it was written. `start` and `end` count characters of `text`.

    `style` is "" (plain), one of `'"|>`, or `{` and `[` for mappings and lists. `members` and `keys` are
    those of a mapping, `items` those of a list. `height` and `weight` measure the tree below, aliases
    expanded.
    """

    text: Text
    start: int
    end: int
    style: str
    value: Any
    keys: "dict[str, Node]" = {}
    members: "dict[str, Node]" = {}
    items: "tuple[Node, ...]" = ()
    height: int = 0
    weight: int = 1

    @property
    def place(self) -> Place:
        """Where the value begins."""
        return self.text.place(self.start)


class Marks:
    """Answers where the thing at a JSON pointer stands.

    Never raises: the place of what is not there is that of its nearest parent.
    """

    def __init__(self, root: Node) -> None:
        self._root = root

    def locate(self, pointer: str, offset: int | None = None) -> Place:
        """Return where the value at `pointer` begins, or its `offset`-th character when it is a string.

        A pointer to something that is not there is answered with the key of its nearest parent.
        """
        node, key = self._find(pointer)
        if node is None:
            return key.place
        if offset is None or not isinstance(node.value, str):
            return node.place
        origins = character_origins(node)
        if not origins:
            return node.place
        return node.text.place(origins[offset] if offset < len(origins) else origins[-1] + 1)

    def key(self, pointer: str) -> Place:
        """Return where the key of the member at `pointer` stands; for a list's item, the item."""
        node, key = self._find(pointer)
        return key.place if node is None or key is not self._root else node.place

    def has(self, pointer: str) -> bool:
        """Say whether something stands at `pointer`."""
        return self._find(pointer)[0] is not None

    def value(self, pointer: str) -> Any:
        """Return what stands at `pointer`, or None."""
        node, _ = self._find(pointer)
        return node.value if node is not None else None

    def file(self, pointer: str) -> str:
        """Return the name of the file that says what stands at `pointer`."""
        return self.locate(pointer).file

    def _find(self, pointer: str) -> tuple[Node | None, Node]:
        """Return the value (None when absent) and the nearest key on the way to it."""
        node = key = self._root
        for token in split_pointer(pointer):
            if token in node.members:
                key, node = node.keys[token], node.members[token]
            elif node.items and token.isascii() and token.isdigit() and int(token[:9]) < len(node.items):
                key = node = node.items[int(token[:9])]
            else:
                return None, key
        return node, key


def show_key(key: str) -> str:
    """Return a key for people: of `bearer:s3cret`, where a space is missing, not what follows the colon."""
    head, colon, _ = key[:80].partition(":")
    return f"{head}:…" if colon else head


def split_pointer(pointer: str) -> list[str]:
    """Return the tokens of a JSON pointer (RFC 6901)."""
    return [token.replace("~1", "/").replace("~0", "~") for token in pointer.split("/")[1:]]


def join_pointer(*tokens: object) -> str:
    """Return the JSON pointer with these tokens (RFC 6901)."""
    return "".join("/" + str(token).replace("~", "~0").replace("/", "~1") for token in tokens)


def character_origins(node: Node) -> list[int]:
    """Return the index in the text of every character of a scalar; empty when that cannot be told.

    The scalar is read again and what comes out is compared with its value, so a wrong answer is
    impossible; a form of YAML that is not understood here has no answer.
    """
    content = node.text.content
    if node.style in ("|", ">"):
        pairs = _block(content, node)
    else:
        quoted = len(node.style)
        pairs = _flow(content, node.start + quoted, node.end - quoted, node.style)
    text = "".join(char for char, _ in pairs)
    return [index for _, index in pairs] if text == node.value else []


def _flow(content: str, start: int, end: int, style: str) -> list[tuple[str, int]]:
    """Read a plain or quoted scalar: line breaks are folded, quotes and escapes undone."""
    pairs: list[tuple[str, int]] = []
    index = start
    while index < end:
        char = content[index]
        if char in " \t\n":
            stop = index
            while stop < end and content[stop] in " \t\n":
                stop += 1
            pairs += _folded(content, index, stop)
            index = stop
        elif char == "'" and style == "'":
            pairs.append((char, index))
            index += 2
        elif char == "\\" and style == '"':
            text, stop = _escape(content, index, end)
            pairs += [(one, index) for one in text]
            index = stop
        else:
            pairs.append((char, index))
            index += 1
    return pairs


def _folded(content: str, start: int, stop: int) -> list[tuple[str, int]]:
    """Read white space inside a scalar: one line break is a space, each further one a break."""
    breaks = [index for index in range(start, stop) if content[index] == "\n"]
    if not breaks:
        return [(content[index], index) for index in range(start, stop)]
    if len(breaks) == 1:
        return [(" ", breaks[0])]
    return [("\n", index) for index in breaks[1:]]


def _escape(content: str, index: int, end: int) -> tuple[str, int]:
    """Read one escape of a double-quoted scalar: what it stands for, and where it ends."""
    letter = content[index + 1]
    if letter == "\n":  # the break itself and the next line's indentation stand for nothing
        stop = index + 2
        while stop < end and content[stop] in " \t":
            stop += 1
        return "", stop
    if letter not in HEX_DIGITS:
        return ESCAPES.get(letter, letter), index + 2
    stop = index + 2 + HEX_DIGITS[letter]
    code = int(content[index + 2 : stop], 16)
    if 0xD800 <= code < 0xDC00 and content[stop : stop + 2] == "\\u":  # JSON writes one character as two
        code = 0x10000 + ((code - 0xD800) << 10) + int(content[stop + 2 : stop + 6], 16) - 0xDC00
        stop += 6
    return chr(code), stop


def _block(content: str, node: Node) -> list[tuple[str, int]]:
    """Read a block scalar; its indentation is the one that gives the value back."""
    first = content.find("\n", node.start) + 1
    lines: list[tuple[int, str]] = []
    index = first
    while first > 0 and index < node.end:
        stop = content.find("\n", index, node.end)
        stop = stop if stop >= 0 else node.end
        lines.append((index, content[index:stop]))
        index = stop + 1
    filled = [line for _, line in lines if line.strip(" ")]
    deepest = len(filled[0]) - len(filled[0].lstrip(" ")) if filled else 0
    for indentation in range(deepest, -1, -1):
        pairs = _unindented(lines, indentation, folded=node.style == ">")[: len(node.value)]
        if "".join(char for char, _ in pairs) == node.value:
            return pairs
    return []


def _unindented(lines: list[tuple[int, str]], indentation: int, *, folded: bool) -> list[tuple[str, int]]:
    """Read the lines of a block scalar without their indentation, folding them when it begins with `>`."""
    pairs: list[tuple[str, int]] = []
    breaks: list[tuple[str, int]] = []
    kept = True  # whether the break before the next line stays a break
    for start, line in lines:
        text = line[indentation:]
        if not text:
            breaks.append(("\n", start + len(line)))
            continue
        spaced = text[0] in " \t"
        if folded and breaks and not kept and not spaced:
            breaks = breaks[1:] or [(" ", breaks[0][1])]
        pairs += breaks
        pairs += [(char, start + indentation + offset) for offset, char in enumerate(text)]
        breaks = [("\n", start + len(line))]
        kept = spaced
    return pairs + breaks
