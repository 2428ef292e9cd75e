"""Calls and answers that differ from their description are told or refused."""

import msgspec
import pytest

from actions.base import Answer
from actions.drift import GAP, Drift
from actions.errors import Refused
from actions.specs import read_spec
from tests.tables import every_row
from tests.unit.actions.calling import Clock

SPEC = read_spec(
    {
        "shop.json": msgspec.json.encode(
            {
                "openapi": "3.0.3",
                "info": {"title": "Shop", "version": "1"},
                "paths": {
                    "/orders": {
                        "post": {
                            "operationId": "order",
                            "requestBody": {
                                "content": {
                                    "application/json": {
                                        "schema": {
                                            "type": "object",
                                            "required": ["sku"],
                                            "properties": {
                                                "sku": {"type": "string"},
                                                "qty": {"type": "integer", "minimum": 1},
                                            },
                                        }
                                    }
                                }
                            },
                            "responses": {
                                "201": {
                                    "content": {
                                        "application/json": {"schema": {"type": "object", "required": ["id"]}}
                                    }
                                }
                            },
                        }
                    }
                },
            }
        )
    }
)
ORDER = SPEC.operations["order"]


def answer(body, status=201, kind="application/json"):
    return Answer(status=status, headers=(("content-type", kind),), body=body)


def test_everything_wrong_with_the_arguments_refuses_the_call():
    drift = Drift(SPEC, arguments="reject")
    drift.check_arguments(ORDER, {"body": {"sku": "a", "qty": msgspec.Raw(b"2")}})
    with pytest.raises(Refused, match="its arguments do not fit") as caught:
        drift.check_arguments(ORDER, {"body": {"qty": 0}})
    assert {pointer for pointer, _ in caught.value.problems} == {"/body", "/body/qty"}


def test_what_is_filled_in_and_what_chooses_a_media_type_is_no_difference():
    schema = {
        "type": "object",
        "required": ["kind"],
        "properties": {"kind": {"default": "thing"}, "note": {"type": "string"}},
    }
    content = {"application/json": {"schema": schema}, "text/plain": {"schema": {"type": "string"}}}
    described = {
        "openapi": "3.1.0",
        "info": {"title": "Shop", "version": "1"},
        "paths": {
            "/things": {
                "post": {"operationId": "make", "requestBody": {"required": True, "content": content}},
                "put": {
                    "operationId": "grouped",
                    "parameters": [
                        {"name": "a", "in": "query", "schema": {"type": "string"}},
                        {"name": "a", "in": "header", "schema": {"type": "string"}},
                    ],
                    "requestBody": {"required": True, "content": content},
                },
            }
        },
    }
    spec = read_spec({"api.json": msgspec.json.encode(described)})
    drift = Drift(spec, arguments="reject")
    make, grouped = spec.operations["make"], spec.operations["grouped"]
    drift.check_arguments(make, {})
    drift.check_arguments(make, {"content-type": "application/json", "ACCEPT": "*/*", "body": {}})
    drift.check_arguments(make, {"Content-Type": msgspec.Raw(b'"text/plain"'), "body": "x"})
    drift.check_arguments(grouped, {"header": {"content-type": "text/plain", "a": "1"}, "body": "x"})
    for one, given in (
        (make, {"body": {"note": 1}}),
        (make, {"body": "x"}),
        (grouped, {"header": {"b": "1"}}),
    ):
        with pytest.raises(Refused):
            drift.check_arguments(one, given)


def test_what_is_only_told_is_counted_with_samples():
    drift = Drift(SPEC)
    drift.check_arguments(ORDER, {"body": {}})
    drift.check_answer(ORDER, answer(b"{}"))
    found = {one.side: one for one in drift.report()}
    assert found["arguments"].differed == 1
    assert found["arguments"].samples == ["/body sku is required"]
    assert found["answer"].status == 201
    assert found["answer"].samples == ["/ id is required"]


@every_row(
    ("given", "words"),
    [
        (answer(b"{}", status=418), "the status 418 is not declared"),
        (answer(b"<html>"), "is no JSON"),
    ],
)
def test_an_answer_of_another_kind_is_told(given, words):
    drift = Drift(SPEC)
    drift.check_answer(ORDER, given)
    assert words in drift.report()[0].samples[0]


@every_row(
    "given", [answer(b'{"id": 1}'), answer(b"x", kind="text/plain"), answer(b""), answer(b"{", kind="")]
)
def test_an_answer_that_fits_or_says_nothing_is_no_difference(given):
    drift = Drift(SPEC)
    drift.check_answer(ORDER, given)
    assert drift.report() == []


def test_what_is_only_told_is_looked_at_now_and_then():
    clock = Clock()
    drift = Drift(SPEC, clock=clock)
    for _ in range(5):
        drift.check_arguments(ORDER, {"body": {}})
    assert drift.report()[0].looked == 1
    clock.now += GAP
    drift.check_arguments(ORDER, {"body": {}})
    assert drift.report()[0].looked == 2


def test_nobody_looks_where_it_is_off():
    drift = Drift(SPEC, arguments="off", answers="off")
    drift.check_arguments(ORDER, {"body": {}})
    drift.check_answer(ORDER, answer(b"{}"))
    assert drift.report() == []
