"""Everything wrong in a rule is found when the plan is built, all of it, each with its place."""

from typing import Any

import pytest

from service.config.model import Configuration
from service.errors import Problem
from service.plan import Plan, build
from service.usecases.connecting import show_connector
from triggers.poll import PollConfig

SPEC = b"""
openapi: 3.1.0
info: {title: Shop, version: "1"}
servers: [{url: "https://{region}.shop.example/v1", variables: {region: {default: eu, enum: [eu, us]}}}]
paths:
  /stock/{sku}:
    post:
      operationId: reserveStock
      parameters:
        - {name: sku, in: path, required: true, schema: {type: string}}
        - {name: dry, in: query, schema: {type: boolean}}
        - {name: Idempotency-Key, in: header, schema: {type: string}}
      requestBody: {required: true, content: {application/json: {schema: {type: object}}}}
      responses: {"200": {description: ok}}
  /note:
    post: {operationId: note, requestBody: {content: {application/json: {schema: {}}}}, responses: {"200": {description: ok}}}
    get: {operationId: notes, responses: {"200": {description: ok}}}
"""
GOOD = {"call": "shop.reserveStock", "with": {"sku": "${data.sku}", "body": {"n": 1}}}


def plan(rules: dict[str, Any], *, connection: dict[str, Any] | None = None, spec: bytes = SPEC) -> Plan:
    document = {
        "connectors": {"shop": {"spec": "shop.yaml"}},
        "connections": {"shop": {"connector": "shop", **(connection or {})}},
        "rules": rules,
    }
    return build(Configuration.model_validate(document), {"shop": spec})


def problems(rule: dict[str, Any], **more: Any) -> dict[str, Problem]:
    return {problem.pointer: problem for problem in plan({"r": rule}, **more).problems}


def test_a_good_rule_is_built_whole() -> None:
    made = plan(
        {
            "r": {
                "match": {"type": ["a"]},
                "when": "data.x > 1",
                "key": "data.k",
                "mode": "queued",
                "do": [GOOD],
            }
        }
    )
    assert not made.problems
    rule = made.ruleset.rules[0]
    assert (rule.name, rule.mode, rule.steps[0].operation) == ("r", "queued", "reserveStock")
    assert made.connections["shop"].server == "https://eu.shop.example/v1"


@pytest.mark.parametrize(
    ("change", "pointer", "words"),
    [
        ({"match": {"type": "a"}}, "/rules/r/match/type", '["a"]'),
        ({"match": {"a": [{"prefx": "x"}]}}, "/rules/r/match/a/0", "prefix"),
        ({"when": "dta.x > 1"}, "/rules/r/when", "data"),
        ({"when": "data.x >"}, "/rules/r/when", ""),
        ({"key": "size(data.x"}, "/rules/r/key", ""),
        ({"do": [{"call": "shop.reserveStok", "with": {}}]}, "/rules/r/do/0/call", "reserveStock"),
        ({"do": [{**GOOD, "with": {**GOOD["with"], "dri": True}}]}, "/rules/r/do/0/with/dri", "dry"),
        ({"do": [{**GOOD, "with": {"sku": "x"}}]}, "/rules/r/do/0/with", "body"),
        ({"do": [{**GOOD, "with": {"sku": "${data.", "body": {}}}]}, "/rules/r/do/0/with/sku", ""),
        (
            {"do": [GOOD, {**GOOD, "name": "b", "with": {"sku": "${steps.reserveStok.body}", "body": {}}}]},
            "/rules/r/do/1/with/sku",
            "reserveStock",
        ),
        ({"do": [GOOD, GOOD]}, "/rules/r/do/1", "two steps"),
    ],
)
def test_what_is_wrong_is_named_with_its_place_and_what_would_be_right(change, pointer, words) -> None:
    found = problems({"do": [GOOD], **change})
    assert pointer in found, list(found)
    assert words in str(found[pointer])
    assert not plan({"r": {"do": [GOOD], **change}}).ruleset.rules


