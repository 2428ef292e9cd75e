"""What is printed: whole, aligned, and never able to do anything to a terminal."""

import io
import json
import sys

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from service.cli.output import emit, emit_problems, json_text, printable, rows, yaml_text
from service.errors import Problem

EVIL = "\x1b]0;owned\x07\x1b[2J\r\x9b31m\u202egnp.exe\u0085\u2028\x7f\U000e0041"
TEXTS = st.text(st.characters(codec="utf-8"), max_size=30)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize("style", ["table", "json", "jsonl", "yaml"])
def test_nothing_from_outside_reaches_the_terminal_raw(capsys, style):
    item = {"id": EVIL, "type": EVIL, "deep": {EVIL: [EVIL]}}
    for value in ({"items": [item], "next": EVIL}, item):
        emit(value, style)
    emit_problems([Problem(message=EVIL, code=EVIL, found=EVIL)], style)
    said = capsys.readouterr()
    for text in (said.out, said.err):
        assert all(sign.isprintable() or sign == "\n" for sign in text)


@given(VALUES)
def test_json_means_the_same_after_escaping(value):
    assert json.loads(json_text(value)) == value
    assert json.loads(json_text(value, indent=2)) == value


@given(VALUES)
def test_yaml_means_the_same_after_escaping(value):
    assert yaml.safe_load(yaml_text(value)) == value


@given(TEXTS)
def test_printable_text_stays_as_it_is(text):
    shown = printable(text)
    assert shown.replace("\n", "").isprintable()
    if text.isprintable():
        assert shown == text


def test_columns_are_aligned_also_with_wide_signs(capsys):
    rows([{"id": "a", "type": "日本"}, {"id": "bbb", "type": "x"}], ("id", "type"))
    assert capsys.readouterr().out == "ID   TYPE\na    日本\nbbb  x\n"


def test_no_line_is_cut_where_nobody_looks(capsys):
    long = "x" * 500
    rows([{"id": long, "reason": long}])
    assert capsys.readouterr().out.count(long) == 2


class Screen(io.StringIO):
    def isatty(self):
        return True


def test_on_a_terminal_only_the_columns_that_may_be_cut_are(monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("NO_COLOR", "1")
    screen = Screen()
    monkeypatch.setattr(sys, "stdout", screen)
    rows([{"id": "dlv_000001-1-1", "state": "dead", "reason": "x" * 100}])
    lines = screen.getvalue().splitlines()
    assert all(len(line) <= 40 or "\x1b" in line for line in lines)
    assert "dlv_000001-1-1" in lines[1]
    assert lines[1].endswith("…")


def test_there_is_no_colour_where_there_is_no_terminal(capsys, monkeypatch):
    monkeypatch.setenv("TERM", "xterm-256color")
    emit({"items": [{"id": "a"}], "next": ""}, "table")
    emit_problems([Problem(message="wrong", code="x")], "table")
    said = capsys.readouterr()
    assert "\x1b" not in said.out + said.err


def test_an_empty_page_says_so_to_people_only(capsys):
    emit({"items": [], "next": ""}, "table")
    assert capsys.readouterr() == ("", "nothing to show\n")
    emit({"items": [], "next": ""}, "jsonl")
    assert capsys.readouterr() == ("", "")


def test_a_page_that_is_not_the_last_says_how_to_go_on(capsys):
    emit({"items": [{"id": "a"}], "next": "00ff"}, "table")
    assert capsys.readouterr().err == "there are more: --cursor 00ff\n"


@pytest.mark.parametrize(
    ("value", "shown"),
    [(None, "-"), ("", "-"), ([], "-"), (0, "0"), (True, "yes"), (False, "no"), ({"dead": 2}, "dead:2"),
     (["a", "b"], "a, b"), ("a\nb", "a b")],
)  # fmt: skip
def test_cells_are_words(capsys, value, shown):
    rows([{"x": value}])
    assert capsys.readouterr().out == f"X\n{shown}\n"
