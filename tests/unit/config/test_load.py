import time
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from service.config import load
from service.config.load import read_bytes, read_file, read_text
from tests.tables import every_row

BROKEN = [
    # text, code, line, column, part of the message or fix
    ("a: b: c\n", "yaml-syntax", 1, 5, "a second `: `"),
    ("a: 1\n  b: 2\n", "yaml-syntax", 2, 4, "indented too far"),
    ("a:b\nc: d\n", "yaml-syntax", 2, 2, "space behind its `:`"),
    ("a:\n\tb: 1\n", "yaml-syntax", 2, 1, "a tab stands where YAML wants spaces"),
    ("a:\n  b: 1\n\t  c: 2\n", "yaml-syntax", 3, 1, "tab"),
    ("a: ? b\n", "yaml-syntax", 1, 4, "a second `: ` in one line"),
    ("a: 'x\nb: 3\n", "yaml-syntax", 1, 4, "never closed"),
    ('a: "x\nb: 3\n', "yaml-syntax", 1, 4, "never closed"),
    ("a: [1, 2\nb: 3\n", "yaml-syntax", 1, 4, "`,` or `]` is missing"),
    ("a: [1 2: 3, [4}]\n", "yaml-syntax", 1, 15, "`,` or `]` is missing"),
    ("a: {x: 1\nb: 3\n", "yaml-syntax", 1, 4, "`,` or `}` is missing"),
    ("f: {a: ${x}}\n", "yaml-syntax", 1, 9, "quote it"),
    ("when: !data.x\n", "yaml-tag", 1, 7, "YAML tag"),
    ("when: !(data.x)\n", "yaml-tag", 1, 7, "quote it"),
    ("a: !!python/object/apply:os.system [ls]\n", "yaml-tag", 1, 4, "tags are not taken"),
    ("a: !!str 12\n", "yaml-tag", 1, 4, "tags are not taken"),
    ("!x a: b\n", "yaml-tag", 1, 1, "tags are not taken"),
    ("a: @x\n", "yaml-syntax", 1, 4, "cannot begin with @"),
    ("a: %x\n", "yaml-syntax", 1, 4, "cannot begin with %"),
    ("a: `x`\n", "yaml-syntax", 1, 4, "cannot begin with `"),
    ("a: *foo\n", "yaml-alias", 1, 4, "`*` begins an alias"),
    ("a: *\n", "yaml-syntax", 1, 5, "no good name"),
    ("a: & b\n", "yaml-syntax", 1, 5, "no good name"),
    ("a: &x [*x]\n", "yaml-alias", 1, 8, "nothing before this line"),
    ("- a\nb: c\n", "yaml-syntax", 2, 1, "not aligned"),
    ("a:\n  b: 1\n c: 2\n", "yaml-syntax", 3, 2, "not aligned"),
    ("a:\n  - x\n - y\n", "yaml-syntax", 3, 2, "same indentation"),
    ('a: "\\d"\n', "yaml-syntax", 1, 5, "no such escape"),
    ('a: "\\xZZ"\n', "yaml-syntax", 1, 7, "broken escape"),
    ("a: |x\n  y\n", "yaml-syntax", 1, 5, "a broken | or > block"),
    ("a: x\n...\nfoo: bar\n", "yaml-syntax", 3, 1, "not aligned"),
    ("%FOO\n", "yaml-syntax", 1, 5, "directive"),
    ("%YAML 9.9\n---\na: 1\n", "yaml-syntax", 1, 1, "directive"),
    ("? [a]\n: b\n", "yaml-key", 1, 3, "a key must be text"),
    ("a: &x b\n*x : c\n", "yaml-key", 2, 1, "a key must be text"),
    ("? {a: b}\n: c\n", "yaml-key", 1, 3, "a key must be text"),
    (": x\n", "yaml-syntax", 1, 1, "not aligned"),
    ("a: ,\n", "yaml-syntax", 1, 4, "a value is missing"),
    ("a: [,]\n", "yaml-syntax", 1, 5, "a value is missing"),
    ("a: ]\n", "yaml-syntax", 1, 4, "a value is missing"),
    ("a: [b]]\n", "yaml-syntax", 1, 7, "this cannot stand here"),
    ("a: 'it's'\n", "yaml-syntax", 1, 8, "double each '"),
    ('a: "say "hi""\n', "yaml-syntax", 1, 10, "this cannot stand here"),
    ("a: - b\n", "yaml-syntax", 1, 4, "on a line of its own"),
    ("--- 1\n--- 2\n", "yaml-documents", 2, 1, "second document"),
    ("a: 1\na: 2\n", "duplicate-key", 2, 1, "the first is in line 1"),
    ('1: a\n"1": b\n', "duplicate-key", 2, 1, "`1` stands twice"),
    ("a: {b: 1, c: 2, b: 3}\n", "duplicate-key", 1, 17, "`b` stands twice"),
    ("x: &x {a: 1}\ny:\n  <<: *x\n", "yaml-merge", 3, 3, "write the fields out"),
    ("a: \0b\n", "bad-character", 1, 4, "U+0000"),
    ("a: \x07\n", "bad-character", 1, 4, "U+0007"),
    ("é: b\u2028c\n", "bad-character", 1, 5, "U+2028"),
    ("a: b\u0085c\n", "bad-character", 1, 5, "U+0085"),
    ("a: b\ufeffc\n", "bad-character", 1, 5, "U+FEFF"),
    ("rules:\n  r:\n    when: data.a # b\n", "yaml-cut", 3, 18, "expression is cut here"),
    ("rules:\n  r:\n    key: data.a # b\n", "yaml-cut", 3, 17, "put a comment on a line of its own"),
    ("sources:\n  s:\n    id: data.a #b\n", "yaml-cut", 3, 16, "expression is cut here"),
    ("sources:\n  s:\n    type: \"'a'\"\n    subject: data.a\t# b\n", "yaml-cut", 4, 21, "expression is cut"),
    ("a: x ${data.b} # c\n", "yaml-cut", 1, 16, "expression is cut here"),
    ("a: f(b # x)\n", "yaml-cut", 1, 8, "this text is cut here"),
    ('a: say "hi # there"\n', "yaml-cut", 1, 12, "this text is cut here"),
    ("rules:\n  r:\n    when: # data.a\n", "yaml-cut", 3, 11, "expression is cut here"),
]  # fmt: skip


