"""Presets as calls: what they send, what callers say, what generators make, and what is lacking."""

import json
from typing import Any

import pytest

from actions.base import Prepared
from actions.errors import Refused
from actions.http import HTTPConnector, Place
from actions.kafka.connector import KafkaConnector
from actions.presets import find_preset
from actions.specs import read_spec
from actions.specs.model import Spec
from tests.unit.actions.specs.postman.collections import codes, item, one, raw, read, variables

BODY = (
    '{"id": "{{$guid}}", "other": "{{$guid}}", "at": {{$timestamp}}, "text": "{{$timestamp}}",'
    ' "n": {{n}}, "who": {"name": "{{who}}", "tags": ["{{who}}", 1]}}'
)
ORDER = read(
    item(
        "https://a.x/orders?dry=1",
        "POST",
        "Order",
        body=raw(BODY, "json"),
        header=[{"key": "X-Request", "value": "{{$guid}}"}, {"key": "X-Tenant", "value": "{{who}}"}],
    )
)
PLACE = Place(url="https://a.x", own=True, parameters={"n": "5", "who": "wir"})


def prepared(
    arguments: dict[str, Any],
    spec: Spec = ORDER,
    *,
    place: Place = PLACE,
    key: str = "k",
    at: float = 1e9,
    preset: str = "Order",
) -> Prepared:
    return HTTPConnector("c", spec, server=place).prepare(
        one(spec).id, arguments, key=key, at=at, preset=preset
    )


def body(made: Prepared) -> Any:
    return json.loads(made.request.body)


def test_a_preset_is_a_call() -> None:
    made = prepared({})
    assert made.request.url == "https://a.x/orders?dry=1"
    sent = body(made)
    assert sent["n"] == 5  # stood outside of quotes
    assert (sent["at"], sent["text"]) == (1_000_000_000, "1000000000")
    assert sent["who"] == {"name": "wir", "tags": ["wir", 1]}
    assert sent["id"] != sent["other"]
    headers = dict(made.request.headers)
    assert headers["X-Tenant"] == "wir"
    assert len({headers["X-Request"], sent["id"], sent["other"]}) == 3


def test_the_same_call_again_is_the_same_request() -> None:
    assert prepared({}) == prepared({})
    assert prepared({}).digest != prepared({}, key="other").digest
    assert body(prepared({}, at=2e9))["at"] == 2_000_000_000


def test_arguments_win_and_are_not_looked_into() -> None:
    sent = body(prepared({"body": {"id": "{{$guid}}", "who": {"name": "{{who}}"}, "more": [1]}}))
    assert (sent["id"], sent["who"]["name"], sent["more"]) == ("{{$guid}}", "{{who}}", [1])
    assert (sent["who"]["tags"], sent["n"]) == (["wir", 1], 5)
    assert body(prepared({"body": "all"})) == "all"
    assert dict(prepared({"X-Request": "mine"}).request.headers)["X-Request"] == "mine"


def test_without_a_preset_only_generators_complete_a_call() -> None:
    made = prepared({"body": {"a": "{{$guid}}"}}, preset="")
    assert body(made) == {"a": "{{$guid}}"}
    headers = dict(made.request.headers)
    assert len(headers["X-Request"]) == 36
    assert headers["X-Tenant"] == "wir"


def test_all_that_is_lacking_is_said_at_once() -> None:
    form = {"mode": "formdata", "formdata": [{"key": "f", "type": "file"}, {"key": "c", "value": "{{c}}"}]}
    spec = read(item("https://a.x/:id", "POST", "Send", body=form))
    with pytest.raises(Refused) as refused:
        prepared({}, spec, preset="Send")
    assert [pointer for pointer, _ in refused.value.problems] == ["/id", "/body/f", "/body/c"]
    made = prepared(
        {"id": 1, "body": {"f": {"text": "abc", "filename": "a.txt"}, "c": "d"}}, spec, preset="Send"
    )
    assert made.request.url == "https://a.x/1"
    assert b'filename="a.txt"' in made.request.body


