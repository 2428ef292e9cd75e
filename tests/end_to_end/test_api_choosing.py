"""What a connector leaves out of its description, in a real instance: refused by name, lost to no delivery."""

from pathlib import Path
from typing import Any

import pytest

from service.errors import Invalid
from tests.end_to_end.apis import call, configured, done, openapi, operation, taking, write
from tests.end_to_end.backend import Act, answers, backend
from tests.end_to_end.instance import instance

ANY = taking("application/json", {"type": "object"})
API = openapi(
    {
        "/orders": {"post": operation("order", tags=["orders"], **ANY)},
        "/users": {"post": operation("user", tags=["admin"], **ANY)},
    }
)
BODY = {"body": "${data}"}


def _choosing(url: str, choice: dict[str, Any] | None, *steps: dict[str, Any]) -> dict[str, Any]:
    content = configured(url, *steps)
    if choice is not None:
        content["connectors"]["api"]["operations"] = choice
    return content


async def test_what_is_left_out_cannot_be_called_and_what_was_accepted_before_goes_on(tmp_path: Path) -> None:
    write(tmp_path, {"api.json": API})
    order, user = call("order", BODY), call("user", BODY)
    async with backend() as api:
        api.default = answers(503)
        async with instance(tmp_path, _choosing(api.url, None, order, user)) as it:
            waiting = await it.send({"do": "user"})
            await api.called(1)
            with pytest.raises(Invalid) as caught:
                await it.reload(_choosing(api.url, {"exclude": ["tag:admin"]}, order, user))
            (problem,) = [one for one in caught.value.problems if one.severity == "error"]
            assert (problem.pointer, problem.code) == ("/rules/rule-1/do/0/call", "left-out")
            assert "`exclude` names it: tag:admin" in problem.message
            assert problem.because.startswith(f"{tmp_path / 'pointsman.yaml'}:1:")
            await it.reload(_choosing(api.url, {"exclude": ["tag:admin"]}, order))
            api.default = Act()
            assert (await it.ended(waiting))["state"] == "delivered"
            await done(it, "order")
            # The same description before and after: the choice is what tells them apart.
            refused = await it.admin(
                "POST", "/api/v1/connections/api/operations/user/call", json={"with": {"body": {}}}
            )
            assert refused.status_code == 404
            assert "`exclude` names it: tag:admin" in refused.json()["detail"]
            shown = (await it.admin("GET", "/api/v1/connectors/api")).json()
            assert (shown["operations"]["all"], shown["operations"]["left_out"]) == (1, 1)
            listed = (await it.admin("GET", "/api/v1/connectors/api/operations")).json()["items"]
            assert [one["id"] for one in listed] == ["order"]
            await it.reload(_choosing(api.url, {"include": "user"}, user))
            await done(it, "user")
        assert {one.target for one in api.calls} == {"/users", "/orders"}


async def test_what_is_left_out_stays_so_when_the_description_grows(tmp_path: Path) -> None:
    write(tmp_path, {"api.json": API})
    async with backend() as api:
        choice = {"include": ["tag:orders"]}
        async with instance(tmp_path, _choosing(api.url, choice, call("order", BODY))) as it:
            grown = {
                **API["paths"],
                "/orders/last": {"get": operation("last", tags=["orders"])},
                "/audit": {"get": operation("audit", tags=["admin"])},
            }
            write(tmp_path, {"api.json": openapi(grown)})
            await it.reload()
            listed = (await it.admin("GET", "/api/v1/connectors/api/operations")).json()["items"]
            assert [one["id"] for one in listed] == ["order", "last"]