def test_all_problems_of_all_rules_are_reported_at_once() -> None:
    bad = {
        "match": {"x": 1},
        "when": "nope",
        "key": "(",
        "do": [{"call": "shop.nothing", "with": {"a": "${"}}],
    }
    found = [problem.pointer for problem in plan({"one": bad, "two": bad}).problems]
    for name in ("one", "two"):
        for place in ("match/x", "when", "key", "do/0/call", "do/0/with/a"):
            assert f"/rules/{name}/{place}" in found


def test_the_place_inside_an_expression_is_counted_within_its_string() -> None:
    found = problems({"do": [{**GOOD, "with": {"sku": "sku ${dta.x}", "body": {}}}]})
    assert found["/rules/r/do/0/with/sku"].offset == len("sku ${")


def test_an_operation_is_found_by_its_alias_and_named_by_its_id() -> None:
    made = plan({"r": {"do": [{**GOOD, "call": "shop.POST /stock/{sku}"}]}})
    assert made.ruleset.rules[0].steps[0].operation == "reserveStock"


def test_a_call_that_may_happen_twice_is_warned_of() -> None:
    note = {"call": "shop.note", "with": {"body": 1}}
    found = problems({"do": [note]})["/rules/r/do/0/call"]
    assert (found.severity, found.code) == ("warning", "may-repeat")
    assert not problems({"do": [{**note, "on_unknown": "dead"}]})
    assert not problems({"do": [{**note, "on_unknown": "retry"}]})
    assert not problems({"do": [{"call": "shop.notes", "with": {}}]})


def test_a_mode_without_a_key_is_one_key_and_is_warned_of() -> None:
    made = plan({"r": {"mode": "queued", "do": [GOOD]}})
    assert [problem.code for problem in made.problems] == ["mode-without-key"]
    assert made.ruleset.rules[0].key is not None


@pytest.mark.parametrize(
    ("connection", "pointer"),
    [({"variables": {"region": "mars"}}, "variables"), ({"variables": {"planet": "x"}}, "variables")],
)
def test_server_variables_are_checked(connection, pointer) -> None:
    found = problems({"do": [GOOD]}, connection=connection)
    assert any(place.startswith(f"/connections/shop/{pointer}") for place in found), list(found)


def test_a_description_that_is_none_is_refused_with_its_reason() -> None:
    assert "/connectors/shop/spec" in problems({"do": [GOOD]}, spec=b"just: yaml")
    assert "Swagger 1.2 is not read" in str(
        problems({"do": [GOOD]}, spec=b'swagger: "1.2"\npaths: {}')["/connectors/shop/spec"]
    )
    missing = build(
        Configuration.model_validate({"connectors": {"shop": {"spec": "gone.yaml"}}, "rules": {}}), {}
    )
    assert missing.problems[0].pointer == "/connectors/shop/spec"


def test_a_rules_tests_are_run() -> None:
    rule = {
        "match": {"type": ["order.paid"]},
        "when": "data.total >= 100",
        "do": [GOOD],
        "tests": [
            {"name": "big", "message": {"type": "order.paid", "data": {"total": 100}}, "expect": "match"},
            {"name": "small", "message": {"type": "order.paid", "data": {"total": 5}}, "expect": "no match"},
            {"name": "wrong", "message": {"type": "order.paid", "data": {"total": 5}}, "expect": "match"},
            {"name": "breaks", "message": {"type": "order.paid", "data": {}}, "expect": "match"},
        ],
    }
    found = problems(rule)
    assert set(found) == {"/rules/r/tests/2", "/rules/r/tests/3"}
    assert "'wrong' expects match" in str(found["/rules/r/tests/2"])


def test_a_paused_rule_matches_nothing_and_stays_known() -> None:
    made = plan({"r": {"paused": True, "do": [GOOD]}})
    assert made.ruleset.candidates("any", {"type": "t"}, b"{}") == []
    assert 1 in made.ruleset.by_number


def test_a_rule_takes_only_from_its_sources() -> None:
    configuration = Configuration.model_validate(
        {
            "connectors": {"shop": {"spec": "s"}},
            "connections": {"shop": {"connector": "shop"}},
            "rules": {"a": {"from": ["x"], "do": [GOOD]}, "b": {"do": [GOOD]}},
        }
    )
    ruleset = build(configuration, {"shop": SPEC}).ruleset
    names = {
        source: [rule.name for rule in ruleset.candidates(source, {"type": "t"}, b"{}")] for source in "xy"
    }
    assert names == {"x": ["a", "b"], "y": ["b"]}


