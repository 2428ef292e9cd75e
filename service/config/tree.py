"""Builds nodes from the events of a reader, and finds what a reader lets pass.

Duplicate keys, tags, merge keys, expressions cut by a comment, aliases that grow without bound, depth and
size. Knows neither YAML's nor JSON's grammar: `load` and `json_text` drive it.
"""

import re
from typing import Any, Final

from service.config.marks import Node, Text, show_key
from service.config.scalars import BadScalar, loses_zeros, resolve, unbalanced
from service.errors import Problem

MAX_DEPTH: Final = 100
MAX_WEIGHT: Final = 2_000_000
"""Of one file, aliases expanded: 1 a value and 1 for each 16 characters. 10,000 rules weigh 600,000."""
MAX_ALIASES: Final = 1_000
MAX_PROBLEMS: Final = 200
"""Per file; whoever has more does not read them."""

EXPRESSIONS: Final = {
    "rules": ("when", "key"),
    "sources": ("id", "type", "subject", "items", "item_id", "state"),
}
"""Fields of a section's resources that hold an expression, not text."""

_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_QUOTE_IT: Final = "quote it: '…' (double each ' inside), or \"…\""


class Stop(Exception):
    """Reading this text is useless from here on; the reason is among the problems."""


class _Frame:
    """A collection that is not closed yet."""

    __slots__ = ("anchor", "height", "items", "key", "keys", "members", "start", "style", "value", "weight")

    def __init__(self, style: str, start: int, anchor: str | None) -> None:
        self.style = style
        self.start = start
        self.anchor = anchor
        self.key: Node | None = None
        self.keys: dict[str, Node] = {}
        self.members: dict[str, Node] = {}
        self.items: list[Node] = []
        self.value: Any = {} if style == "{" else []
        self.height = 0
        self.weight = 1


