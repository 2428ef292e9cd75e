"""The words of a command line, as a shell would hand them to the program: of bash, or of Windows' cmd.

Pure: nothing is run, no variable has a value (`$TOKEN` stays as it is), no file name is expanded. Only the
first command is read.
"""

import re
from collections.abc import Iterator
from typing import Final

from actions.errors import Refused

MAX_LENGTH: Final = 4 << 20
"""Characters of a command; a body may be pasted into it."""

_ESCAPES: Final = {
    "a": "\a", "b": "\b", "e": "\x1b", "E": "\x1b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v",
    "\\": "\\", "'": "'", '"': '"', "?": "?",
}  # fmt: skip
_CODED: Final = re.compile(r"x([0-9A-Fa-f]{1,2})|u([0-9A-Fa-f]{1,4})|U([0-9A-Fa-f]{1,8})|([0-7]{1,3})")
_IN_DOUBLE: Final = frozenset('$`"\\\n')
_ENDS: Final = frozenset("|;&<>()\n")
_OF_CMD: Final = re.compile(r'\s*\S+\s+(?:-\S+\s+)*\^"|[^\n]*[ \t]\^\n')
"""What browsers put where a command is for cmd, and nobody for bash."""


def split(text: str) -> tuple[list[str], str]:
    """Return the words of the first command, and what of the text comes after it. Raise Refused."""
    if len(text) > MAX_LENGTH:
        raise Refused(f"the command is longer than {MAX_LENGTH >> 20} MiB")
    text = text.replace("\r\n", "\n")
    if _OF_CMD.match(text):
        return _of_cmd(text.strip()), ""
    reader = _Bash(text.strip())
    return reader.words(), reader.rest.strip()


class _Bash:
    """Reads words as bash does (Bash manual, 3.1.2 Quoting)."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self.rest = ""

    def words(self) -> list[str]:
        """Return the words up to the end of the first command."""
        words: list[str] = []
        word: list[str] | None = None
        while self._at < len(self._text):
            sign = self._text[self._at]
            ended = sign in _ENDS or (sign == "#" and word is None)
            if sign in " \t" or ended:
                if word is not None:
                    words.append("".join(word))
                word = None
                if ended:
                    self.rest = self._text[self._at :]
                    return words
                self._at += 1
                continue
            self._at += 1
            part = self._part(sign)
            if part is not None:
                word = [] if word is None else word
                word.append(part)
        return words if word is None else [*words, "".join(word)]

    def _part(self, sign: str) -> str | None:
        """Return the next part of a word, None for a line that goes on."""
        if sign == "\\":
            following = self._next("a backslash at the end")
            return None if following == "\n" else following
        if sign == "'":
            return self._until("'")
        if sign == '"':
            return "".join(self._double())
        if sign == "$" and self._peek() == "'":
            self._at += 1
            return "".join(self._ansi())
        if sign == "$" and self._peek() == '"':
            self._at += 1
            return "".join(self._double())
        self._no_command(sign)
        return sign

    def _double(self) -> Iterator[str]:
        began = self._at
        while (sign := self._next("a double quote that is not closed", began)) != '"':
            if sign == "\\" and self._peek() in _IN_DOUBLE:
                following = self._next("")
                yield "" if following == "\n" else following
            else:
                self._no_command(sign)
                yield sign

    def _ansi(self) -> Iterator[str]:
        began = self._at
        while (sign := self._next("a quote that is not closed", began)) != "'":
            if sign != "\\":
                yield sign
                continue
            coded = _CODED.match(self._text, self._at)
            if coded is None:
                following = self._next("a quote that is not closed", began)
                yield _ESCAPES.get(following, f"\\{following}")
                continue
            self._at = coded.end()
            yield self._coded(coded)

    def _coded(self, coded: re.Match[str]) -> str:
        digits = coded[1] or coded[2] or coded[3]
        code = int(digits, 16) if digits else int(coded[4], 8) & 0xFF
        if code == 0 or code > 0x10FFFF or 0xD800 <= code <= 0xDFFF:
            raise Refused(f"\\{coded[0]} in a quote is no character")
        return chr(code)

    def _until(self, end: str) -> str:
        stop = self._text.find(end, self._at)
        if stop < 0:
            raise Refused(f"a quote is not closed: {_shown(self._text[self._at - 1 :])}")
        part = self._text[self._at : stop]
        self._at = stop + 1
        return part

    def _next(self, lacking: str, began: int | None = None) -> str:
        if self._at >= len(self._text):
            raise Refused(f"{lacking}: {_shown(self._text[(began or self._at) - 1 :])}")
        self._at += 1
        return self._text[self._at - 1]

    def _peek(self) -> str:
        return self._text[self._at : self._at + 1]

    def _no_command(self, sign: str) -> None:
        if sign == "`" or (sign == "$" and self._peek() == "("):
            raise Refused("a command inside of the command is not run: write what it gives")


def _of_cmd(text: str) -> list[str]:
    """Return the words of a command for cmd: carets first, then quotes as programs on Windows read them."""
    plain = _without_carets(text)
    words: list[str] = []
    word, quoted, at = None, False, 0
    while at < len(plain):
        sign = plain[at]
        slashes = len(plain) - at - len(plain[at:].lstrip("\\")) if sign == "\\" else 0
        if slashes:
            at += slashes
            quote = at < len(plain) and plain[at] == '"'
            word = (word or "") + "\\" * (slashes // 2 if quote else slashes)
            if quote and slashes % 2:
                word, at = word + '"', at + 1
        elif sign == '"':
            quoted, word, at = not quoted, word or "", at + 1
        elif sign in " \t\n" and not quoted:
            if word is not None:
                words.append(word)
            word, at = None, at + 1
        else:
            word, at = (word or "") + sign, at + 1
    if quoted:
        raise Refused("a double quote is not closed")
    return words if word is None else [*words, word]


def _without_carets(text: str) -> str:
    """Return what cmd hands on: a caret takes the next sign as it is, and ends a line that goes on."""
    found: list[str] = []
    quoted, at = False, 0
    while at < len(text):
        sign = text[at]
        if sign == "^" and not quoted:
            if text.startswith("\n\n", at + 1):  # how a line break is written
                found.append("\n")
                at += 3
                continue
            found.append(text[at + 1 : at + 2].replace("\n", ""))
            at += 2
            continue
        quoted ^= sign == '"'
        found.append(sign)
        at += 1
    return "".join(found)


def _shown(text: str) -> str:
    """Return how a part begins, without what may be secret in it."""
    return repr(text[:8]) + ("…" if len(text) > 8 else "")