def test_a_secret_is_never_filled_in() -> None:
    spec = read(item("https://a.x/b?p={{my_secret}}", "GET", "Get"))
    place = Place(url="https://a.x", own=True, parameters={"my_secret": "geheim"})
    with pytest.raises(Refused, match="my_secret"):
        prepared({}, spec, place=place, preset="Get")


def test_inputs_in_groups_are_completed_in_their_groups() -> None:
    spec = read(item("https://a.x/:id?id={{$randomInt}}", "GET", "Get"))
    assert one(spec).grouped
    given = {"path": {"id": "p"}}
    asked = prepared(given, spec, preset="Get").request.url
    assert asked.startswith("https://a.x/p?id=")
    assert asked.rpartition("=")[2].isdigit()
    assert prepared(given, spec, preset="").request.url.startswith("https://a.x/p?id=")
    assert prepared({**given, "query": {"id": 7}}, spec, preset="").request.url == "https://a.x/p?id=7"


def test_a_generator_that_only_some_requests_use_makes_nothing_unasked() -> None:
    spec = read(item("https://a.x/b?n={{$timestamp}}", name="With"), item("https://a.x/b", name="Without"))
    assert prepared({}, spec, preset="").request.url == "https://a.x/b"
    assert prepared({}, spec, preset="Without").request.url == "https://a.x/b"
    assert prepared({}, spec, preset="With").request.url == "https://a.x/b?n=1000000000"


def test_a_preset_is_found_by_the_name_of_its_request_too() -> None:
    spec = read(
        {"name": "F", "item": [item("https://a.x/b?a=1", name="same")]},
        {
            "name": "G",
            "item": [item("https://a.x/b?a=2", name="same"), item("https://a.x/b?a=3", name="Other")],
        },
    )
    operation = one(spec)
    assert find_preset(operation, "F / same").url == "https://a.x/b?a=1"
    with pytest.raises(Refused, match="several presets"):
        find_preset(operation, "same")
    with pytest.raises(Refused, match="did you mean 'Other'"):
        find_preset(operation, "Othr")


def test_what_is_no_generator_is_found_and_wanted() -> None:
    spec = read(item("https://a.x/b?a={{$randomUnicorn}}", name="Get"), variable=variables(b="1"))
    assert codes(spec) == ["generator-unknown"]
    assert list(spec.parameters) == ["$randomUnicorn"]
    with pytest.raises(Refused, match="randomUnicorn"):
        prepared({}, spec, place=Place(url="https://a.x", own=True), preset="Get")
    place = Place(url="https://a.x", own=True, parameters={"$randomUnicorn": "u"})
    assert prepared({}, spec, place=place, preset="Get").request.url == "https://a.x/b?a=u"


def test_messages_have_no_presets() -> None:
    spec = read_spec({"a.json": b'{"asyncapi": "2.6.0", "channels": {"o": {"publish": {"message": {}}}}}'})
    connector = KafkaConnector("k", spec, server="kafka://127.0.0.1:9092")
    with pytest.raises(Refused, match="no preset"):
        connector.prepare(one(spec).id, {}, key="k", preset="x")


def test_a_body_that_variables_make_whole_is_sent() -> None:
    spec = read(item("https://a.x/b", "POST", "Send", body=raw('{"a": 1 {{more}}}', "json")))
    assert "more" in spec.parameters
    place = Place(url="https://a.x", own=True, parameters={"more": ', "b": 2'})
    assert body(prepared({}, spec, place=place, preset="Send")) == {"a": 1, "b": 2}
    with pytest.raises(Refused, match="needs the variables more"):
        prepared({}, spec, place=Place(url="https://a.x", own=True), preset="Send")
    assert body(prepared({"body": {"c": 3}}, spec, preset="Send")) == {"c": 3}