async def test_a_limit_that_is_lowered_loses_no_delivery(tmp_path: Path) -> None:
    write(tmp_path, {"api.json": API})
    order, user = call("order", BODY), call("user", BODY)
    async with backend() as api:
        api.default = answers(503)
        async with instance(tmp_path, configured(api.url, order, user)) as it:
            waiting = await it.send({"do": "user"})
            await api.called(1)
            assert (await it.deliveries(message=waiting))[0]["state"] != "delivered"
        api.default = Act()
        with pytest.raises(Invalid, match="has more than 1 operations"):
            async with instance(tmp_path, configured(api.url, order, user), max_operations=1):
                pytest.fail("a rule calls what is beyond the limit")
        async with instance(tmp_path, configured(api.url, order), max_operations=1) as it:
            assert (await it.ended(waiting))["state"] == "delivered"
            await done(it, "order")
            shown = (await it.admin("GET", "/api/v1/connectors/api")).json()
            assert shown["operations"]["refused"] == 1
            sent = await it.admin("POST", "/api/v1/descriptions/read", json=API)
            assert [one["status"] for one in sent.json()["items"][0]["operations"]] == ["ok", "refused"]
        with pytest.raises(Invalid, match="POINTSMAN_MAX_DESCRIPTION_BYTES"):
            async with instance(tmp_path, configured(api.url, order), max_description_bytes=50):
                pytest.fail("the description is longer than the limit")


# -- versions that end

OLD = openapi({"/v1/orders": {"post": operation("order", **ANY)}})
PINNED = call("order", BODY, version="1")


def _ending(url: str, version: Any, *steps: dict[str, Any]) -> dict[str, Any]:
    content = configured(url, *steps)
    content["connectors"]["api"]["versions"] = {"1": version}
    return content


async def test_a_withdrawn_version_is_refused_and_what_was_accepted_with_it_is_delivered(
    tmp_path: Path,
) -> None:
    write(tmp_path, {"api.json": API, "old.json": OLD})
    withdrawn = {"withdrawn": "the provider has switched it off"}
    async with backend() as api:
        api.default = answers(503)
        async with instance(tmp_path, _ending(api.url, "old.json", PINNED)) as it:
            waiting, restarted = await it.send({"do": "order"}), ""
            await api.called(1)
            (tmp_path / "old.json").unlink()
            with pytest.raises(Invalid) as caught:
                await it.reload(_ending(api.url, withdrawn, PINNED))
            (problem,) = [one for one in caught.value.problems if one.severity == "error"]
            assert (problem.pointer, problem.code) == ("/rules/rule-0/do/0/version", "withdrawn-version")
            assert "rule rule-0 pins version 1 of connector api" in problem.message
            assert "the provider has switched it off" in problem.message
            # The refused configuration changes nothing, and the pinned rule still takes messages.
            restarted = await it.send({"do": "order"})
            await it.reload(_ending(api.url, withdrawn, call("order", BODY)))
            shown = (await it.admin("GET", "/api/v1/connectors/api")).json()
            assert shown["versions"] == [
                {
                    "version": "1",
                    "spec": "",
                    "state": "withdrawn",
                    "reason": "the provider has switched it off",
                    "rules": [],
                }
            ]
            after = await it.send({"do": "order"})
            api.decide = lambda made: Act() if made.target == "/orders" else answers(503)
            assert (await it.ended(after))["state"] == "delivered"
            assert {one["state"] for one in await it.deliveries(message=waiting)} <= {"waiting", "running"}
        # A restart, with the file of the version gone and the version withdrawn.
        api.decide = lambda _made: Act()
        async with instance(tmp_path, _ending(api.url, withdrawn, call("order", BODY))) as it:
            for one in (waiting, restarted):
                assert (await it.ended(one))["state"] == "delivered"
    by_key: dict[str, set[str]] = {}
    for made in api.calls:
        by_key.setdefault(made.key, set()).add(made.target)
    assert sorted(map(sorted, by_key.values())) == [["/orders"], ["/v1/orders"], ["/v1/orders"]]


async def test_a_deprecated_version_works_and_every_rule_that_pins_it_is_warned_of(tmp_path: Path) -> None:
    write(tmp_path, {"api.json": API, "old.json": OLD})
    deprecated = {"spec": "old.json", "deprecated": "pin none: orders take a zone now"}
    async with backend() as api:
        async with instance(tmp_path, _ending(api.url, deprecated, PINNED)) as it:
            (warning,) = [one for one in it.service.problems if one.code != "may-repeat"]
            assert (warning.code, warning.severity) == ("deprecated-version", "warning")
            assert "rule rule-0" in warning.message
            assert "orders take a zone now" in warning.message
            await done(it, "order")
            (version,) = (await it.admin("GET", "/api/v1/connectors/api")).json()["versions"]
            assert (version["state"], version["rules"]) == ("deprecated", ["rule-0"])
        assert [one.target for one in api.calls] == ["/v1/orders"]
