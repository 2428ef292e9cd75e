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
