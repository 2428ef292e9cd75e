"""Every code that a reader gives is explained, in the table and on the page, and nothing else is."""

import ast
import functools
import inspect
import re
from pathlib import Path

from service.cli.adding import add_connection
from service.cli.app import _CONNECTORS
from service.usecases.lint_rules import GROUPS, RULES
from tests.tables import every_row

ROOT = Path(__file__).resolve().parents[3]
PAGE = ROOT / "docs/connectors.md"
CODE = re.compile(r"[a-z]+(-[a-z]+)*")
TELLING = {"add", "degrade", "report", "refused", "too_much", "_add", "_warn", "_error", "_lenient"}
"""How the functions are called that take a code."""
NO_CODES = {"publish", "subscribe"}
"""What else stands first in a call of one of these names."""


@functools.cache
def codes():
    """Return the codes that stand in the readers and in what finds their files."""
    found = {"internal"}
    for folder in ("actions/specs", "service/descriptions"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if isinstance(node, ast.Call):
                    found.update(said(node))
    return {one for one in found if CODE.fullmatch(one)} - NO_CODES


def said(call):
    for word in call.keywords:
        if word.arg == "code" and isinstance(word.value, ast.Constant):
            yield word.value.value
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    for one in call.args[:2] if name in TELLING else ():
        if isinstance(one, ast.Constant) and isinstance(one.value, str) and one.value:
            yield one.value
            return
        if isinstance(one, ast.JoinedStr) and ast.unparse(one) == "f'reference-{reason.why}'":
            yield from (
                f"reference-{why}" for why in ("remote", "file", "missing", "cycle", "malformed", "loose")
            )


def test_every_code_is_explained():
    assert codes() - RULES.keys() == set()


def test_nothing_is_explained_that_there_is_not():
    assert RULES.keys() - codes() == set()


@every_row("code", RULES)
def test_every_code_is_on_the_page(code):
    rule = RULES[code]
    names = ", ".join(rule.microsoft) or "–"
    assert f"| `{code}` | {rule.meaning} | {rule.hint} | {names} |" in PAGE.read_text("utf-8")


def test_no_code_is_on_the_page_that_there_is_not():
    rows = re.findall(
        r"^\| `([a-z-]+)` \| [^|]*\.[^|]* \| [^|]* \| [^|]* \|$", PAGE.read_text("utf-8"), re.MULTILINE
    )
    assert sorted(rows) == sorted(RULES)
    assert sum(map(len, GROUPS.values())) == len(RULES)


@every_row("verb", _CONNECTORS)
def test_every_verb_of_connectors_is_on_the_page(verb):
    assert re.search(
        rf"^\| `pointsman connectors {verb}( [^`|]+)?` \|", PAGE.read_text("utf-8"), re.MULTILINE
    )


def test_every_option_of_connections_add_is_on_the_page():
    options = {
        f"--{name.replace('_', '-')}"
        for name in inspect.signature(add_connection).parameters
        if name not in ("name", "config", "output")
    }
    assert options - set(re.findall(r"--[a-z-]+", PAGE.read_text("utf-8"))) == set()
