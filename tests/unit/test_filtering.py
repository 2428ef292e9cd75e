"""A connector's `operations`: what is left out is not there, and whoever names it learns why."""

import json
from typing import Any

import pytest

from actions.specs import read_spec
from actions.specs.model import Spec
from service.config.connectors import OperationsConfig
from service.config.model import Configuration
from service.errors import NotFound
from service.filtering import Filter
from service.plan import Plan, build
from service.usecases.connecting import show_connector, show_operation, whole_spec
from service.usecases.finding import operations
from tests.tables import every_row
from triggers.poll import PollConfig


def _operation(name: str, *tags: str, **more: Any) -> dict[str, Any]:
    return {"operationId": name, "tags": list(tags), "responses": {"200": {"description": "ok"}}, **more}


USER = [{"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}]
DOCUMENT: dict[str, Any] = {
    "openapi": "3.1.0",
    "info": {"title": "Shop", "version": "1"},
    "servers": [{"url": "https://shop.example"}],
    "paths": {
        "/orders": {
            "get": _operation("listOrders", "orders"),
            "post": _operation(
                "order",
                "orders",
                "Writing things",
                callbacks={"done": {"{$request.body#/url}": {"post": _operation("done")}}},
            ),
        },
        "/admin/users/{id}": {
            "get": _operation("getUser", "admin", parameters=USER),
            "delete": _operation("delete user!", "admin", parameters=USER),
        },
        "/health": {"get": _operation("health")},
    },
}
ALL = {"listOrders", "order", "getUser", "delete_admin_users_by_id", "health"}


def spec(document: dict[str, Any] = DOCUMENT) -> Spec:
    return read_spec({"shop.json": json.dumps(document).encode()})


def wanted(**lists: Any) -> Spec:
    return Filter(OperationsConfig.model_validate(lists)).of(spec())


@every_row(
    ("lists", "left"),
    [
        ({"include": ["listOrders"]}, {"listOrders"}),
        ({"include": "order"}, {"order"}),
        ({"include": ["*rder*"]}, {"listOrders", "order"}),
        ({"include": ["delete user!"]}, {"delete_admin_users_by_id"}),  # the name in the description
        ({"include": ["POST /orders"]}, {"order"}),
        ({"include": ["* /admin/*"]}, {"getUser", "delete_admin_users_by_id"}),
        ({"include": ["GET *"]}, {"listOrders", "getUser", "health"}),
        ({"include": ["DELETE /admin/users/{id}"]}, {"delete_admin_users_by_id"}),
        ({"include": ["tag:orders"]}, {"listOrders", "order"}),
        ({"include": ["tag:Writing things"]}, {"order"}),
        ({"include": ["tag:*"]}, ALL - {"health"}),
        ({"include": ["tag:admin", "health"]}, {"getUser", "delete_admin_users_by_id", "health"}),
        ({"exclude": ["tag:admin"]}, ALL - {"getUser", "delete_admin_users_by_id"}),
        ({"exclude": "DELETE *"}, ALL - {"delete_admin_users_by_id"}),
        ({"include": ["tag:admin"], "exclude": ["DELETE *"]}, {"getUser"}),
        ({"include": ["order"], "exclude": ["tag:orders"]}, set()),
        ({"exclude": ["nothing"]}, ALL),
    ],
)  # fmt: skip
def test_operations_are_named_by_id_name_method_and_path_or_tag(lists, left):
    found = wanted(**lists)
    assert set(found.operations) == left
    assert set(found.left_out) == ALL - left


def test_folders_of_a_collection_are_tags():
    def request(name: str) -> dict[str, Any]:
        return {"name": name, "request": {"method": "GET", "url": f"https://a.example/{name}"}}

    info = {"name": "c", "schema": "https://schema.getpostman.com/json/collection/v2.1.0/collection.json"}
    items = [{"name": "Reading", "item": [request("a")]}, {"name": "Other", "item": [request("b")]}]
    read = spec({"info": info, "item": items})
    kept = Filter(OperationsConfig(include=("tag:Reading",))).of(read)
    assert [one.path for one in kept.operations.values()] == ["/a"]


def test_a_reason_is_remembered_for_every_name():
    left = wanted(include=["tag:orders"], exclude=["listOrders"])
    for name in ("listOrders", "GET /orders"):
        found = left.why_left_out(name)
        assert found is not None
        assert (found.reason, found.place) == ("`exclude` names it: listOrders", "/exclude/0")
    assert left.why_left_out("health").reason == "`include` does not name it"
    assert left.why_left_out("order") is None
    assert left.why_left_out("nobody") is None


def test_triggers_and_all_else_stay():
    before, after = spec(), wanted(include=["health"])
    assert before.triggers
    assert (after.triggers, after.servers, after.aliases) == (before.triggers, before.servers, before.aliases)


def test_the_declared_test_goes_with_its_operation():
    from dataclasses import replace

    from actions.specs.model import Preset

    read = replace(spec(), test=Preset(name="health"))
    assert Filter(OperationsConfig(exclude=("health",))).of(read).test is None
    assert Filter(OperationsConfig(exclude=("order",))).of(read).test == Preset(name="health")


# -- in a configuration


def plan(
    filter_: dict[str, Any] | None, *calls: str, files: dict[str, Any] | None = None, **more: Any
) -> Plan:
    connector: dict[str, Any] = {"spec": "shop.json", **more}
    if filter_ is not None:
        connector["operations"] = filter_
    rules = {f"r{place}": {"do": [{"call": call, "on_unknown": "retry"}]} for place, call in enumerate(calls)}
    document = {
        "connectors": {"shop": connector},
        "connections": {"shop": {"connector": "shop"}},
        "rules": rules,
    }
    given = files or {"shop": DOCUMENT}
    return build(
        Configuration.model_validate(document),
        {name: json.dumps(value).encode() for name, value in given.items()},
    )


def test_a_rule_that_names_what_is_left_out_is_told_so_and_by_what():
    made = plan(
        {"include": ["tag:orders", "health"], "exclude": ["POST *"]},
        "shop.order",
        "shop.getUser",
        "shop.helth",
        "shop.GET /orders",
    )
    found = [(one.code, one.pointer, one.because) for one in made.problems]
    assert found == [
        ("left-out", "/rules/r0/do/0/call", "/connectors/shop/operations/exclude/0"),
        ("left-out", "/rules/r1/do/0/call", "/connectors/shop/operations/include"),
        ("unknown-operation", "/rules/r2/do/0/call", ""),
    ]
    assert "leaves out order: `exclude` names it: POST *" in made.problems[0].message
    assert made.problems[2].fix == "did you mean health?"
    assert [rule.name for rule in made.ruleset.rules] == ["r3"]


def test_what_is_left_out_is_not_meant_by_a_misspelling():
    (problem,) = plan({"exclude": ["order"]}, "shop.ordr").problems
    assert "order?" not in problem.fix.replace("listOrders", "")


def test_a_source_that_polls_what_is_left_out_is_told_so():
    document = Configuration.model_validate(
        {
            "connectors": {"shop": {"spec": "shop.json", "operations": {"exclude": "listOrders"}}},
            "connections": {"shop": {"connector": "shop"}},
            "sources": {"p": PollConfig.model_validate({"kind": "poll", "call": "shop.listOrders", "every": "1m"})},
        }
    )  # fmt: skip
    (problem,) = build(document, {"shop": json.dumps(DOCUMENT).encode()}).problems
    assert (problem.code, problem.pointer) == ("left-out", "/sources/p/call")


@every_row(
    ("lists", "pointer", "fix"),
    [
        ({"exclude": ["tag:admn"]}, "/exclude/0", "did you mean `tag:admin`?"),
        ({"include": ["order", "tag:zzz"]}, "/include/1", "its tags: orders, Writing things, admin"),
        ({"exclude": ["helth"]}, "/exclude/0", "did you mean `health`?"),
        ({"exclude": ["get /health"]}, "/exclude/0", "did you mean `GET /health`?"),
        (
            {"exclude": ["PURGE *"]},
            "/exclude/0",
            "`pointsman connectors read PATH -o yaml` lists its operations",
        ),
    ],
)
def test_an_entry_that_names_nothing_is_warned_of(lists, pointer, fix):
    (problem,) = plan(lists).problems
    assert (problem.severity, problem.code) == ("warning", "idle-entry")
    assert (problem.pointer, problem.fix) == (f"/connectors/shop/operations{pointer}", fix)


def test_an_entry_may_name_what_only_a_version_has():
    older = {**DOCUMENT, "paths": {**DOCUMENT["paths"], "/old": {"get": _operation("retired")}}}
    files = {"shop": DOCUMENT, "shop@1": older}
    made = plan({"exclude": ["retired"]}, files=files, versions={"1": "old.json"})
    assert not made.problems
    assert "retired" not in made.connections["shop"].versions["1"].spec.operations
    unread = plan({"exclude": ["retired"]}, files={"shop": DOCUMENT}, versions={"1": "old.json"})
    assert [one.code for one in unread.problems] == ["no-spec"]


def test_a_connector_of_which_nothing_is_left_is_refused():
    (problem,) = (one for one in plan({"include": "health", "exclude": "GET *"}).problems)
    assert (problem.code, problem.severity) == ("no-operation", "error")
    assert problem.pointer == "/connectors/shop/operations"
    assert "none of 5 operations is wanted" in problem.message


def test_another_choice_is_another_description_to_what_runs():
    digests = {
        plan(choice).connections["shop"].spec_digest
        for choice in (None, {"exclude": "order"}, {"exclude": "health"}, {"include": ["order"]})
    }
    assert len(digests) == 4
    assert plan({"exclude": "order"}).connections["shop"].spec_digest in digests


def test_lists_and_searches_show_what_is_left_and_the_connector_counts_the_rest():
    made = plan({"exclude": ["tag:admin"]})
    assert [one["operation"] for one in operations(made)["items"]] == [
        "shop.listOrders",
        "shop.order",
        "shop.health",
    ]
    assert operations(made, words=["admin"])["items"] == []
    assert show_connector(made, "shop")["operations"] == {
        "all": 3,
        "degraded": 0,
        "refused": 0,
        "left_out": 2,
    }
    with pytest.raises(NotFound, match="`exclude` names it: tag:admin"):
        show_operation(made.specs["shop"], "getUser")
    assert set(whole_spec(made, "shop").operations) == ALL
    assert "left_out" not in show_connector(plan(None), "shop")["operations"]