class TreeBuilder:
    """Takes events in the order of the text; `root` is the tree once all of them came."""

    def __init__(self, text: Text) -> None:
        self.text = text
        self.root: Node | None = None
        self.problems: list[Problem] = []
        self._frames: list[_Frame] = []
        self._anchors: dict[str, Node] = {}
        self._aliases = 0

    def report(
        self, index: int, code: str, message: str, fix: str = "", *, found: str = "", warning: bool = False
    ) -> None:
        """Record a problem at a character of the text. Raise Stop when there are too many."""
        place = self.text.place(index)
        problem = Problem(
            message=message,
            code=code,
            severity="warning" if warning else "error",
            found=found,
            fix=fix,
            file=place.file,
            line=place.line,
            column=place.column,
        )
        self.problems.append(problem)
        if len(self.problems) >= MAX_PROBLEMS:
            raise Stop

    def open(self, style: str, start: int, anchor: str | None = None) -> None:
        """Begin a mapping (`{`) or a list (`[`)."""
        if len(self._frames) >= MAX_DEPTH:
            self._too_deep(start)
        self._frames.append(_Frame(style, start, anchor))

    def close(self, end: int) -> None:
        """End the innermost collection."""
        frame = self._frames.pop()
        node = Node(
            self.text,
            frame.start,
            end,
            frame.style,
            frame.value,
            frame.keys,
            frame.members,
            tuple(frame.items),
            frame.height + 1,
            frame.weight,
        )
        self._add(node, frame.anchor)

    def scalar(self, text: str, style: str, start: int, end: int, anchor: str | None = None) -> None:
        """Add a scalar; a plain one (`style` is "") still has to be read."""
        if not text.isascii() and _SURROGATE.search(text):
            fix = "write the whole character, or \\U and eight hex digits"
            self.report(start, "bad-character", "half a character: a surrogate without its partner", fix)
            text = _SURROGATE.sub("\ufffd", text)
        if self._wants_key():
            self._add_key(text, style, start, end)
            return
        value: Any = text
        if not style:
            self._look_behind(text, end)
            value = self._resolve(text, start)
        node = Node(self.text, start, end, style, value, weight=1 + len(text) // 16)
        self._add(node, anchor)

    def literal(self, value: Any, start: int, end: int) -> None:
        """Add a value that needs no reading: a JSON number, true, false or null."""
        self._add(Node(self.text, start, end, "", value), None)

    def alias(self, name: str, start: int, end: int) -> None:
        """Add what the anchor `name` stands for."""
        if self._wants_key():
            self._complex_key(start)
            self._push_key(Node(self.text, start, end, "", f"*{name}"))
            return
        self._aliases += 1
        if self._aliases > MAX_ALIASES:
            self.report(start, "yaml-aliases", f"more than {MAX_ALIASES:,} aliases", "write the values out")
            raise Stop
        node = self._anchors.get(name)
        if node is None:
            self.report(
                start,
                "yaml-alias",
                "`*` begins an alias, and nothing before this line has that anchor",
                f"if this is text, {_QUOTE_IT}",
            )
            node = Node(self.text, start, end, "", None)
        self._add(node, None)

    def tag(self, start: int) -> None:
        """Report a tag. Nothing here is made by tags; in expressions a `!` was meant as "not"."""
        self.report(
            start,
            "yaml-tag",
            "`!` at the beginning of a value is a YAML tag, and tags are not taken",
            f"if this is text or an expression, {_QUOTE_IT}",
        )

    def _wants_key(self) -> bool:
        return bool(self._frames) and self._frames[-1].style == "{" and self._frames[-1].key is None

    def _too_deep(self, start: int) -> None:
        self.report(start, "too-deep", f"nested more than {MAX_DEPTH} levels deep", "use fewer levels")
        raise Stop

    def _add(self, node: Node, anchor: str | None) -> None:
        if anchor is not None:
            self._anchors[anchor] = node
        if not self._frames:
            self.root = node
            return
        if self._wants_key():
            self._complex_key(node.start)
            self._push_key(node)
            return
        frame = self._frames[-1]
        frame.height = max(frame.height, node.height)
        frame.weight += node.weight
        if len(self._frames) + node.height > MAX_DEPTH:
            self._too_deep(node.start)
        if frame.weight > MAX_WEIGHT:
            self.report(
                node.start, "too-large", "too much for one file once its aliases are expanded", "write less"
            )
            raise Stop
        if frame.style == "[":
            frame.items.append(node)
            frame.value.append(node.value)
            return
        if frame.key is not None and frame.key.value not in frame.members:
            name = frame.key.value
            frame.keys[name] = frame.key
            frame.members[name] = node
            frame.value[name] = node.value
            frame.weight += len(name) // 16
        frame.key = None

    def _add_key(self, text: str, style: str, start: int, end: int) -> None:
        """Take a key: always text, whatever it looks like."""
        if text == "<<" and not style:
            self.report(
                start, "yaml-merge", "`<<` merges mappings, and that is not taken", "write the fields out"
            )
        earlier = self._frames[-1].keys.get(text)
        if earlier is not None:
            self.report(
                start,
                "duplicate-key",
                f"`{show_key(text)}` stands twice in this mapping; the first is in line {earlier.place.line}",
                "remove or rename one of them",
            )
        self._push_key(Node(self.text, start, end, style, text))

    def _push_key(self, node: Node) -> None:
        self._frames[-1].key = (
            node if isinstance(node.value, str) else Node(self.text, node.start, node.end, "", "?")
        )

    def _complex_key(self, start: int) -> None:
        self.report(
            start,
            "yaml-key",
            "a key must be text, not a list, a mapping or an alias",
            f"if it is text, {_QUOTE_IT}",
        )

    def _path(self) -> tuple[str, ...]:
        """Return the keys on the way to the value that comes next."""
        return tuple(
            (frame.key.value if frame.key is not None else "")
            if frame.style == "{"
            else str(len(frame.items))
            for frame in self._frames
        )

    def _found(self, text: str) -> str:
        """Return what was read, unless it may be a secret: those stand in sources and connections."""
        return text[:80] if self._path()[:1] == ("rules",) else ""

    def _resolve(self, text: str, start: int) -> Any:
        try:
            value = resolve(text)
        except BadScalar as error:
            self.report(start, "bad-number", str(error), error.fix, found=self._found(text))
            return None
        if loses_zeros(text):
            self.report(
                start,
                "leading-zeros",
                "a number has no leading zeros: YAML 1.2 reads this without them, YAML 1.1 as octal",
                "quote it if it is text, or write it without the zeros (0o… is octal)",
                found=self._found(text),
                warning=True,
            )
        return value

    def _look_behind(self, text: str, end: int) -> None:
        """Report an expression that YAML cut at ` #`, and an empty value where something was meant."""
        content = self.text.content
        stop = end
        while stop < len(content) and content[stop] in " \t":
            stop += 1
        if stop == end or stop >= len(content) or content[stop] != "#":
            return
        path = self._path()
        expression = len(path) == 3 and path[2] in EXPRESSIONS.get(path[0], ())
        if expression or "${" in text or unbalanced(text):
            self.report(
                stop,
                "yaml-cut",
                "YAML reads everything from ` #` on as a comment, so this expression is cut here"
                if expression or "${" in text
                else "YAML reads everything from ` #` on as a comment, so this text is cut here",
                f"{_QUOTE_IT}; put a comment on a line of its own",
                found=self._found(text),
            )
        elif not text and content[stop + 1 : stop + 2].strip("# !"):
            self.report(
                stop,
                "yaml-empty",
                "YAML reads this as a comment, so the value is empty",
                "quote it if it is the value; put a space behind # if it is a comment",
                warning=True,
            )
