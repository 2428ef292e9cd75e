"""What one attempt of a delivery sends: rendered from its message, and the same at every attempt."""

from typing import Any

import msgspec
import pytest

from actions.http import HTTPConnector, Place
from service.config.model import Configuration
from service.job import Failed, Job, prepare
from service.plan import build
from service.store.base import RunKey
from tests.unit.actions.specs.postman.collections import SCHEMA, item, raw
from triggers.message import TriggerMessage

ACCEPTED_AT = 1_700_000_000_500  # ms
BODY = '{"id": "{{$guid}}", "at": {{$timestamp}}, "who": "{{who}}", "dice": {{$randomInt}}}'
COLLECTION = {
    "info": {"name": "t", "schema": SCHEMA},
    "item": [item("https://a.example/orders", "POST", "Order", body=raw(BODY, "json"))],
}
STEP = {
    "call": "shop.Order",
    "preset": "Order",
    "with": {"body": {"who": "${data.who}"}},
    "on_unknown": "retry",
}


def job(data: dict[str, Any], *, received_at: int = ACCEPTED_AT, number: int = 1, message: str = "m1") -> Job:
    document = {
        "connectors": {"shop": {"spec": "shop.json"}},
        "connections": {"shop": {"connector": "shop"}},
        "rules": {"r": {"do": [STEP]}},
    }
    made = build(Configuration.model_validate(document), {"shop": msgspec.json.encode(COLLECTION)})
    assert not made.problems
    one = TriggerMessage(id=message, source="/s", type="t", format="json", data=msgspec.json.encode(data))
    key = RunKey(1, made.ruleset.rules[0].number, 1)
    begun = received_at + 1_000 * number
    found = Job(
        key,
        one,
        source="s",
        ruleset=made.ruleset,
        ruleset_number=1,
        started_at=begun,
        received_at=received_at,
    )
    found.number = number
    return found


def sent(one: Job) -> dict[str, Any]:
    step = one.step_of()
    connector = HTTPConnector("shop", one.pin(step).spec, server=Place(url="https://a.example", own=True))
    prepared = prepare(connector, one, step)
    return {**msgspec.json.decode(prepared.request.body), "digest": prepared.digest, "key": prepared.key}


def test_every_attempt_of_a_preset_sends_the_same() -> None:
    first, later = sent(job({"who": "{{$guid}}"})), sent(job({"who": "{{$guid}}"}, number=7))
    assert first == later
    assert first["at"] == 1_700_000_000
    assert first["who"] == "{{$guid}}", "what a message brings is never looked into"
    assert isinstance(first["dice"], int)


def test_another_message_gets_values_of_its_own() -> None:
    first, other = sent(job({"who": "a"})), sent(job({"who": "a"}, message="m2"))
    assert first["id"] != other["id"]
    assert sent(job({"who": "a"}, received_at=ACCEPTED_AT + 5_000))["at"] == 1_700_000_005


def test_what_cannot_be_rendered_fails_with_its_place() -> None:
    with pytest.raises(Failed, match="step Order"):
        sent(job({}))
