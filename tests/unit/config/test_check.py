import json
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.config.check import canonical, load_configuration, problems_at
from service.config.marks import Marks
from service.errors import Problem

GOOD = """\
version: 1
sources:
  door: {kind: bell, verify: {scheme: signed, secrets: [{env: NEW}, {env: OLD}]}, volume: 3}
connectors:
  shop: {spec: shop.json}
connections:
  shop:
    connector: shop
    server: https://{region}.shop.example/v1
    variables: {region: eu}
    auth: {bearer: {env: TOKEN}}
    limits: {rate: 50/s, in_flight: 4, timeout: 5s, max_answer: 64KiB}
    egress: [public, 10.0.0.0/8, "[::1]", shop.internal, "127.0.0.1:8080"]
    breaker: {failures: 3, first: 2s, max: 1m}
  plain: {connector: shop}
rules:
  big-orders:
    description: for people
    from: [door, pointsman]
    match: {type: [order.paid]}
    when: 'data.total > 5 # not a comment'
    key: "data.customer"
    mode: queued
    do:
      - call: shop.reserveStock
        with: {body: {items: "${data.items}"}}
        retry: {for: 3d, first: 500ms, max: 1h}
        on: {409: ok, 5xx: retry}
        on_unknown: dead
        timeout: 2s
      - {name: again, call: plain.reserveStock}
    tests:
      - {name: small, message: {type: order.paid}, expect: no match}
    was: [large-orders, huge-orders]
"""
ENV = {"NEW": "secret-new", "OLD": "secret-old", "TOKEN": "secret-token"}


def lines(checked):
    return [(problem.code, problem.line, problem.column) for problem in checked.problems]


def test_a_good_configuration_becomes_models(check):
    checked = check(GOOD.replace('"[::1]"', '"::1"'), **ENV)
    assert checked.problems == ()
    configuration = checked.configuration
    shop = configuration.connections["shop"]
    assert shop.auth.bearer.get_secret_value() == "secret-token"
    assert shop.limits.rate.per_second == 50
    assert shop.limits.timeout == timedelta(seconds=5)
    assert shop.limits.max_answer == 65536
    assert shop.breaker.max == timedelta(minutes=1)
    assert configuration.connections["plain"].egress == ("public",)
    rule = configuration.rules["big-orders"]
    assert rule.from_ == ("door", "pointsman")
    assert rule.when == "data.total > 5 # not a comment"
    assert rule.was == ("large-orders", "huge-orders")
    first, second = rule.do
    assert (first.connection, first.operation, first.step) == ("shop", "reserveStock", "reserveStock")
    assert first.retry.for_ == timedelta(days=3)
    assert first.on == {"409": "ok", "5xx": "retry"}
    assert (second.step, second.timeout) == ("again", None)
    door = configuration.sources["door"]
    assert [secret.get_secret_value() for secret in door.verify.secrets] == ["secret-new", "secret-old"]
    assert checked.path("/connectors/shop/spec") == Path.cwd() / "shop.json"
    assert [file.name for file in checked.files] == ["pointsman.yaml"]


def test_a_stored_document_can_be_validated_again(check):
    checked = check(GOOD.replace('"[::1]"', '"::1"'), **ENV)
    document = json.loads(checked.document)
    assert document["connections"]["shop"]["auth"] == {"bearer": {"env": "TOKEN"}}
    assert "include" not in document
    assert canonical(document) == checked.document


def test_the_stored_form_keeps_the_order_of_keys_since_requests_are_made_of_it():
    assert canonical({"with": {"body": {"uid": 1, "amount": 2}}}) == b'{"with":{"body":{"uid":1,"amount":2}}}'


def test_short_forms_mean_the_same(check):
    text = "sources: {a: {kind: bell}}\nrules: {r: {from: a, was: b, do: [{call: s.x}]}}\n"
    more = "connectors: {s: {spec: shop.json}}\nconnections: {s: {connector: s, egress: 10.0.0.0/8}}\n"
    configuration = check(text + more).configuration
    assert configuration.rules["r"].from_ == ("a",)
    assert configuration.rules["r"].was == ("b",)
    assert configuration.connections["s"].egress == ("10.0.0.0/8",)


