"""What the YAML parser's errors mean to people who write rules.

Pure: text to text. Both parsers (libyaml's and PyYAML's own) word their errors much alike; a pattern here
covers both.
"""

import re
from typing import Final, NamedTuple

QUOTE: Final = "if this is text or an expression, quote it: '…' or \"…\""
_ALIGN: Final = "give the keys of one mapping, and the dashes of one list, the same indentation"


class Words(NamedTuple):
    """An error in our words.

    `opening`: the error stands where the broken thing begins. `bracket`: so it does when the parser noticed
    it on a later line.
    """

    pattern: str
    message: str
    fix: str
    opening: bool = False
    bracket: bool = False
    margin: bool = False  # says something about the line's indentation


_EXPLANATIONS: Final = (
    Words("tab character", "a tab stands where YAML wants spaces", "indent with spaces"),
    Words(
        "mapping (values|keys) are not allowed",
        "a second `: ` in one line, or a line indented too far",
        f"{QUOTE}; a key needs a space behind its `:`",
    ),
    Words(
        "quoted scalar.*(end of stream|document)",
        "the quote that begins here is never closed",
        "close it",
        opening=True,
    ),
    Words("unknown escape", "no such escape in double quotes", r"write \ as \\, or use single quotes"),
    Words(
        "escape|hexdecimal",
        "a broken escape in double quotes",
        r"write \u and four hex digits, or use single quotes",
    ),
    Words("anchor|alias", "`&` or `*` begins an anchor or an alias, and no good name follows", QUOTE),
    Words("tag", "`!` begins a YAML tag, and tags are not taken", QUOTE),
    Words(
        "directive|incompatible YAML",
        "a line that begins with % is a directive, and this one is broken",
        QUOTE,
    ),
    Words("flow sequence", "`,` or `]` is missing in the list [ … ]", f"close it; {QUOTE}", bracket=True),
    Words("flow mapping", "`,` or `}` is missing in the mapping { … }", f"close it; {QUOTE}", bracket=True),
    Words("block scalar", "a broken | or > block", "begin the text on the next line, indented"),
    Words("expected ':'", "a key without `: ` behind it", f"write key: value; {_ALIGN}"),
    Words(
        "block (mapping|collection|sequence)|block end|document start|sequence entries",
        "this line is not aligned with those it belongs to",
        _ALIGN,
        margin=True,
    ),
    Words(
        "(block|flow)? ?node", "a value is missing, or begins with a sign that YAML keeps for itself", QUOTE
    ),
)


def explain(said: str) -> Words | None:
    """Return our words for a parser's error, or None for one that is not known here."""
    return next((words for words in _EXPLANATIONS if re.search(words.pattern, said)), None)


def stray(char: str) -> tuple[str, str]:
    """Return message and fix for a character that no value may begin with."""
    if char == "\t":
        return "a tab stands where YAML wants spaces", "indent with spaces"
    return f"a value cannot begin with {char}", QUOTE


BEHIND: Final = Words(
    "",
    "this cannot stand here: the value before it has ended, or a list must begin on a line of its own",
    f"quote the whole value, double each ' inside '…', write \\\" inside \"…\"; {_ALIGN}",
)
"""The words for what is misaligned because something stands before it in its line."""
