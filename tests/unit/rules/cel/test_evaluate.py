"""What expressions are worth, where the published conformance cases do not look: JSON values, errors, optionals."""

import math
from typing import Any

import pytest

from service.rules.cel import ABSENT, Budget, Duration, Timestamp, TypeValue, Uint, compile_expression
from tests.tables import every_row
from tests.unit.rules.cel.evaluating import MESSAGE, failure, value


@every_row(
    ("text", "expected"),
    [
        ("data.total > 100", False),
        ("data.total > 99 && data.currency in ['EUR', 'USD']", True),
        ("100 > data.total", True),
        ("data.count == 3.0", True),
        ("data.count != 3u", False),
        ("data.paid == 1", False),
        ("data.note == null", True),
        ("data.big > 9223372036854775807", True),
        ("data.big == data.big", True),
        ("event.data.total == data.total", True),
        ("data['currency']", "EUR"),
        ("data.customer.tags[1]", "eu"),
        ("data.items[1].qty", 7),
        ("data.items.exists(i, i.qty > 5)", True),
        ("data.items.map(i, i.sku).join('+')", "a+b"),
        ("data.items.filter(i, i.qty > 5)[0].sku", "b"),
        ("data.customer.exists(k, k == 'name')", True),
        ("data.items.transformMap(i, item, item.sku)", {0: "a", 1: "b"}),
        ("data.items.transformMapEntry(i, item, {item.sku: item.qty})", {"a": 1, "b": 7}),
        ("data.items.transformList(i, item, i > 0, item.sku)", ["b"]),
        ("data.__class__", "text"),
        ("data['']", "empty"),
        ("has(data.note)", True),
        ("has(data.nothing)", False),
        ("'note' in data", True),
        ("true in data", False),
        ("cel.bind(x, data.count * 2, x + x)", 12),
        ("data.total + 0.5", 100.0),
        ("-data.count", -3),
        ("data.currency + '!'", "EUR!"),
        ("data.count % 2", 1),
        ("type(data.total) == double", True),
        ("string(data.total) + ' ' + string(1000000.0)", "99.5 1000000"),
        ("'%s: %d, %.2f'.format([data.customer.tags, data.count, data.total])", "[new, eu]: 3, 99.50"),
        ("[1, 2] + [3] == [1, 2, 3]", True),
        ("[true] == [1]", False),
        ("{'a': 1} == {'a': 1.0}", True),
        ("{true: 'x', 1: 'y'}[true]", "x"),
        ("{true: 1}.map(k, k)", [True]),
        ("data.items.all(a, data.items.exists(b, a == b))", True),
        ("data.items.map(a, data.items.map(b, a.qty * b.qty))", [[1, 7], [7, 49]]),
        ("[1, 2].map(x, [3, 4].map(y, x * y)) == [[3, 4], [6, 8]]", True),
        ("-9223372036854775808", -(2**63)),
        ("0x10 + 15", 31),
        ("// a comment\n1 // another", 1),
        ("data.count > 2 ? 'many' : 'few'", "many"),
        ("math.greatest(data.count, data.total, 7u)", 99.5),
        ("base64.decode(base64.encode(b'abc'))", b"abc"),
        ("timestamp('2026-01-31T09:30:00+02:00').getHours()", 7),
        ("timestamp('2026-01-31T09:30:00Z').getDayOfWeek('America/New_York')", 6),
        ("string(timestamp('2026-01-31T09:30:00.120Z') + duration('1h0.5s'))", "2026-01-31T10:30:00.62Z"),
        ("string(duration('-1.5s'))", "-1.5s"),
        ("int('-12') + int(3.9) + int(4u)", -5),
        ("'abc'.matches('^a.c$') && !'abc'.matches('^b')", True),
        ("data.currency.matches('^' + 'E')", True),
    ],
)
def test_value(text: str, expected: Any) -> None:
    found = value(text)
    assert found == expected
    assert type(found) is type(expected)