RULE = "sources: {door: {kind: bell}}\nconnectors: {shop: {spec: shop.json}}\nconnections: {shop: {connector: shop}}\n"
RULES = RULE + "rules:\n  r: "
CONNECTION = "connectors: {shop: {spec: shop.json}}\nconnections:\n  shop: {connector: shop, "
DO = "do: [{call: shop.a}]"

OPERATIONS = "connectors: {shop: {spec: shop.json, operations: "
VERSIONS = "connectors: {shop: {spec: shop.json, versions: {v1: "
WRONG = [
    # text, code, line, column, found, part of message or fix
    ("conections: {}\nrules: {}\n", "unknown-field", 1, 1, "", "did you mean `connections`?"),
    ("settings: {}\n", "unknown-field", 1, 1, "", "POINTSMAN_"),
    ("version: 2\n", "wrong-choice", 1, 10, "2", "write version: 1"),
    ("version: true\n", "wrong-choice", 1, 10, "true", "must be 1"),
    ("sources: {door: {kind: bel}}\n", "unknown-kind", 1, 24, '"bel"', "did you mean `bell`?"),
    ("sources: {door: {kind: 5}}\n", "unknown-kind", 1, 24, "5", "there are: bell"),
    ("sources: {door: {volume: 5}}\n", "missing-field", 1, 11, "", "add kind"),
    ("sources: {door: bell}\n", "wrong-type", 1, 17, '"bell"', "must be a mapping"),
    ("sources: {pointsman: {kind: bell}}\n", "reserved-name", 1, 11, "", "another name"),
    ("sources: {Door: {kind: bell}}\n", "bad-name", 1, 11, '"Door"', "lower-case"),
    ("sources: {door: {kind: bell, volum: 5}}\n", "unknown-field", 1, 30, "", "did you mean `volume`?"),
    ("sources: {door: {kind: bell, volume: 12}}\n", "out-of-range", 1, 38, "12", "at most 11"),
    ("sources: {door: {kind: bell, verify: {scheme: sign}}}\n", "wrong-choice", 1, 38, "", "did you mean `signed`?"),
    ("sources: {door: {kind: bell, verify: {scheme: open, x: 1}}}\n", "unknown-field", 1, 53, "", "scheme"),
    ("connectors: {shop: {spec: shop.jsn}}\n", "bad-file", 1, 27, "shop.jsn", "did you mean `shop.json`?"),
    ("connectors: {shop: {spec: shop.json/x}}\nconnections: {s: {connector: shp}}\n", "unknown-connector", 2, 30, "shp", "`shop`"),
    ("connectors: {shop: {spec: nope/x}}\n", "bad-file", 1, 27, "nope/x", "relative"),
    ("connectors: {shop: {spec: 'https://u:p@x/y?z'}}\n", "spec-url", 1, 27, "https://x/y", "connectors fetch shop` fetches it and says"),
    (f"connectors: {{shop: {{spec: 'https://x/y', sha256: {'a' * 64}}}}}\n", "spec-url", 1, 27, "https://x/y", "fetches it again"),
    (f"connectors: {{shop: {{spec: shop.json, sha256: {'a' * 64}}}}}\n", "wrong-value", 1, 20, "", "and this is none"),
    ("connectors: {shop: {spec: 'https://x/y', sha256: a}}\n", "wrong-form", 1, 50, '"a"', "64 hexadecimal"),
    ("connectors: {shop: {spec: ''}}\n", "out-of-range", 1, 27, '""', "must not be empty"),
    ("connectors: {shop: {}}\n", "wrong-value", 1, 20, "", "either a description or a kind"),
    (OPERATIONS + "{}}}\n", "wrong-value", 1, 50, "", "give `include`, `exclude` or both"),
    (OPERATIONS + "[a]}}\n", "wrong-type", 1, 50, "a list", "must be a mapping"),
    (OPERATIONS + "{includ: [a]}}}\n", "unknown-field", 1, 51, "", "did you mean `include`?"),
    (OPERATIONS + "{include: []}}}\n", "out-of-range", 1, 60, "", "must not be empty"),
    (OPERATIONS + "{include: [5]}}}\n", "wrong-type", 1, 61, "5", "must be text"),
    (OPERATIONS + "{exclude: [{tag: a}]}}}\n", "wrong-value", 1, 61, "", "write `tag:NAME`, without a space"),
    (OPERATIONS + "{exclude: ['tag:']}}}\n", "wrong-value", 1, 61, '"tag:"', "names an operation or a tag"),
    (OPERATIONS + "{exclude: ['a**']}}}\n", "wrong-value", 1, 61, '"a**"', "already stands for any run"),
    (OPERATIONS + "{exclude: 'a**'}}}\n", "wrong-value", 1, 60, '"a**"', "already stands for any run"),
    ("connectors: {mq: {kind: kafka, operations: {exclude: a}}}\n", "wrong-value", 1, 18, "", "no operations to choose from"),
    (VERSIONS + "''}}}\n", "out-of-range", 1, 53, '""', "must not be empty"),
    (VERSIONS + "5}}}\n", "wrong-type", 1, 53, "5", "must be a mapping"),
    (VERSIONS + "{}}}}\n", "wrong-value", 1, 53, "", "give `spec: file`"),
    (VERSIONS + "{deprecated: old}}}}\n", "wrong-value", 1, 53, "", "give `spec: file`"),
    (VERSIONS + "{spec: shop.json, deprecatd: x}}}}\n", "unknown-field", 1, 71, "", "did you mean `deprecated`?"),
    (VERSIONS + "{spec: shop.json, deprecated: ''}}}}\n", "out-of-range", 1, 83, '""', "must not be empty"),
    (VERSIONS + "{spec: shop.json, withdrawn: true}}}}\n", "wrong-type", 1, 82, "true", "must be text"),
    (VERSIONS + "{spec: shop.json, deprecated: a, withdrawn: b}}}}\n", "wrong-value", 1, 53, "", "remove `deprecated`"),
    (VERSIONS + "{spec: shop.jsn}}}}\n", "bad-file", 1, 60, "shop.jsn", "did you mean `shop.json`?"),
    (VERSIONS + "shop.jsn}}}\n", "bad-file", 1, 53, "shop.jsn", "did you mean `shop.json`?"),
    ("connections: {shop: {connector: shp}}\n", "unknown-connector", 1, 33, "shp", "no connector at all"),
    (CONNECTION + "server: 'ftp://x'}\n", "wrong-value", 3, 35, '"ftp://x"', "not the URL of a server"),
    (CONNECTION + "server: 'https://x/y?z=1'}\n", "wrong-value", 3, 35, '"https://x/y?z=1"', "without query"),
    (CONNECTION + "server: 'https://u:p@x'}\n", "wrong-value", 3, 35, "***", "no credentials"),
    (CONNECTION + "limits: {rate: 50}}\n", "wrong-value", 3, 42, "50", "50/s"),
    (CONNECTION + "limits: {timeout: 10}}\n", "wrong-value", 3, 45, "10", "needs a unit"),
    (CONNECTION + "limits: {max_answer: 1Mib}}\n", "wrong-value", 3, 48, '"1Mib"', "1MiB"),
    (CONNECTION + "limits: {in_flight: '5'}}\n", "wrong-type", 3, 47, '"5"', "a whole number"),
    (CONNECTION + "limits: {in_flight: 0}}\n", "out-of-range", 3, 47, "0", "at least 1"),
    (CONNECTION + "limits: [a]}\n", "wrong-type", 3, 35, "a list", "must be a mapping"),
    (CONNECTION + "hold: no}\n", "wrong-type", 3, 33, '"no"', "write false"),
    (CONNECTION + "engine: htpx}\n", "wrong-choice", 3, 35, '"htpx"', "did you mean `httpx`?"),
    (CONNECTION + "variables: {port: 80}}\n", "wrong-type", 3, 45, "80", 'quote it: "80"'),
    (CONNECTION + "variables: {port: true}}\n", "wrong-type", 3, 45, "true", 'quote it: "true"'),
    (CONNECTION + "egress: []}\n", "out-of-range", 3, 35, "", "must not be empty"),
    (CONNECTION + "egress: [public, 300.1.1.1]}\n", "wrong-value", 3, 44, '"300.1.1.1"', "not a destination"),
    (CONNECTION + "egress: 10.0.0.1/8}\n", "wrong-value", 3, 35, '"10.0.0.1/8"', "not a destination"),
    (CONNECTION + "egress: 'host:99999'}\n", "wrong-value", 3, 35, '"host:99999"', "host:port"),
    (CONNECTION + "breaker: {first: 1h, max: 1m}}\n", "wrong-value", 3, 36, "", "longer than `max`"),
    (CONNECTION + "tls: {cert: shop.json}}\n", "wrong-value", 3, 32, "", "go together"),
    (CONNECTION + "tls: {ca: ca.pem}}\n", "bad-file", 3, 37, "ca.pem", "no such file"),
    (CONNECTION + "auth: {}}\n", "wrong-value", 3, 33, "", "0 are given"),
    (CONNECTION + "auth: {in: header, name: X}}\n", "wrong-value", 3, 33, "", "give one of"),
    (CONNECTION + "auth: {schemes: {a: {}}}}\n", "wrong-value", 3, 47, "", "give one of"),
    (CONNECTION + "server: 5}\n", "wrong-type", 3, 35, "5", "must be text"),
    (CONNECTION + "limits: {in_flight: 1.5}}\n", "wrong-type", 3, 47, "1.5", "a whole number"),
    ("connectors: {shop: {spec: /dev/null}}\n", "bad-file", 1, 27, "/dev/null", "not a regular file"),
    ("connectors: {shop: {spec: a/b/c}}\n", "bad-file", 1, 27, "a/b/c", "relative to the file"),
    ("connectors: {shop: {spec: %s}}\n" .replace("%s", "x" * 300), "bad-file", 1, 27, "x" * 80, "too long"),
    ("connectors: {shop: 5}\n", "wrong-type", 1, 20, "5", "must be a mapping"),
    (RULES + "{from: [dor], " + DO + "}\n", "unknown-source", 5, 14, "dor", "did you mean `door`?"),
    (RULES + "{from: [], " + DO + "}\n", "out-of-range", 5, 13, "", "must not be empty"),
    (RULES + "{from: [5], " + DO + "}\n", "wrong-type", 5, 14, "5", "must be text"),
    (RULES + "{from: door.x, " + DO + "}\n", "wrong-form", 5, 13, '"door.x"', "lower-case"),
    (RULES + "{do: []}\n", "out-of-range", 5, 11, "", "must not be empty"),
    (RULES + "{do: {call: shop.a}}\n", "wrong-type", 5, 11, "a mapping", "must be a list"),
    (RULES + "{}\n", "missing-field", 5, 3, "", "add do"),
    (RULES + "5\n", "wrong-type", 5, 6, "5", "must be a mapping"),
    (RULES + "{do: [{call: shop}]}\n", "wrong-form", 5, 19, '"shop"', "connection.operation"),
    (RULES + "{do: [{call: shp.a}]}\n", "unknown-connection", 5, 19, "shp", "did you mean `shop`?"),
    (RULES + "{do: [{cal: shop.a, call: shop.a}]}\n", "unknown-field", 5, 13, "", "did you mean `call`?"),
    (RULES + "{do: [{call: shop.a, with: [1]}]}\n", "wrong-type", 5, 33, "a list", "must be a mapping"),
    (RULES + "{do: [{call: shop.a, on: {409: okay}}]}\n", "wrong-choice", 5, 37, '"okay"', "did you mean `ok`?"),
    (RULES + "{do: [{call: shop.a, on: {4x: ok}}]}\n", "bad-key", 5, 32, '"4x"', "not a status"),
    (RULES + "{do: [{call: shop.a, retry: {first: 2h, max: 1h}}]}\n", "wrong-value", 5, 34, "", "at least first"),
    (RULES + "{do: [{call: shop.a, on_unknown: die}]}\n", "wrong-choice", 5, 39, '"die"', "retry, dead"),
    (RULES + "{do: [{call: shop.a}, {call: shop.a}]}\n", "step-twice", 5, 35, "", "two steps of this rule"),
    (RULES + "{do: [{call: shop.a}, {call: shop.b, name: a}]}\n", "step-twice", 5, 49, "", "`name` of its own"),
    (RULES + "{do: [{call: shop.a, name: 9}]}\n", "wrong-type", 5, 33, "9", "must be text"),
    (RULES + "{when: true, " + DO + "}\n", "wrong-type", 5, 13, "true", "quote it"),
    (RULES + "{when: '', " + DO + "}\n", "out-of-range", 5, 13, '""', "must not be empty"),
    (RULES + "{match: [a], " + DO + "}\n", "wrong-type", 5, 14, "a list", "must be a mapping"),
    (RULES + "{mode: queue, key: a, " + DO + "}\n", "wrong-choice", 5, 13, '"queue"', "did you mean `queued`?"),
    (RULES + "{paused: 1, " + DO + "}\n", "wrong-type", 5, 15, "1", "true or false"),
    (RULES + "{was: r, " + DO + "}\n", "was-taken", 5, 12, "r", "a rule of this name exists"),
    (RULES + "{was: [o], " + DO + "}\n  q: {was: o, " + DO + "}\n", "was-taken", 6, 12, "o", "/rules/r/was/0"),
    (RULES + "{tests: [{name: a, message: {}, expect: nomatch}], " + DO + "}\n", "wrong-choice", 5, 46, '"nomatch"', "no match"),
    (RULES + "{key: data.a, " + DO + "}\n", "key-without-mode", 5, 12, "", "no effect"),
    (RULES + "{when: !data.x, " + DO + "}\n", "yaml-tag", 5, 13, "", "quote it"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "code", "line", "column", "found", "words"), WRONG)