@pytest.mark.parametrize(
    ("connection", "server"),
    [
        ({"variables": {"region": "us"}}, "https://us.shop.example/v1"),
        (
            {"server": "https://{region}.shop.example/v1", "variables": {"region": "us"}},
            "https://us.shop.example/v1",
        ),
        ({"server": "https://{region}.shop.example/v1"}, "https://eu.shop.example/v1"),
        ({"server": "https://{own}.example", "variables": {"own": "x"}}, "https://x.example"),
        ({"server": "https://plain.example"}, "https://plain.example"),
    ],
)
def test_a_server_is_the_descriptions_or_ones_own_with_its_variables(connection, server) -> None:
    assert plan({"r": {"do": [GOOD]}}, connection=connection).connections["shop"].server == server


@pytest.mark.parametrize(
    ("connection", "words"),
    [
        ({"server": "https://{own}.example"}, "own is required"),
        ({"server": "https://plain.example", "variables": {"own": "x"}}, "own is not a variable"),
        (
            {"server": "https://{region}.shop.example/v1", "variables": {"region": "mars"}},
            "must be one of eu, us",
        ),
    ],
)
def test_variables_that_do_not_fit_a_given_server_are_named(connection, words) -> None:
    assert any(
        words in problem.message for problem in problems({"do": [GOOD]}, connection=connection).values()
    )


def test_an_operation_that_wants_other_credentials_than_there_are_is_warned_of() -> None:
    spec = (
        SPEC
        + b"""
components: {securitySchemes: {user: {type: http, scheme: bearer}, key: {type: apiKey, in: query, name: k}}}
security: [{user: []}]
"""
    )
    login = {"bearer": "t"}
    found = problems({"do": [GOOD]}, spec=spec, connection={"auth": {"schemes": {"key": {"api_key": "k"}}}})
    assert (
        "wants user, and connection shop has credentials for key only" in found["/rules/r/do/0/call"].message
    )
    for auth in ({"schemes": {"user": login}}, login):
        assert not problems({"do": [GOOD]}, spec=spec, connection={"auth": auth})


# -- operations that sources call

POLL = {"kind": "poll", "call": "shop.reserveStock", "with": {"sku": "${state.?sku}", "body": {}}}


def polled(**changes: Any) -> dict[str, Problem]:
    document = {
        "sources": {"p": PollConfig.model_validate({**POLL, **changes})},
        "connectors": {"shop": {"spec": "shop.yaml"}},
        "connections": {"shop": {"connector": "shop"}},
    }
    found = build(Configuration.model_validate(document), {"shop": SPEC}).problems
    return {problem.pointer: problem for problem in found}


def test_a_source_that_calls_is_judged_as_a_step_is() -> None:
    assert polled() == {}
    assert polled(items="body.a", item_id="item.b", state="{'n': size(items)}", type="data.x") == {}
    found = polled(call="shop.reserveStok")["/sources/p/call"]
    assert (found.code, found.offset, found.fix) == ("unknown-operation", 5, "did you mean reserveStock?")
    found = polled(**{"with": {"skew": 1, "body": {}}})
    assert (found["/sources/p/with/skew"].code, found["/sources/p/with"].code) == (
        "unknown-input",
        "missing-input",
    )


def test_the_expressions_of_a_source_that_calls_see_their_own_variables() -> None:
    found = polled(
        **{"with": {"sku": "${data.x}", "body": {"a": "${last.b +}"}}},
        items="data.x",
        item_id="itm.id",
        state="item.n",
        type="body.x",
    )
    assert set(found) == {
        *("/sources/p/with/sku", "/sources/p/with/body/a"),
        *(f"/sources/p/{field}" for field in ("items", "item_id", "state", "type")),
    }
    assert {problem.code for problem in found.values()} == {"expression"}
    assert found["/sources/p/item_id"].fix == "did you mean `item`?"


