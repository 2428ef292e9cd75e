from service.config.load import read_text
from tests.tables import every_row


def value(text):
    parsed = read_text(f"a: {text}\n", "f")
    assert parsed.root is not None, parsed.problems
    return parsed.root.value["a"]


@every_row(
    "text",
    [
        "on", "On", "ON", "off", "yes", "Yes", "YES", "no", "No", "NO", "y", "n", "Y", "N", "=", "12:30:45", "1:20",
        "190:20:30.15", "2024-01-01", "2024-01-01T00:00:00Z", "2001-12-14 21:59:43.10 -5", "1_000", "0b1010", "1e", "e1",
        "0o8", "0xg", "+", "--1", "1.2.3", "1e5e5", ".", "..", "+.", "nan", "inf", "tRUE", "nULL", "Nan", "0x",
        "127.0.0.1", "+-1", "1,000", "<<", "${data.id}", "data.a == 'b'", "GET /x", "a:b", "http://x/y", "50/s", "10s",
    ],
)  # fmt: skip
def test_what_looks_like_text_is_text(text):
    assert value(text) == text


@every_row(
    ("text", "expected"),
    [
        ("", None), ("~", None), ("null", None), ("Null", None), ("NULL", None),
        ("true", True), ("True", True), ("TRUE", True), ("false", False), ("False", False), ("FALSE", False),
        ("0", 0), ("-0", 0), ("12", 12), ("+12", 12), ("-12", -12), ("0o14", 12), ("0x1F", 31),
        ("1.5", 1.5), ("-1.5", -1.5), (".5", 0.5), ("5.", 5.0), ("1e3", 1000.0), ("1E-3", 0.001), ("+1.5e+2", 150.0),
        ("18446744073709551616", 2**64), ("12345678901234567890123", 12345678901234567890123),
        ("'12'", "12"), ('"true"', "true"), ("'~'", "~"), ("''", ""), ("'<<'", "<<"), ("'!x'", "!x"),
    ],
)  # fmt: skip
def test_the_core_schema_of_yaml_1_2_and_nothing_else(text, expected):
    found = value(text)
    assert found == expected
    assert type(found) is type(expected)


def test_keys_are_always_text():
    parsed = read_text("200: a\non: b\ntrue: c\n~: d\n1.0: e\n2024-01-01: f\n=: g\n'': h\n", "f")
    assert list(parsed.root.value) == ["200", "on", "true", "~", "1.0", "2024-01-01", "=", ""]
    assert not parsed.problems


def test_a_number_with_leading_zeros_is_warned_about():
    parsed = read_text("rules:\n  zip: 01234\n", "f")
    assert parsed.root.value == {"rules": {"zip": 1234}}
    (problem,) = parsed.problems
    assert (problem.code, problem.severity, problem.line, problem.column) == (
        "leading-zeros",
        "warning",
        2,
        8,
    )
    assert problem.found == "01234"


@every_row("text", [".inf", "-.INF", ".nan", "1e999", "-1e999", "9" * 1001, "1." + "0" * 1001])
def test_numbers_that_json_cannot_hold_are_refused(text):
    (problem,) = read_text(f"a: {text}\n", "f").problems
    assert (problem.code, problem.severity, problem.line, problem.column) == ("bad-number", "error", 1, 4)
