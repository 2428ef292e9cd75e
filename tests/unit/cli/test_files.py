"""Verbs that need no instance, as a newcomer uses them."""

import json
import sys

import pytest

from service.demo.starter import NEXT
from tests.tables import every_row


def test_a_new_project_is_fine_as_it_is_written(pointsman, tmp_path):
    made = pointsman("init", "my-project")
    assert made.code == 0
    assert "wrote my-project/pointsman.yaml" in made.out
    assert "cd my-project" in made.err
    checked = pointsman("check", "my-project/pointsman.yaml", "--secrets")
    assert (checked.code, checked.out) == (0, "")
    assert checked.err == "my-project/pointsman.yaml: fine; 2 rules would run\n"
    secrets = tmp_path / "my-project/secrets"
    assert secrets.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in secrets.iterdir()} == {0o600}
    assert "secrets/" in (tmp_path / "my-project/.gitignore").read_text("utf-8").splitlines()
    schema = json.loads((tmp_path / "my-project/pointsman.schema.json").read_text("utf-8"))
    assert schema == json.loads(pointsman("schema").out)


def test_what_to_do_next_is_printed(pointsman):
    said = pointsman("init", "my project").err
    assert "cd 'my project'" in said
    for _, command in NEXT:
        assert command in said


def test_nothing_is_overwritten(pointsman, tmp_path):
    pointsman("init", "p")
    before = {path: path.read_bytes() for path in (tmp_path / "p").rglob("*") if path.is_file()}
    again = pointsman("init", "p")
    assert again.code == 1
    assert "has pointsman.yaml," in again.err
    assert "nothing was written" in again.err
    assert {path: path.read_bytes() for path in before} == before


def test_a_gitignore_that_is_there_stays_as_it_is(pointsman, tmp_path):
    (tmp_path / ".gitignore").write_text("mine\n", "utf-8")
    assert pointsman("init").code == 0
    assert (tmp_path / ".gitignore").read_text("utf-8") == "mine\n"


def test_a_folder_that_cannot_be_made_is_said(pointsman):
    ran = pointsman("init", "/proc/nothing")
    assert ran.code == 1
    assert ran.err == "pointsman: /proc/nothing: No such file or directory\n"


def test_a_file_in_the_way_is_said(pointsman, tmp_path):
    (tmp_path / "p").write_text("", "utf-8")
    ran = pointsman("init", "p")
    assert ran.code == 1
    assert "Traceback" not in ran.err
    assert "p" in ran.err


def test_every_problem_is_told_with_its_place(pointsman, tmp_path):
    pointsman("init", ".")
    path = tmp_path / "pointsman.yaml"
    text = path.read_text("utf-8")
    for right, wrong in (
        ("kind: webhook", "kind: webhok"),
        ("from: [orders]", "from: [order]"),
        ('numeric: [">=", 100]', 'numeric: [">>", 100]'),
        ('in ["EUR", "USD"]', 'in ["EUR"'),
        ("call: shop.confirmOrder", "call: shop.confirmOrdr"),
    ):
        assert right in text
        text = text.replace(right, wrong, 1)
    path.write_text(text, "utf-8")
    ran = pointsman("check")
    assert ran.code == 1
    lines = ran.err.splitlines()
    assert lines[-1] == "pointsman.yaml: 5 errors, 0 warnings; it would not run"
    assert all(line.startswith("error: pointsman.yaml:") for line in lines[:-1])
    for meant in ("did you mean `webhook`?", "did you mean `orders`?", "did you mean confirmOrder?"):
        assert meant in ran.err
    told = json.loads(pointsman("check", "-o", "json").out)["problems"]
    assert len(told) == 5
    assert all(one["file"] and one["line"] and one["column"] for one in told)
    assert len(pointsman("check", "-o", "jsonl").out.splitlines()) == 5


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "the file says nothing"),
        (b"\xff\xfe\x00", "UTF-8"),
        (b"- a: [", "broken.yaml:"),
        (b"{" * 100_000, "broken.yaml:"),
        (b"rules: {a: 1, a: 2}", "broken.yaml:"),
        (b"\x00", "broken.yaml:"),
        (b"rules: &a [*a]", "broken.yaml:"),
    ],
)
def test_a_broken_file_of_any_kind_is_a_problem_and_no_traceback(pointsman, tmp_path, content, said):
    (tmp_path / "broken.yaml").write_bytes(content)
    ran = pointsman("check", "broken.yaml")
    assert ran.code == 1
    assert "Traceback" not in ran.err
    assert said in ran.err


