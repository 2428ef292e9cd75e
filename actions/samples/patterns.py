"""Makes text that matches a regular expression, for those that descriptions really hold.

Pure. Reads the subset that is common to the dialects: classes, groups, alternatives, quantifiers, back
references and Unicode categories. Look-arounds are skipped, so what comes out is a suggestion: the caller
looks whether it matches. Nothing here ever runs an expression.
"""

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

MAX_PATTERN: Final = 4_000
"""Characters of an expression that are read; longer ones are not worth the time."""
MAX_TEXT: Final = 20_000
"""Characters that are made at most."""

_ALNUM: Final = "a0Ab1B23456789cdefghijklmnopqrstuvwxyzCDEFGHIJKLMNOPQRSTUVWXYZ"
_TRIED: Final = _ALNUM + "_-.~ /:@!$&'()*+,;=%#?[]{}|\\^`\"<>\t\n" + "éßçñ中あа"
"""What a class is asked for, in this order: letters and digits are the least trouble on any wire."""

_DIGITS: Final = frozenset("0123456789")
_SPACES: Final = frozenset(" \t\n\r\f\v")
_LETTERS: Final = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
_WORD: Final = _LETTERS | _DIGITS | {"_"}
_SETS: Final = {"d": _DIGITS, "s": _SPACES, "w": _WORD, "h": frozenset(" \t")}
_CONTROLS: Final = {"t": "\t", "n": "\n", "r": "\r", "f": "\f", "v": "\v", "0": "\0"}
_CATEGORIES: Final[tuple[tuple[frozenset[str], tuple[str, ...]], ...]] = (
    (frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ"), ("lu", "uppercase_letter", "upper", "uppercase")),
    (frozenset("abcdefghijklmnopqrstuvwxyz"), ("ll", "lowercase_letter", "lower", "lowercase")),
    (_DIGITS, ("n", "nd", "number", "digit", "decimal_number")),
    (frozenset(" "), ("z", "zs", "space", "separator", "white_space", "blank")),
    (_LETTERS | _DIGITS, ("alnum", "word", "any", "assigned", "ascii", "print", "graph", "common")),
    (frozenset("0123456789abcdefABCDEF"), ("xdigit",)),
)
_FAMILIES: Final[tuple[tuple[str, frozenset[str]], ...]] = (
    ("p", frozenset("-_.,:;!?()[]{}'\"*/&#%@\\")),
    ("s", frozenset("+<=>^`|~$")),
    ("m", frozenset()),
    ("c", frozenset()),
)
_DELIMITED: Final = re.compile(r"/(\^.*\$)/[a-z]*", re.DOTALL)
_QUANTIFIER: Final = re.compile(r"\{(\d{1,6})(,(\d{0,6}))?\}")
_GROUP: Final = re.compile(r"\?(?:P?<([A-Za-z_]\w*)>|P=(\w+)\)|[a-zA-Z]*(?:-[a-zA-Z]+)?([:)])|>)")
_AROUND: Final = ("?=", "?!", "?<=", "?<!")


class Unreadable(Exception):
    """The expression is not one of those that are read here."""


class _Class(NamedTuple):
    """One character out of a class. A range is (first, last); `inside` are whole sets."""

    singles: frozenset[str]
    ranges: tuple[tuple[str, str], ...]
    inside: tuple[tuple[frozenset[str], bool], ...]
    negated: bool

    def has(self, sign: str) -> bool:
        """Say whether a character belongs to it."""
        found = (
            sign in self.singles
            or any(first <= sign <= last for first, last in self.ranges)
            or any((sign in members) is wanted for members, wanted in self.inside)
        )
        return found is not self.negated

    def choose(self) -> str:
        """Return the least troublesome of its characters."""
        for sign in _TRIED:
            if self.has(sign):
                return sign
        for candidate in (*self.singles, *(first for first, _ in self.ranges)):
            if self.has(candidate):
                return candidate
        raise Unreadable("a class without any known character")


class _Sequence(NamedTuple):
    parts: "tuple[_Node, ...]"


class _Choice(NamedTuple):
    options: "tuple[_Node, ...]"
    name: str
    number: int


class _Repeat(NamedTuple):
    part: "_Node"
    least: int
    most: int | None


class _Again(NamedTuple):
    """What a group matched before, by number or name."""

    group: str


_Node = str | _Class | _Sequence | _Choice | _Repeat | _Again


def written(pattern: str) -> str:
    """Return an expression without the slashes and flags that people copy with it: `/^a$/i` is `^a$`."""
    found = _DELIMITED.fullmatch(pattern)
    return found[1] if found else pattern


def texts(pattern: str, *, least: int = 0) -> Iterator[str]:
    """Yield texts that probably match, the shortest first; `least` is the length that is wanted.

    Yields nothing for an expression that cannot be read.
    """
    if len(pattern) > MAX_PATTERN:
        return
    try:
        tree = _Parser(pattern).whole()
    except (Unreadable, IndexError, RecursionError):
        return
    seen = set()
    for branch in range(4):
        sizes = [0, 1, 2, 3, 4, 5, 7, 11, max(0, least // 2), max(0, least - 1), least]
        for at, extra in enumerate(sizes):
            try:
                made = _Writer(extra, branch).text(tree)
            except (Unreadable, RecursionError):
                continue
            if not at and len(made) < least:  # what is missing, where one part alone is repeated at will
                sizes.insert(1, least - len(made))
            if len(made) <= MAX_TEXT and made not in seen:
                seen.add(made)
                yield made


class _Parser:
    """Reads one expression. Raises Unreadable or IndexError at whatever it does not know."""

    def __init__(self, pattern: str) -> None:
        self._text = pattern
        self._at = 0
        self._groups = 0

    def whole(self) -> _Node:
        """Return the tree of the whole expression."""
        node = self._choice("", 0)
        if self._at < len(self._text):
            raise Unreadable("a bracket too many")
        return node

    def _choice(self, name: str, number: int) -> _Choice:
        options = [self._sequence()]
        while self._here("|"):
            self._at += 1
            options.append(self._sequence())
        return _Choice(tuple(options), name, number)

    def _here(self, sign: str) -> bool:
        return self._text.startswith(sign, self._at)

    def _sequence(self) -> _Sequence:
        parts: list[_Node] = []
        while self._at < len(self._text) and self._text[self._at] not in "|)":
            part = self._atom()
            if part is not None:
                parts.append(self._repeated(part))
        return _Sequence(tuple(parts))

    def _repeated(self, part: _Node) -> _Node:
        while self._at < len(self._text):
            sign = self._text[self._at]
            counted = _QUANTIFIER.match(self._text, self._at)
            if sign in "*+?":
                self._at += 1
                least, most = {"*": (0, None), "+": (1, None), "?": (0, 1)}[sign]
            elif counted:
                self._at = counted.end()
                least = int(counted[1])
                most = least if counted[2] is None else int(counted[3]) if counted[3] else None
            else:
                return part
            if self._at < len(self._text) and self._text[self._at] in "?+":  # lazy or possessive
                self._at += 1
            part = _Repeat(part, least, most)
        return part

    def _atom(self) -> _Node | None:
        sign = self._text[self._at]
        self._at += 1
        if sign in "^$":
            return None
        if sign == "(":
            return self._group()
        if sign == "[":
            return self._class()
        if sign == "\\":
            return self._escape()
        if sign == ".":
            return _Class(frozenset("\n\r"), (), (), negated=True)
        return sign

    def _group(self) -> _Node | None:
        around = next((one for one in _AROUND if self._here(one)), "")
        if around:
            self._at += len(around)
            self._choice("", 0)
            self._close()
            return None
        name, number = "", 0
        if self._here("?"):
            kind = _GROUP.match(self._text, self._at)
            if kind is None:
                raise Unreadable("an unknown kind of group")
            self._at = kind.end()
            if kind[2]:
                return _Again(kind[2])
            if kind[3] == ")":  # only flags
                return None
            name = kind[1] or ""
        if name or self._text[self._at - 1] == "(":
            self._groups += 1
            number = self._groups
        inside = self._choice(name, number)
        self._close()
        return inside

    def _close(self) -> None:
        if not self._here(")"):
            raise Unreadable("a bracket too few")
        self._at += 1

    def _escape(self) -> _Node | None:
        sign = self._text[self._at]
        self._at += 1
        if sign in "bBAzZG":
            return None
        if sign == "k" and self._here("<"):
            self._at += 1
            return _Again(self._until(">"))
        if sign in "123456789":
            return _Again(sign)
        members, wanted = self._set(sign)
        if members is not None:
            return _Class(frozenset(), (), ((members, wanted),), negated=False)
        return self._character(sign)

    def _set(self, sign: str) -> tuple[frozenset[str] | None, bool]:
        """Return the members of a class escape and whether they are wanted; None when it is none."""
        if sign.lower() in _SETS:
            return _SETS[sign.lower()], sign.islower()
        if sign in "pP" and self._at < len(self._text):
            if self._here("{"):
                self._at += 1
                name = self._until("}")
            else:
                name, self._at = self._text[self._at], self._at + 1
            return _category(name), sign == "p"
        return None, True

    def _character(self, sign: str) -> str:
        if sign in _CONTROLS:
            return _CONTROLS[sign]
        if sign == "x":
            return self._hex(2)
        if sign == "u":
            if self._here("{"):
                self._at += 1
                return _sign(self._until("}"))
            return self._hex(4)
        if sign == "c":
            self._at += 1
            return chr(ord(self._text[self._at - 1]) % 32)
        return sign

    def _until(self, mark: str) -> str:
        """Return what stands before a mark, and go on after it. Raises Unreadable where there is none."""
        found, there, _ = self._text[self._at :].partition(mark)
        if not there:
            raise Unreadable(f"no {mark}")
        self._at += len(found) + len(mark)
        return found

    def _hex(self, length: int) -> str:
        digits = self._text[self._at : self._at + length]
        self._at += length
        return _sign(digits)

    def _class(self) -> _Class:
        negated = self._here("^")
        self._at += negated
        singles: set[str] = set()
        ranges: list[tuple[str, str]] = []
        inside: list[tuple[frozenset[str], bool]] = []
        first = True
        while first or not self._here("]"):
            if first and self._here("]") and "]" not in self._text[self._at + 1 :]:
                break
            first = False
            if self._here("[:"):
                self._at += 2
                inside.append((_category(self._until(":]")), True))
                continue
            member = self._member()
            if not isinstance(member, str):
                inside.append(member)
                continue
            if self._here("-") and not self._text.startswith("-]", self._at):
                self._at += 1
                last = self._member()
                if isinstance(last, str):
                    ranges.append((member, last))
                    continue
                singles.add("-")
                inside.append(last)
            singles.add(member)
        self._at += 1
        return _Class(frozenset(singles), tuple(ranges), tuple(inside), negated)

    def _member(self) -> str | tuple[frozenset[str], bool]:
        sign = self._text[self._at]
        self._at += 1
        if sign != "\\":
            return sign
        sign = self._text[self._at]
        self._at += 1
        if sign == "b":
            return "\b"
        members, wanted = self._set(sign)
        return (members, wanted) if members is not None else self._character(sign)


def _sign(digits: str) -> str:
    try:
        return chr(int(digits, 16))
    except (ValueError, OverflowError) as error:
        raise Unreadable("no character") from error


def _category(name: str) -> frozenset[str]:
    """Return the ASCII part of a Unicode category or POSIX class: enough to choose from."""
    short = name.removeprefix("^").removeprefix("Is").lower()
    for members, words in _CATEGORIES:
        if short in words:
            return members
    for start, members in _FAMILIES:
        if short.startswith(start):
            return members
    return _LETTERS


class _Writer:
    """Writes one text: `extra` more of whatever may be repeated at will, and the `branch`-th alternative."""

    def __init__(self, extra: int, branch: int) -> None:
        self._extra = extra
        self._branch = branch
        self._groups: dict[str, str] = {}
        self._size = 0

    def text(self, node: _Node) -> str:
        """Return the text of a node. Raises Unreadable when it grows too long."""
        if isinstance(node, str):
            made = node
        elif isinstance(node, _Class):
            made = node.choose()
        elif isinstance(node, _Sequence):
            return "".join([self.text(part) for part in node.parts])
        elif isinstance(node, _Again):
            made = self._groups.get(node.group, "")
        elif isinstance(node, _Choice):
            made = self.text(node.options[min(self._branch, len(node.options) - 1)])
            self._groups[str(node.number)] = made
            if node.name:
                self._groups[node.name] = made
            return made
        else:
            return self._repeat(node)
        self._size += len(made)
        if self._size > MAX_TEXT:
            raise Unreadable("too long")
        return made

    def _repeat(self, node: _Repeat) -> str:
        count = node.least + self._extra
        if node.most is not None:
            count = min(count, node.most)
        if count > MAX_TEXT:
            raise Unreadable("too long")
        return "".join([self.text(node.part) for _ in range(count)])