def test_a_source_that_calls_what_is_not_there_is_told_of_once() -> None:
    assert polled(call="store.reserveStock") == {}  # the references between resources are checked before


OLDER = SPEC.replace(b"sku}:", b"item}:").replace(b"name: sku", b"name: item").replace(b"/note:", b"/memo:")


def versioned(step: dict[str, Any], **version: str) -> Plan:
    said = {"2024": {"spec": "old.yaml", **version} if version else "old.yaml"}
    document = {
        "connectors": {"shop": {"spec": "shop.yaml", "versions": said}},
        "connections": {"shop": {"connector": "shop"}},
        "rules": {"r": {"do": [step]}},
    }
    return build(Configuration.model_validate(document), {"shop": SPEC, "shop@2024": OLDER})


def test_a_step_that_pins_a_version_is_judged_and_performed_by_it() -> None:
    made = versioned({"call": "shop.reserveStock", "version": "2024", "with": {"item": "1", "body": {}}})
    assert not made.problems
    step = made.ruleset.rules[0].steps[0]
    assert made.ruleset.pins[step.pin].spec.operations["reserveStock"].path == "/stock/{item}"
    assert made.ruleset.pins["shop"].spec.operations["reserveStock"].path == "/stock/{sku}"


def test_a_step_that_pins_nothing_floats() -> None:
    made = versioned({"call": "shop.reserveStock", "with": {"item": "1", "body": {}}})
    assert {one.code for one in made.problems} == {"unknown-input", "missing-input"}


def test_an_unknown_version_is_said_with_those_that_there_are() -> None:
    (problem,) = versioned({"call": "shop.note", "version": "2023", "on_unknown": "dead"}).problems
    assert (problem.code, problem.pointer) == ("unknown-version", "/rules/r/do/0/version")
    assert problem.fix == "did you mean 2024?"


PINNED = {"call": "shop.reserveStock", "version": "2024", "with": {"item": "1", "body": {}}}


def test_a_rule_that_pins_a_deprecated_version_is_warned_of_and_built() -> None:
    made = versioned(PINNED, deprecated="use 2025")
    (problem,) = made.problems
    assert (problem.severity, problem.code) == ("warning", "deprecated-version")
    assert problem.pointer == "/rules/r/do/0/version"
    assert problem.because == "/connectors/shop/versions/2024/deprecated"
    assert problem.message == "rule r pins version 2024 of connector shop, which is deprecated: use 2025"
    assert made.ruleset.rules[0].steps[0].version == "2024"
    assert not versioned({**PINNED, "version": None, "with": GOOD["with"]}, deprecated="use 2025").problems


def test_a_rule_that_pins_a_withdrawn_version_is_refused_by_name_with_the_reason() -> None:
    made = versioned(PINNED, withdrawn="switched off")
    (problem,) = made.problems
    assert (problem.severity, problem.code) == ("error", "withdrawn-version")
    assert problem.because == "/connectors/shop/versions/2024/withdrawn"
    assert problem.message == "rule r pins version 2024 of connector shop, which is withdrawn: switched off"
    assert not made.ruleset.rules
    assert set(made.ruleset.pins) == {"shop"}
    assert not versioned(GOOD, withdrawn="switched off").problems


def test_what_is_withdrawn_is_not_meant_by_a_misspelling() -> None:
    (problem,) = versioned({**PINNED, "version": "2023"}, withdrawn="switched off").problems
    assert (problem.code, problem.fix) == ("unknown-version", "it has none: add it to `versions`")


def test_a_connector_shows_its_versions_with_who_pins_them() -> None:
    shown = show_connector(versioned(PINNED, deprecated="use 2025"), "shop")
    assert shown["versions"] == [
        {"version": "2024", "spec": "old.yaml", "state": "deprecated", "reason": "use 2025", "rules": ["r"]}
    ]
    (one,) = show_connector(versioned(GOOD, withdrawn="off"), "shop")["versions"]
    assert (one["state"], one["reason"], one["rules"]) == ("withdrawn", "off", [])
    (one,) = show_connector(versioned(PINNED), "shop")["versions"]
    assert (one["state"], one["reason"]) == ("usable", "")


