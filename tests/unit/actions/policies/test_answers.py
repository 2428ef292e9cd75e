"""pollingtrigger, updatenextlink, setconnectionstatustounauthenticated."""

from typing import Any

import pytest

from actions.base import Answer
from tests.tables import every_row
from tests.unit.actions.policies.trying import BASE, answered, policies, request


def polling(config: Any, data: str = "@triggerBody().value") -> Any:
    return policies(("pollingtrigger", {"triggerConfig": config, "triggerDataPath": data}))


def test_news_carry_the_state_of_the_next_poll() -> None:
    made = polling({"since": "@{triggerBody().value[0].at}", "per": "1"})
    asked = request(f"{BASE}/orders/7?since=1&x=2", method="GET")
    answer = made.answer(asked, Answer(status=200, body=b'{"value": [{"at": "a b&c"}, {"at": 1}]}'))
    assert answer.status == 200
    assert answer.body == b'{"value": [{"at": "a b&c"}, {"at": 1}]}'
    assert answer.header("location") == f"{BASE}/orders/7?since=a%20b%26c&x=2&per=1"


@every_row("body", [b'{"value": []}', b"{}", b'{"value": null}'])
def test_no_news_are_202_and_keep_the_state(body: bytes) -> None:
    made = polling({"since": "@{triggerBody().value[0].at}"})
    answer = made.answer(request(f"{BASE}/orders/7?since=1"), Answer(status=200, body=body))
    assert (answer.status, answer.header("location")) == (202, f"{BASE}/orders/7?since=1")


def test_a_state_of_the_whole_answer_moves_on_without_news() -> None:
    made = polling({"since": "@{triggerBody().now}"})
    answer = answered(made, {"value": [], "now": 12345678901234567890})
    assert (answer.status, answer.header("location")) == (202, f"{BASE}/orders/7?since=12345678901234567890")


def test_a_next_link_is_the_whole_of_the_next_poll_at_our_origin() -> None:
    made = polling({"x-ms-triggerConfig-nextLink": "@{triggerBody()['@odata.deltaLink']}"})
    answer = answered(made, {"value": [1], "@odata.deltaLink": "http://evil.example/v1/x?$deltatoken=1"})
    assert answer.header("location") == "https://api.example/v1/x?$deltatoken=1"
    assert answered(made, {"value": [1]}).header("location") == f"{BASE}/orders/7"


def test_failures_are_left_as_they_are() -> None:
    made = polling({"": "1"})
    assert answered(made, {"value": []}, 500).status == 500
    assert answered(made, {"value": [1]}).header("location") == f"{BASE}/orders/7"
    assert answered(made, b"no json").header("pointsman-policies") == "my pollingtrigger: the body is no JSON"


def linking(name: str, **more: str) -> Any:
    return policies(("updatenextlink", {"nextLinkPropertyName": name, **more}))


@pytest.mark.parametrize(
    ("link", "found"),
    [
        ("https://inner.example:8443/x?$skip=2", "https://api.example/x?$skip=2"),
        ("/v1/orders?page=2", "https://api.example/v1/orders?page=2"),
        ("?page=2", f"{BASE}/orders/7?page=2"),
        ("https://user:pw@evil.example", "https://api.example/"),
        ("https://[broken/", "https://[broken/"),
    ],
)
def test_the_next_link_leads_to_the_origin_that_was_called(link: str, found: str) -> None:
    answer = answered(linking("@odata.nextLink"), {"@odata.nextLink": link, "n": 1})
    assert f'"@odata.nextLink":"{found}"'.replace("/", "/") in answer.body.decode().replace(": ", ":")


def test_the_next_link_may_lie_deeper() -> None:
    answer = answered(linking("paging.next"), {"paging": {"next": "/p2"}})
    assert answer.body == b'{"paging":{"next":"https://api.example/p2"}}'
    answer = answered(linking("next", nextLinkParentPath="@body().paging"), {"paging": {"next": "/p2"}})
    assert answer.body == b'{"paging":{"next":"https://api.example/p2"}}'


@every_row("body", [{"x": 1}, {"@odata.nextLink": None}, [], 5])
def test_an_answer_without_a_next_link_is_left(body: Any) -> None:
    assert answered(linking("@odata.nextLink"), body).header("pointsman-policies") is None


def test_a_status_means_that_the_login_is_not_valid() -> None:
    made = policies(("setconnectionstatustounauthenticated", {"statusCode": "403, 419"}))
    answer = answered(made, b"no", 419)
    assert (answer.status, answer.body) == (401, b"no")
    assert "419 means that the login is not valid" in (answer.header("pointsman-policies") or "")
    assert answered(made, b"no", 404).status == 404
    assert (
        answered(policies(("setconnectionstatustounauthenticated", {"statusCode": 401})), b"", 401).status
        == 401
    )