@every_row(
    ("text", "message"),
    [
        ("data.totl > 1", "no such key: `totl`; did you mean `total`?"),
        ("data.currency.name", "string has no field `name`"),
        ("data.items[2]", "index out of range: 2 in a list of 2"),
        ("data.items[-1]", "index out of range: -1 in a list of 2"),
        ("data.items['0']", "a list is indexed by a whole number, not string"),
        ("data.items[true]", "a list is indexed by a whole number, not bool"),
        ("data.currency[0]", "string cannot be indexed; a list or a map can"),
        ("data.count + data.total", "no such overload: int + double; write double(data.count)"),
        ("data.total * 2", "no such overload: double * int; write double(2)"),
        ("data.count * 1.5", "no such overload: int * double; write double(data.count)"),
        ("data.currency + data.count", "no such overload: string + int; write string(data.count)"),
        ("data.currency > data.count", "no such overload: string > int; write int(data.currency)"),
        (
            "data.total % data.total",
            "no such overload: double % double; % is for whole numbers: int(…) makes one",
        ),
        ("data.note > 1", "no such overload: null > int"),
        ("data.big + 1", "integer overflow: an int has 64 bits"),
        ("data.big - data.big", "integer overflow: an int has 64 bits"),
        ("data.count / 0", "division by zero"),
        ("data.count && true", "no such overload: `&&` joins conditions, this is int"),
        ("true && data.count", "no such overload: `&&` joins conditions, this is int"),
        ("data.count ? 1 : 2", "no such overload: `?` asks a condition, this is int"),
        ("!data.count", "no such overload: `!` turns a condition around, this is int"),
        ("-data.currency", "no such overload: -string"),
        (
            "data.count.startsWith('a')",
            "no such overload: int.startsWith(string); there is string.startsWith(string)",
        ),
        ("data.count.exists(x, true)", "exists() goes through a list or a map, not int"),
        ("data.items.all(i, i.qty)", "no such overload: all() asks a condition, this is int"),
        ("{data.currency: 1, 'EUR': 2}", 'the key "EUR" stands twice in the map'),
        ("{data.total: 1}", "a map key is a string, an int, a uint or a bool, not double"),
        ("data.count.optMap(x, x)", "optMap() is for an optional, this is int"),
        ("data.count.orValue(1)", "orValue() is for an optional, this is int"),
        ("data.?nothing.value()", "value() of an optional that is absent; orValue() gives a default"),
        (
            "data.currency.matches('(' + data.currency)",
            '"(EUR" is no RE2 regular expression: missing ): (EUR',
        ),
        ("int(data.currency)", '"EUR" is no whole number'),
        ("timestamp(data.currency)", '"EUR" is no RFC 3339 time, as 2026-01-31T09:30:00Z'),
        ("timestamp(0).getHours('Nowhere/City')", 'the time zone "Nowhere/City" is not known here'),
        (
            "timestamp(0).getHours('../../etc/passwd')",
            '"../../etc/passwd" is no time zone, as Europe/Paris or +02:00',
        ),
        (
            "data.currency in data.currency",
            "no such overload: string in string; write data.currency.contains(data.currency)",
        ),
    ],
)
def test_error(text: str, message: str) -> None:
    assert str(failure(text)) == message


def test_an_error_points_at_its_part() -> None:
    text = "data.count == 3 && data.customer.nam == 'x'"
    error = failure(text)
    assert text[error.offset : error.offset + error.length] == "nam"
    text = "data.count == 3 && (data.count + 1.5) > 2.0"
    error = failure(text)
    assert text[error.offset : error.offset + error.length] == "(data.count + 1.5)"


def test_a_decisive_operand_absorbs_errors_on_either_side() -> None:
    assert value("data.nothing == 1 || data.count == 3") is True
    assert value("data.count == 3 || data.nothing == 1") is True
    assert value("data.nothing == 1 && data.count == 4") is False
    assert value("data.nothing == 1 && data.count == 4 && data.currency == 1") is False
    assert value("data.items.exists(i, i.nothing == 1 || i.qty == 7)") is True
    assert value("data.items.all(i, i.nothing == 1 && i.qty == 0)") is False
    assert "nothing" in str(failure("data.nothing == 1 || data.count == 4"))