def test_media_types_can_be_chosen_where_none_is_listed() -> None:
    step = {**GOOD, "with": {**GOOD["with"], "Content-Type": "application/json", "accept": "text/plain"}}
    assert not plan({"r": {"do": [step]}}).problems


OWN = SPEC.replace(
    b"    get: {operationId: notes,",
    b"    get: {operationId: notes, servers: [{url: 'https://{zone}.notes.example', variables: {zone: {enum: [z1, z2]}}}],",
)


@pytest.mark.parametrize(
    ("variables", "problem"),
    [
        ({"zone": "z2"}, None),
        ({"zone": "z2", "region": "us"}, None),
        ({}, ("/rules/r/do/0/call", "zone is required")),
        ({"zone": "z3"}, ("/rules/r/do/0/call", "must be one of z1, z2")),
        ({"zone": "z1", "zoen": "z1"}, ("/connections/shop/variables/zoen", "zoen is not a variable")),
    ],
)
def test_the_servers_of_operations_take_the_connections_variables(variables, problem) -> None:
    found = problems({"do": [{"call": "shop.notes"}]}, connection={"variables": variables}, spec=OWN)
    if problem is None:
        assert not found
    else:
        pointer, words = problem
        assert words in str(found[pointer])


def test_where_the_connection_names_the_server_those_of_operations_ask_for_nothing() -> None:
    there = {"server": "https://mine.example"}
    assert not problems({"do": [{"call": "shop.notes"}]}, connection=there, spec=OWN)
    found = problems(
        {"do": [{"call": "shop.notes"}]}, connection={**there, "variables": {"zone": "z1"}}, spec=OWN
    )
    assert "zone is not a variable" in str(found["/connections/shop/variables/zone"])


COLLECTION = b"""{"info": {"name": "t", "schema": "https://schema.getpostman.com/json/collection/v2.1.0/collection.json"},
"item": [{"name": "Order", "request": {"method": "POST", "url": "https://a.x/orders/:id",
  "body": {"mode": "raw", "raw": "{\\"n\\": 1}", "options": {"raw": {"language": "json"}}}}}]}"""


def test_a_preset_gives_what_a_step_does_not() -> None:
    step = {"call": "shop.Order", "preset": "Order", "with": {"id": "${data.id}"}, "on_unknown": "retry"}
    made = plan({"r": {"do": [step]}}, spec=COLLECTION)
    assert not made.problems
    assert made.ruleset.rules[0].steps[0].preset == "Order"


def test_a_preset_that_is_not_there_or_lacks_something_is_a_problem() -> None:
    step = {"call": "shop.Order", "on_unknown": "retry"}
    found = problems({"do": [{**step, "preset": "Ordre", "with": {"id": 1}}]}, spec=COLLECTION)
    assert found["/rules/r/do/0/preset"].code == "unknown-preset"
    assert found["/rules/r/do/0/preset"].fix == "did you mean Order?"
    found = problems({"do": [{**step, "preset": "Order", "with": {"idd": 1}}]}, spec=COLLECTION)
    assert {one.code for one in found.values()} == {"missing-input", "unknown-input"}
    assert found["/rules/r/do/0/with"].fix == "give id: … under `with`"


DEPRECATED = b"""
swagger: "2.0"
info: {title: Shop, version: "1"}
host: shop.example
paths:
  /old:
    get:
      operationId: listOld
      deprecated: true
      x-ms-api-annotation: {family: list, revision: 1, replacement: {api: shop, operationId: listNew}}
      responses: {"200": {description: ok}}
  /older: {get: {operationId: listOlder, deprecated: true, responses: {"200": {description: ok}}}}
  /new: {get: {operationId: listNew, responses: {"200": {description: ok}}}}
"""


@pytest.mark.parametrize(
    ("operation", "fix"),
    [
        ("listOld", "call shop.listNew instead"),
        ("listOlder", "look for what took its place: pointsman operations search WORDS"),
    ],
)
def test_a_call_of_what_is_deprecated_is_told_with_its_replacement(operation: str, fix: str) -> None:
    found = problems({"match": {"type": ["a"]}, "do": [{"call": f"shop.{operation}"}]}, spec=DEPRECATED)
    told = found["/rules/r/do/0/call"]
    assert (told.severity, told.code, told.fix) == ("warning", "deprecated-operation", fix)
    assert not problems({"match": {"type": ["a"]}, "do": [{"call": "shop.listNew"}]}, spec=DEPRECATED)