def test_what_is_wrong_is_said_with_place_value_and_remedy(check, text, code, line, column, found, words):
    checked = check(text)
    (problem,) = checked.problems
    assert (problem.code, problem.file) == (code, "pointsman.yaml")
    assert (problem.line, problem.column, problem.found) == (line, column, found)
    assert words in f"{problem.message}; {problem.fix}"
    assert (checked.configuration is None) == (problem.severity == "error")
    assert checked.document == b"" or problem.severity == "warning"
    assert "nput should" not in problem.message


def test_of_a_version_that_is_withdrawn_no_file_is_wanted(check):
    text = (
        VERSIONS
        + "{withdrawn: gone}, v2: {spec: no.json, withdrawn: gone}, v3: {spec: shop.json, deprecated: old}}}}\n"
    )
    checked = check(text)
    assert checked.problems == ()
    connector = checked.configuration.connectors["shop"]
    assert connector.usable == {"v3": "shop.json"}
    states = [(one.state, one.reason) for one in connector.versions.values()]
    assert states == [("withdrawn", "gone"), ("withdrawn", "gone"), ("deprecated", "old")]


def test_all_problems_are_reported_at_once_in_order(check, write):
    write("more.yaml", "rules:\n  two: {do: [{call: nope.x}], form: []}\n")
    text = "include: [more.yaml]\nrules:\n  one: {do: [{call: nope.x, retyr: 1}], mode: x, when: !a b}\nzzz: 1\nzzz: 2\n"
    checked = check(text)
    assert [(one.file, one.code) for one in checked.problems] == [
        ("more.yaml", "unknown-connection"),
        ("more.yaml", "unknown-field"),
        ("pointsman.yaml", "unknown-connection"),
        ("pointsman.yaml", "unknown-field"),
        ("pointsman.yaml", "wrong-choice"),
        ("pointsman.yaml", "yaml-tag"),
        ("pointsman.yaml", "unknown-field"),
        ("pointsman.yaml", "duplicate-key"),
    ]