def test_optionals() -> None:
    assert value("data.?nothing") is ABSENT
    assert value("data.?currency") == "EUR"
    assert value("data.?customer.?name.orValue('-')") == "Ada"
    assert value("data.?nothing.?name.orValue('-')") == "-"
    assert value("data.?nothing.name.deeper.orValue('-')") == "-"
    assert value("data.items[?5].?sku.orValue('-')") == "-"
    assert value("data.?nothing.or(data.?count).value()") == 3
    assert value("data.?count.optMap(c, c + 1).orValue(0)") == 4
    assert value("data.?customer.optFlatMap(c, c.?tags)") == ["new", "eu"]
    assert value("{?'a': data.?nothing, ?'b': data.?count}") == {"b": 3}
    assert value("[?data.?nothing, ?data.?count]") == [3]
    assert value("optional.of(optional.of(1))") == 1
    assert value("optional.none()") is ABSENT
    assert value("data.?currency.orValue(1 / 0)") == "EUR"
    assert value("has(data.?customer.name)") is True


def test_plain_path_is_only_fields_and_constant_indexes() -> None:
    paths = {
        "data": ("data",),
        "data.a.b": ("data", "a", "b"),
        'data["x"][0]': ("data", "x", 0),
        "(data.a)": ("data", "a"),
        ".data.a": ("data", "a"),
        "data.`a-b`": ("data", "a-b"),
        "data.?a": ("data", "a"),
        "data.?a.b": ("data", "a", "b"),
        'data[?"x"][?0]': ("data", "x", 0),
        "data[-1]": None,
        "data[true]": None,
        "data[1u]": None,
        "data[data.a]": None,
        "data.a + 1": None,
        "1": None,
        "[1][0]": None,
    }
    assert {text: compile_expression(text).plain_path for text in paths} == paths


def test_reads_are_the_paths_before_anything_dynamic() -> None:
    reads = {
        "data.a.b > 1 && meta.c == 'x'": {("data", "a", "b"), ("meta", "c")},
        "data.items.map(i, i.sku + data.x)": {("data", "items"), ("data", "x")},
        "data.items[0].sku": {("data", "items")},
        "data[data.key].x": {("data",), ("data", "key")},
        "has(data.a.b)": {("data", "a", "b")},
        "data.?a.?b.orValue(event.c)": {("data", "a", "b"), ("event", "c")},
        "data.a[?'b']": {("data", "a", "b")},
        "{'x': data.a}.x": {("data", "a")},
        "cel.bind(d, data.a, d.b)": {("data", "a")},
        "steps.one.body.id": {("steps", "one", "body", "id")},
        "data": {("data",)},
        "1 + 1": set(),
        "data.s.matches('a')": {("data", "s")},
    }
    assert {text: set(compile_expression(text).reads) for text in reads} == reads


def test_a_variable_that_is_not_there_is_an_error() -> None:
    program = compile_expression("data.x == 1 || true")
    assert program.evaluate({}, Budget()) is True
    with pytest.raises(ValueError, match="`data` is not there"):
        compile_expression("data.x").evaluate({}, Budget())


def test_macro_variables_hide_others_and_a_leading_dot_shows_them() -> None:
    assert value("[1].map(data, data + 1)") == [2]
    assert value("[1].map(data, .data.count)") == [3]
    assert value("[[1, 2], [3]].map(x, x.map(x, x * 2))") == [[2, 4], [6]]


def test_variables_may_have_dots() -> None:
    seen = {"a.b": {"c": 1}, "a": {"b": {"c": 2}}}
    assert compile_expression("a.b.c", variables=tuple(seen)).evaluate(seen, Budget()) == 1


def test_large_integers_of_a_message_compare_with_doubles() -> None:
    assert value("x > 1e10", x=2**200) is True
    assert value("x > 1e10", x=10**400) is True
    assert value("x == 9007199254740993", x=2**53 + 1) is True
    assert value("x == 9007199254740993", x=2**53) is False
    assert value("x < y", x=2**63 - 1, y=float(2**63)) is False