@pytest.mark.parametrize(
    ("described", "code", "fix"),
    [
        (b'"basePath": "/v2"', "no-server", "say `server:` in the connection; the server ends in /v2"),
        (b'"x-none": 1', "no-server", "say `server:` in the connection"),
        (b'"servers": [{"url": "/v2"}]', "relative-server", "say `server: https://…/v2` in the connection"),
    ],
)
def test_who_has_to_name_a_server_is_told_where_it_ends(described: bytes, code: str, fix: str) -> None:
    version = b'"openapi": "3.0.3"' if code == "relative-server" else b'"swagger": "2.0"'
    spec = b'{%s, %s, "paths": {"/a": {"get": {"operationId": "a", "responses": {}}}}}' % (version, described)
    found = [one for one in plan({}, spec=spec).problems if one.pointer == "/connections/shop"]
    assert [(one.code, one.fix) for one in found] == [(code, fix)]


RAW = {
    "call": "shop.:http",
    "with": {"method": "POST", "path": "/notes/${data.id}", "body": {"n": "${data.n}"}},
}


def test_any_request_can_be_a_step_and_is_named_without_its_colon() -> None:
    made = plan(
        {
            "r": {
                "do": [
                    {**RAW, "on_unknown": "dead"},
                    GOOD | {"with": {"sku": "${steps.http.body.sku}", "body": {}}},
                ]
            }
        }
    )
    assert not made.problems
    step = made.ruleset.rules[0].steps[0]
    assert (step.name, step.operation) == ("http", ":http")


def test_a_request_that_may_happen_twice_is_warned_of_by_its_method() -> None:
    (found,) = problems({"do": [RAW]}).values()
    assert (found.severity, found.code) == ("warning", "may-repeat")
    assert "POST :http declares no idempotency header" in found.message
    for method in ("GET", "${data.method}"):
        assert not problems({"do": [{**RAW, "with": {**RAW["with"], "method": method}}]})


def test_what_is_wrong_with_a_request_is_said_before_any_message_comes() -> None:
    found = problems(
        {
            "do": [
                {
                    **RAW,
                    "on_unknown": "retry",
                    "if_match": True,
                    "with": {
                        "method": "POST",
                        "path": "notes/${data.id}",
                        "query": {"a": {"b": 1}},
                        "headers": {"Host": "${data.host}", "X-Ok": "${data.x}"},
                        "bdy": 1,
                        "Content-Type": "text/plain",
                    },
                }
            ]
        }
    )
    assert found.keys() == {
        f"/rules/r/do/0/{place}"
        for place in (
            "with/path",
            "with/query/a",
            "with/headers/Host",
            "with/bdy",
            "with/Content-Type",
            "if_match",
        )
    }
    assert "body" in found["/rules/r/do/0/with/bdy"].fix


def test_what_a_request_lacks_is_said() -> None:
    (found,) = [
        one.message
        for one in plan({"r": {"do": [{"call": "shop.:http", "with": {"path": "${data.p}"}}]}}).problems
    ]
    assert found == "operation :http needs method"


def test_a_source_polls_what_is_described_and_nothing_else() -> None:
    (found,) = polled(call="shop.:http", **{"with": {"method": "GET", "path": "/"}}).values()
    assert (found.code, found.found) == ("unknown-operation", ":http")


def test_where_operations_are_left_out_no_other_request_can_be_made() -> None:
    document = {
        "connectors": {"shop": {"spec": "shop.yaml", "operations": {"exclude": "notes"}}},
        "connections": {"shop": {"connector": "shop"}},
        "rules": {"r": {"do": [{"call": "shop.:http", "with": {"method": "GET", "path": "/note"}}]}},
    }
    (found,) = build(Configuration.model_validate(document), {"shop": SPEC}).errors
    assert (found.code, found.pointer, found.offset) == ("left-out", "/rules/r/do/0/call", 5)
    assert found.because == "/connectors/shop/operations"