@every_row(("text", "code", "line", "column", "words"), BROKEN)
def test_broken_yaml_is_explained_with_its_place(text, code, line, column, words):
    problem = read_text(text, "f.yaml").problems[0]
    assert (problem.code, problem.file, problem.line, problem.column) == (code, "f.yaml", line, column)
    assert problem.severity == "error"
    assert words in f"{problem.message}; {problem.fix}"
    assert problem.fix


@pytest.mark.parametrize(("text", "code", "line", "column", "words"), BROKEN)
def test_the_parser_without_libyaml_finds_the_same(text, code, line, column, words, monkeypatch):
    monkeypatch.setattr(load, "_LOADER", yaml.SafeLoader)
    problem = read_text(text, "f.yaml").problems[0]
    assert problem.code == code
    assert problem.line in (line, line + 1)
    assert "YAML cannot read this" not in problem.message


def test_good_yaml_of_every_style_is_read():
    text = """\
# comment
a: {b: [1, 'x', "y\\n"], c: }   # a comment behind a bracket is one
list:
- one
-   two   # fine
literal: |
  # no comment
  x
folded: >-
  x
  y
anchored: &anchor {x: 1}
again: *anchor
"""
    parsed = read_text(text, "f")
    assert parsed.problems == []
    assert parsed.root.value == {
        "a": {"b": [1, "x", "y\n"], "c": None},
        "list": ["one", "two"],
        "literal": "# no comment\nx\n",
        "folded": "x y",
        "anchored": {"x": 1},
        "again": {"x": 1},
    }


def test_an_empty_value_before_something_like_a_comment_is_warned_about():
    (problem,) = read_text("channel: #general\nother: # a comment\n", "f").problems
    assert (problem.code, problem.severity, problem.line, problem.column) == ("yaml-empty", "warning", 1, 10)


def test_several_syntax_errors_are_reported_at_once():
    text = "rules:\n  one:\n    when: a: b\n  two:\n    when: @x\n  three: {a: b\nconnections:\n  x: 'y\n"
    parsed = read_text(text, "f")
    assert parsed.root is None
    assert [(one.line, one.column) for one in parsed.problems] == [(3, 12), (5, 11), (6, 10), (8, 6)]


def test_all_that_a_parser_lets_pass_is_reported_together():
    parsed = read_text("a: 1\na: 2\nb: !x y\nc: *d\ne: .inf\n", "f")
    assert [one.code for one in parsed.problems] == ["duplicate-key", "yaml-tag", "yaml-alias", "bad-number"]
    assert parsed.root.value["a"] == 1


def test_no_value_of_a_source_or_a_connection_is_repeated():
    text = "connections:\n  x: {auth: 00canary, b: pa(canary # x\n}}\nsources: {y: {t: 00canary}}\n"
    problems = read_text(text, "f").problems
    assert problems
    assert not any("canary" in str(problem) for problem in problems)


