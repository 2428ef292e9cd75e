"""What is refused while compiling: everything at once, with a place and a fix."""

import pytest

from service.rules.cel import MAX_LENGTH, CELError, compile_expression
from tests.tables import every_row
from tests.unit.rules.cel.evaluating import problems


@every_row(
    ("text", "fix"),
    [
        ("dta.total > 100", "did you mean `data`?"),
        ("data.total = 5", "to compare, write `==`"),
        ("data.x and data.y", "write `&&`"),
        ("data.name.lower()", "use lowerAscii()"),
        ("len(data.items) > 1", "use size(value)"),
        ("data.name.trimm()", "did you mean `trim`?"),
        ("startsWith(data.name, 'a')", "it is a method: write value.startsWith(…)"),
        ("data.name.string()", "it is a function: write string(…)"),
        ("type == 'order.paid'", "did you mean `event.type`?"),
        ("subject.startsWith('a')", "write event.subject"),
        ("True", "did you mean `true`?"),
        ("1 + 1.5", "write double(1)"),
        ("'a' + 5", "write string(5)"),
        ("1u + 1", "write int(1u)"),
        ("'5' > 3", "write int('5')"),
        ("'a' in 'abc'", "write 'abc'.contains('a')"),
        ("1 < data.x < 3", "write a < b && b < c"),
        ("math.max(1, 2)", "use math.greatest(…)"),
        ("data.in", 'write ["in"]'),
        ("a{b: 1}", "write a map: {'name': value}, without a name"),
        ("data.?x.or(1)", "use orValue()"),
        ("size", "a function is called: put ( ) behind it"),
        ("''[0]", "see substring() and charAt()"),
        ("'abc", "close it with the same quote on the same line, or use three quotes"),
        ("'\\q'", "write `\\\\` for a backslash, or put r before the quote"),
        ("now()", "there is no clock here; compare times of the message with each other"),
        ("$data.x", "inside an expression there is no `$`; write the path, as in `data.id`"),
    ],
)
def test_a_problem_says_what_would_be_right(text: str, fix: str) -> None:
    (problem,) = problems(text)
    assert problem.endswith(f"; {fix}")


@every_row(
    ("text", "message"),
    [
        ("", "the expression is empty"),
        ("data.total >", "the expression ends where a value is expected"),
        ("[1, 2", "`[` is never closed"),
        ("size(5)", "no such overload: size(int); there is size(string) or"),
        ("size()", "no such overload: size()"),
        ("!5", "`!` turns a condition around, this is int"),
        ("data.a && 'x'", "`&&` joins conditions, this is string"),
        ("data.items.filter(i, i.qty + 1)", "filter() asks a condition, this is int"),
        ("data.items.map(i)", "`map` is written list.map(x, value) or"),
        ("data.items.all(1, true)", "here stands the name of a new variable"),
        ("data.items.all(a, a, true)", "the two variables have the same name"),
        ("has(data)", "`has` is written has(value.field)"),
        ("cel.bind(x, 1)", "`bind` is written cel.bind("),
        ("'a'.matches('(')", '"(" is no RE2 regular expression'),
        ("'a'.matches('(?=a)')", '"(?=a)" is no RE2 regular expression'),
        ("timestamp('yesterday')", '"yesterday" is no RFC 3339 time'),
        ("duration('1 day')", '"1 day" is no duration'),
        ("-'a'", "no such overload: -string"),
        ("null > 1", "no such overload: null > int"),
        ("{1.5: 2}", "a map key is a string, an int, a uint or a bool, not double"),
        ("99999999999999999999", "an int has 64 bits"),
        ("18446744073709551616u", "a uint has 64 bits"),
        ("'\\ud83d'", "\\ud83d is no Unicode character"),
        ("b'\\u00ff'", "`\\u00ff` is no escape"),
        ("true ? 1", "`?` is never closed"),
        ("f(1,)", "found `)` where another argument is expected"),
        ("data.", "the expression ends where a field's name is expected"),
        ("if", "`if` is a reserved word"),
        ("'a'.b", "string has no field `b`"),
        ("1.all(x, true)", "all() goes through a list or a map, this is int"),
        ("'a'.orValue(1)", "orValue() is for an optional, this is string"),
        ("[?1]", "`?` takes an optional, this is int"),
        ("1 == 'a'", "no such overload: int == string"),
    ],
)
def test_a_problem_says_what_is_wrong(text: str, message: str) -> None:
    assert any(problem.startswith(message) for problem in problems(text)), problems(text)