def test_names_are_not_missed_when_a_file_could_not_be_read(check, write):
    write("more.yaml", "connections: [\n")
    checked = check("include: [more.yaml]\nrules: {r: {do: [{call: shop.x}]}}\n")
    assert [problem.code for problem in checked.problems] == ["yaml-syntax"]


def test_paths_are_relative_to_the_file_that_says_them(check, write, folder):
    write("team/api/shop.json", "{}")
    write("team/main.yaml", "connectors: {shop: {spec: api/shop.json}}\n")
    checked = check("include: [team/main.yaml]\n")
    assert checked.problems == ()
    assert checked.path("/connectors/shop/spec") == folder / "team/api/shop.json"


def test_a_kind_whose_driver_is_missing_is_said_so(check, monkeypatch):
    from triggers import SOURCES

    monkeypatch.setitem(SOURCES, "queue", "triggers.no_such_module:Source")
    (problem,) = check("sources: {q: {kind: queue}}\n").problems
    assert (problem.code, problem.fix) == ("missing-driver", "pip install 'pointsman[queue]'")


def test_the_connection_of_a_poll_must_be_there(check, monkeypatch):
    from triggers import SOURCES

    monkeypatch.setitem(SOURCES, "poll", "triggers.poll:PollSource")
    shop = "connectors: {shop: {spec: shop.json}}\nconnections: {shop: {connector: shop}}\n"
    for call, fix in (("shp.list", "did you mean `shop`?"), ("other.list", "there are: shop")):
        problems = check(f"sources: {{p: {{kind: poll, call: {call}}}}}\n{shop}").problems
        found = next(problem for problem in problems if problem.code == "unknown-connection")
        assert (found.pointer, found.fix) == ("/sources/p/call", fix)
    problems = check(f"sources: {{p: {{kind: poll, call: list}}}}\n{shop}").problems
    assert "write connection.operation, for example shop.reserveStock" in {
        problem.fix for problem in problems
    }