def test_doubles_follow_ieee() -> None:
    assert value("1.0 / 0.0") == math.inf
    assert math.isnan(value("0.0 / 0.0"))
    assert value("0.0 / 0.0 == 0.0 / 0.0") is False
    assert value("x == x", x=math.nan) is False
    assert math.copysign(1.0, value("-0.0")) == -1.0


def test_kinds_of_results() -> None:
    assert type(value("1u + 2u")) is Uint
    assert value("timestamp(1)") == Timestamp(10**9)
    assert value("duration('2s')") == Duration(2 * 10**9)
    assert value("type(1)") == TypeValue("int")


def test_evaluating_changes_nothing_in_the_message() -> None:
    before = repr(MESSAGE)
    value("(data.customer.tags + ['x']).map(t, t + '!')")
    value("{'c': data.customer}.c.tags + [1]")
    assert repr(MESSAGE) == before


def test_one_program_serves_many_messages_at_once() -> None:
    program = compile_expression("data.items.map(i, i.qty * data.factor)")
    budgets = [Budget(), Budget()]
    first = {"data": {"items": [{"qty": 1}], "factor": 2}}
    second = {"data": {"items": [{"qty": 3}, {"qty": 4}], "factor": 10}}
    assert program.evaluate(first, budgets[0]) == [2]
    assert program.evaluate(second, budgets[1]) == [30, 40]
    assert program.evaluate(first, budgets[1]) == [2]


@every_row(
    ("text", "message"),
    [
        ("data.items[vast]", "index out of range: a very large number in a list of 1"),
        ("data[vast]", "no such key: int a very large number"),
        ("{vast: 1, vast + 0: 2}", "integer overflow: an int has 64 bits"),
        ("[1].transformMapEntry(i, x, {'a': 1, 'b': i}).c", "no such key: `c`"),
        ("[1, 2].transformMapEntry(i, x, {'a': x})", 'the key "a" is made twice'),
        ("[1].transformMapEntry(i, x, x)", "transformMapEntry() makes maps, this is int"),
        ("[1].map(x, x, x)", "no such overload: map() asks a condition, this is int"),
        ("[1].filter(x, x)", "no such overload: filter() asks a condition, this is int"),
        ("[1].exists_one(x, x)", "no such overload: exists_one() asks a condition, this is int"),
        ("[data.one].exists_one(x, x)", "no such overload: exists_one() asks a condition, this is int"),
        ("data.one == 2 && data.one && true", "no such key"),
        ("true && data.one && true", "no such overload: `&&` joins conditions, this is int"),
        ("data.nothing && data.one && true", "no such key: `nothing`"),
        ("data.one % 0", "modulus by zero"),
        ("-data.least", "integer overflow: an int has 64 bits"),
        ("-data.text", "no such overload: -string"),
        ("data.text[?0]", "string cannot be indexed; a list or a map can"),
        ("has(data.one.x)", "int has no field `x`"),
        ("data.one.?x", "int has no field `x`"),
        ("data.?one.optFlatMap(x, x)", "optFlatMap() makes an optional, this is int"),
        ("data.?two.or(data.one)", "or() takes an optional, this is int"),
        ("[?data.one]", "`?` takes an optional, this is int"),
        ("{?'a': data.one}", "`?` takes an optional, this is int"),
        ("{data.one + 0.5: 1}", "no such overload: int + double; write double(data.one)"),
        ("{1.5: 1}", "a map key is a string, an int, a uint or a bool, not double"),
        ("{1: 'a', 1: 'b'}", "the key 1 stands twice in the map"),
        ("data.one + data.odd", "no such overload: int + any value"),
        ("data.text - data.text", "no such overload: string - string"),
        ("'a'.split(data.one)", "no such overload: string.split(int); there is string.split(string) or"),
        ("math.bitAnd(data.one, dyn(1.0))", "no such overload: math.bitAnd(int, double); there is"),
    ],
)
def test_error_over_other_values(text: str, message: str) -> None:
    data = {"items": [1], "one": 1, "least": -(2**63), "text": "text", "odd": 1j}
    program = compile_expression(text, variables=("data", "vast"), check=False)
    if message == "no such key":
        assert program.evaluate({"data": data, "vast": 10**5_000}, Budget()) is False
        return
    with pytest.raises(ValueError, match=r".") as caught:
        program.evaluate({"data": data, "vast": 10**5_000}, Budget())
    assert str(caught.value).startswith(message)