def test_all_problems_are_reported_in_the_order_of_the_text() -> None:
    with pytest.raises(CELError) as caught:
        compile_expression("foo.bar + baz(1) == data.x.trimm() && (1 + 'a' == 2 || !3)")
    found = [(problem.offset, problem.length, problem.code) for problem in caught.value.problems]
    assert found == [
        (0, 3, "name"),
        (10, 3, "function"),
        (27, 5, "function"),
        (41, 1, "type"),
        (56, 1, "type"),
    ]


def test_every_bad_character_and_escape_is_reported() -> None:
    assert len(problems("'\\q' + '\\w' = 5 ; @")) == 5


def test_a_caret_line_points_at_the_place_in_its_line() -> None:
    with pytest.raises(CELError) as caught:
        compile_expression("data.a == 1 &&\n  dta.b == 2")
    (problem,) = caught.value.problems
    assert problem.caret(caught.value.text) == "  dta.b == 2\n  ^^^"
    assert caught.value.render() == f"{problem}\n  dta.b == 2\n  ^^^"


def test_a_caret_line_of_a_long_line_is_cut() -> None:
    text = f"{'1 + ' * 40}foo + {'1 + ' * 10}1"
    with pytest.raises(CELError) as caught:
        compile_expression(text)
    line, carets = caught.value.problems[0].caret(text).split("\n")
    assert len(line) < 120
    assert line[carets.index("^") :].startswith("foo")


@every_row(
    "text",
    [
        "1 == 1.0",
        "data.x == null",
        "null == 'a'",
        "data.total > 100",
        "1 < 1.5",
        "data.x ? 1 : 'a'",
        "[1, 'a', null]",
        "data.items.map(i, i.qty)[0] > 1",
        ".data.x == 1",
        "data.`content-type` == 'a'",
        "data.if",
        "data.package",
    ],
)
def test_what_may_work_compiles(text: str) -> None:
    compile_expression(text)


def test_without_the_check_unknown_names_wait_until_they_are_evaluated() -> None:
    compile_expression("x || true", check=False)
    with pytest.raises(CELError):
        compile_expression("x ||", check=False)


def test_expressions_have_a_longest_length() -> None:
    compile_expression(" " * (MAX_LENGTH - 1) + "1")
    assert "the most is" in problems(" " * MAX_LENGTH + "1")[0]


@pytest.mark.parametrize(
    "piece", ["(", "[", "{", "-", "!", "a.", "f(", "true ? 1 : ", "1 + ", "a[", "has(", "1||1&&1==1+1*("]
)
def test_nesting_is_bounded_for_any_text(piece: str) -> None:
    with pytest.raises(CELError):
        compile_expression((piece * MAX_LENGTH)[:MAX_LENGTH])


def test_the_specified_minimum_of_nesting_compiles() -> None:
    compile_expression("(" * 32 + "1" + ")" * 32)
    compile_expression(" || ".join(["true"] * 500))
    compile_expression("true ? 1 : " * 24 + "1")
    compile_expression(" + ".join(["1"] * 32))
    compile_expression("[" * 32 + "]" * 32)
    compile_expression("data" + ".a" * 32)


def test_problems_are_counted_up_to_a_hundred() -> None:
    assert len(problems("[" + "foo," * 2_000 + "]")) == 100
    assert len(problems("@" * 2_000)) == 100


@every_row(
    "text",
    [
        "optional.of(1).optMap(x)",
        "optional.of(1).optMap(1, 2)",
        "optional.of(1).optFlatMap(x, 1)",
        "optional.of(1).or(1)",
        "optional.of(1).or()",
        "optional.of(1).orValue()",
        "cel.bind(1, 2, 3)",
        "[1]['a']",
        "math.foo(1)",
        "data.x.has(1)",
        "has('a'.b)",
        "data.?x(1)",
        "data.1",
        "'\\",
        "'\\400'",
        "b'\\400'",
        "in",
        ". 5",
        ".true",
        "[1, 2, 3}",
        "{1, 2}",
        "data.x..y",
        "data.x ? : 1",
        "999999999999999999999999999999999999999999999999u",
        "''' abc",
        "a.b.c{}",
        "timestamp('9999-12-31T23:59:59Z') + 1",
    ],
)
def test_refused(text: str) -> None:
    assert problems(text)


def test_problems_of_a_call_do_not_hide_those_inside_it() -> None:
    assert len(problems("foo(bar, baz.qux()) + math.foo(zig)")) == 6


def test_regular_expressions_of_one_expression_are_bounded() -> None:
    text = " || ".join(f"data.x.matches('a{{{number}}}\\\\pL{{500}}')" for number in range(200))
    assert any("budget is used up" in problem for problem in problems(text))


def test_too_many_problems_stop_being_written() -> None:
    text = "[" + ", ".join(["foo()", "1 + 'a'", "bar"] * 60) + "]"
    assert len(problems(text)) == 100