def test_line_ends_of_windows_do_not_move_places():
    problem = read_text("a: 1\r\nb: 2\r\n  c: !x y\rd: !x y\n", "f").problems[0]
    assert (problem.line, problem.column) == (3, 4)


@every_row(
    ("data", "line", "column", "words"),
    [
        (b"a: 1\nb: \xff\n", 2, 4, "byte 0xff"),
        ("ä: ä".encode("latin-1"), 1, 1, "byte 0xe4"),
        ("é: ".encode() + b"\xc3", 1, 4, "byte 0xc3"),
        ("a: 1".encode("utf-16"), 1, 1, "UTF-16"),
        ("a: 1".encode("utf-32"), 1, 1, "UTF-32"),
        ("a: 1".encode("utf-16-be"), 1, 1, "U+0000"),
    ],
)
def test_other_encodings_are_named_with_the_place(data, line, column, words):
    data = b"\xfe\xff" + data if data == "a: 1".encode("utf-16-be") and words == "UTF-16" else data
    problem = read_bytes(data, "f").problems[0]
    assert words in str(problem)
    if words != "U+0000":
        assert (problem.code, problem.line, problem.column) == ("encoding", line, column)


def test_a_byte_order_mark_of_utf_8_is_taken():
    parsed = read_bytes(b"\xef\xbb\xbfa: !x b\n", "f")
    assert parsed.root.value == {"a": "b"}
    assert parsed.problems[0].column == 4


BOMBS = {
    "lists": "[" * 100_000,
    "mappings": "{a: " * 100_000,
    "dashes": "- " * 100_000,
    "keys": "? " * 100_000,
    "indented": "".join(" " * depth + "-\n" for depth in range(3000)),
    "aliases": "a0: &a0 [x,x,x,x,x,x,x,x,x]\n"
    + "".join(f"a{n + 1}: &a{n + 1} [{','.join([f'*a{n}'] * 9)}]\n" for n in range(12)),
    "long text": f"a: &a {'x' * 1_000_000}\nb: &b [{', '.join(['*a'] * 400)}]\nc: [{', '.join(['*b'] * 400)}]\n",
    "long key": f"a: &a {{? {'x' * 1_000_000} : 1}}\nb: [{', '.join(['*a'] * 900)}]\n",
    "nested aliases": "a0: &a0 [x]\n" + "".join(f"a{n + 1}: &a{n + 1} [*a{n}]\n" for n in range(500)),
    "many aliases": "a: &a x\nb: [" + "*a, " * 5000 + "]\n",
    "many problems": "a: 1\n" * 100_000,
    "many errors": "a: b: c\n" * 100_000,
    "control characters": "\x01" * 100_000,
    "errors and problems": "a: b: c\n" + "x: 1\n" * 1000,
    "unclosed": "'" + "x\n" * 500_000,
}


@every_row("name", BOMBS)
def test_bombs_are_refused_quickly(name):
    started = time.thread_time()
    parsed = read_text(BOMBS[name], "f")
    assert time.thread_time() - started < 2
    assert parsed.problems
    assert len(parsed.problems) <= 200
    assert parsed.root is None


def test_files_that_are_none_are_refused(tmp_path: Path):
    import os

    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "locked.yaml").write_text("a: 1")
    for path, words in [
        (tmp_path, "this is a folder"),
        (tmp_path / "pipe", "not a regular file"),
        (tmp_path / "absent.yaml", "No such file"),
        (Path("a\0b"), "cannot be read"),
    ]:
        parsed = read_file(path, "f")
        assert parsed.root is None
        assert words in parsed.problems[0].message


def test_a_file_that_is_too_large_is_not_read(tmp_path: Path):
    with (tmp_path / "large.yaml").open("wb") as file:
        file.truncate(load.MAX_BYTES + 1)
    assert "16,777,217 bytes" in read_file(tmp_path / "large.yaml", "f").problems[0].message


@given(st.text())
def test_no_text_raises(text):
    for json in (False, True):
        parsed = read_text(text, "f", json=json)
        assert parsed.root is not None or parsed.problems or not json


@given(st.text(alphabet="ab:-{}[]'\"&*!|>%@`#?, \n\t\\<=~$0.", max_size=60))
def test_no_yaml_raises(text):
    for problem in read_text(text, "f").problems:
        assert problem.line >= 1
        assert problem.column >= 1
        assert problem.message


@given(st.binary())
def test_no_bytes_raise(data):
    read_bytes(data, "f")