@every_row(
    ("text", "expected"),
    [
        ("-7 / 2", -3),
        ("7 / -2", -3),
        ("-7 % 2", -1),
        ("7u / 2u", Uint(3)),
        ("7u % 4u", Uint(3)),
        ("-1.0 / 0.0", -math.inf),
        ("[1, 2, 3].exists_one(x, x > 2)", True),
        ("[1, 2, 3].exists_one(x, x > 1)", False),
        ("[1, 2].transformMapEntry(i, x, x > 1, {'a': x})", {"a": 2}),
        ("{true: 1, 2u: 2}.transformList(k, v, [k, v])", [[True, 1], [Uint(2), 2]]),
        ("[{'a': {'b': {'c': 1}}}].map(x, x.a.b.c)", [1]),
        ("{'a': {'b': {'c': 1}}}.a.b.c", 1),
        ("data.a.b.c", 1),
        ("3 in [1, 2.0, 3u]", True),
        ("3 in [1, 'a', null]", False),
        ("3.5 in {3: 1}", False),
        ("b'a' in {'a': 1}", False),
        ("[1] == [1, 2]", False),
        ("{'a': 1} == {'b': 1}", False),
        ("{'a': 1} == {'a': 1, 'b': 1}", False),
        ("long == other && !(long < other)", True),
        ("bytes(long) == bytes(other)", True),
        ("'b' > 'a' && b'b' > b'a' && true > false", True),
        ("timestamp(1) > timestamp(0) && duration('2s') >= duration('2s')", True),
        ("timestamp(5) - timestamp(2) == duration('3s')", True),
        ("timestamp(5) - duration('5s') == duration('0s') + timestamp(0)", True),
        ("b'a' + b'b'", b"ab"),
        ("optional.of([1])[0].orValue(2)", 1),
        ("optional.of({'a': 1})[?'a'].orValue(2)", 1),
        ("optional.none()[?'a'].orValue(2)", 2),
        ("has(optional.none().a)", False),
        ("[{'a': null}] == [{'a': null}]", True),
        ("-(2.5)", -2.5),
        ("7.0 / 2.0", 3.5),
        ("data.a.b.c > 1 ? 'yes' : 'no'", "no"),
        ("optional.none().optMap(x, x)", ABSENT),
        ("optional.none() == optional.of(1)", False),
        ("[1, 2].transformMap(i, x, x > 1, x)", {1: 2}),
        ("{?'a': optional.of(data.a.b.c), 'b': 1}", {"a": 1, "b": 1}),
        ("true && data.a.b.c == 1 && data.a.b.c < 2", True),
    ],
)
def test_more_values(text: str, expected: Any) -> None:
    variables = {"data": {"a": {"b": {"c": 1}}}, "long": "x" * 5_000, "other": "x" * 5_000}
    found = value(text, **variables)
    assert found == expected
    assert type(found) is type(expected)


def test_a_path_through_something_else_is_an_error() -> None:
    for text in ("[{'a': 1}].map(x, x.a.b)", "[{'a': 1}].map(x, x.a.b.c)", "[1].map(x, x.a)", "data.a.b.c.d"):
        assert "no field" in str(failure(text, data={"a": {"b": {"c": 1}}}))


def test_a_foreign_value_equals_nothing() -> None:
    assert value("x == x", x=1j) is False
    assert value("x == 1", x=1j) is False


def test_the_end_of_the_budget_passes_through_every_chain() -> None:
    for text in (
        "true && many.all(x, true) && true",
        "many.all(x, true) || true",
        "many.exists(x, many.all(y, true))",
    ):
        assert "is used up" in str(failure(text, 20, many=[1] * 50))