@every_row("path", [".", "/", "nope.yaml", "no/such/folder.yaml", "x" * 5000, "/dev/null"])
def test_a_path_that_is_no_file_is_a_problem_and_no_traceback(pointsman, path):
    ran = pointsman("check", path)
    assert ran.code in (0, 1)
    assert "Traceback" not in ran.err


def test_a_newcomer_without_a_file_is_told_how_to_begin(pointsman):
    ran = pointsman("check")
    assert ran.code == 1
    assert ran.err.endswith("to begin: pointsman init my-project\n")


def test_the_file_is_taken_from_the_environment(pointsman, monkeypatch, tmp_path):
    pointsman("init", "p")
    monkeypatch.setenv("POINTSMAN_CONFIG", str(tmp_path / "p/pointsman.yaml"))
    assert pointsman("check").code == 0
    assert "shop" in pointsman("connectors").out


@every_row(
    ("pattern", "message", "code", "out"),
    [
        ('{"a": [1]}', '{"a": 1}', 0, {"match": True}),
        ('{"a": [1]}', '{"a": 2}', 1, {"match": False}),
        ('{"a": 1}', '{"a": 1}', 1, "error"),
        ("{", "{}", 1, "error"),
        ('{"a": [1]}', "[]", 1, "error"),
    ],
)
def test_a_pattern_is_tried_on_a_message(pointsman, pattern, message, code, out):
    ran = pointsman("match", pattern, message)
    assert ran.code == code
    answer = json.loads(ran.out)
    assert answer == out or (out == "error" and list(answer) == ["error"])


def test_patterns_and_messages_come_from_files_too(pointsman, tmp_path):
    (tmp_path / "p.json").write_text('{"a": [1]}', "utf-8")
    assert pointsman("match", "@p.json", "@-", stdin=b'{"a": 1}').code == 0
    ran = pointsman("match", "@none.json", "{}")
    assert (ran.code, ran.err) == (1, "error: cannot read none.json: No such file or directory\n")


def test_what_is_no_text_is_said(pointsman):
    ran = pointsman("match", '{"a": [1]}', "\udcff")
    assert (ran.code, ran.err) == (1, "error: the text is not UTF-8\n")


def test_lines_are_answered_one_by_one(pointsman):
    given = [
        b'{"pattern": {"a": [1]}, "message": {"a": 1}}',
        b"",
        b'{"pattern": "{\\"a\\": [1]}", "message": "{\\"a\\": 2}"}',
        b"nonsense",
        b"\xff",
        b'{"pattern": {"a": 1}, "message": {}}',
    ]
    ran = pointsman("match", "--lines", stdin=b"\n".join(given))
    assert ran.code == 0
    answers = [json.loads(line) for line in ran.out.splitlines()]
    assert answers[:2] == [{"match": True}, {"match": False}]
    assert [list(one) for one in answers[2:]] == [["error"]] * 3


def test_lines_are_answered_while_they_come(pointsman, monkeypatch):
    seen = []

    class Stream:
        buffer = None

        def isatty(self):
            return False

        def __iter__(self):
            yield b'{"pattern": {}, "message": {}}\n'
            sys.stdout.flush()
            seen.append(True)

    stream = Stream()
    stream.buffer = stream
    monkeypatch.setattr("service.cli.files.sys.stdin", stream)
    from service.cli.files import match

    assert match(lines=True) == 0
    assert seen == [True]