def test_problems_from_elsewhere_get_their_place(check):
    marks = check("rules:\n  r:\n    when: 'it''s.wrong'\n    do: [{call: shop.a}]\n").marks
    assert isinstance(marks, Marks)
    placed = problems_at(
        [
            Problem(message="no such field", code="cel", pointer="/rules/r/when", offset=5),
            Problem(
                message="no such operation", code="unknown-operation", pointer="/rules/r/do/0/call", offset=5
            ),
            Problem(message="unknown", code="unknown-field", pointer="/rules/r/do"),
            Problem(message="placed already", code="x", file="other", line=7, column=3),
        ],
        marks,
    )
    assert [(one.file, one.line, one.column) for one in placed] == [
        ("pointsman.yaml", 3, 18),
        ("pointsman.yaml", 4, 22),
        ("pointsman.yaml", 4, 5),
        ("other", 7, 3),
    ]


def test_found_values_are_cut(check):
    (problem,) = check(RULES + "{mode: " + "x" * 500 + ", key: a, " + DO + "}\n").problems
    assert len(problem.found) <= 80


def test_files_that_cannot_be_read_are_problems(folder):
    checked = load_configuration(Path("absent.yaml"), resolve=True, env={})
    assert checked.configuration is None
    assert [problem.code for problem in checked.problems] == ["unreadable"]


SHAPES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(
            ["kind", "bell", "verify", "scheme", "secrets", "auth", "bearer", "schemes", "basic", "env", "file",
             "connector", "limits", "rate", "do", "call", "with", "on", "from", "was", "tests", "egress", "tls", "spec"]
        ) | st.text(max_size=4),
        inner,
        max_size=4,
    ),
    max_leaves=12,
)  # fmt: skip


@given(
    st.dictionaries(
        st.sampled_from(["sources", "connectors", "connections", "rules", "version", "include"]), SHAPES
    )
)
def test_no_document_raises(tmp_path_factory, document):
    path = tmp_path_factory.getbasetemp() / "any.json"
    path.write_text(json.dumps(document))
    checked = load_configuration(path, resolve=True, env={})
    assert checked.configuration is not None or checked.problems
    for problem in checked.problems:
        assert problem.line >= 1


@given(st.text(max_size=80))
def test_no_text_raises(tmp_path_factory, text):
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_text(text, encoding="utf-8")
    load_configuration(path, resolve=False, env={})
