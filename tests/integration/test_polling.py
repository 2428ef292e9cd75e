"""A poll over real calls: the polling contract, conditional requests, limits and refusals on the wire."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from actions.auth import read_auth
from actions.egress import read_egress
from actions.http import HTTPConnector
from actions.origins import HTTPLimits
from actions.specs import read_spec
from service.connections import BreakerPolicy, Connection, Limits
from service.polling import make_call
from service.rules.model import Pin
from service.usecases.checking import compile_for_source
from tests.end_to_end.backend import Act, Backend, answers
from tests.fakes.sources import Emitted, Reports, source_context
from tests.integration.engine_room import Room, engine_room
from tests.patience import PATIENCE
from triggers.errors import SourceRejected, SourceUnavailable
from triggers.poll import PollConfig, PollSource

SPEC = read_spec(
    {
        "orders.yaml": b"""
openapi: 3.0.3
info: {title: Orders, version: "1"}
servers: [{url: "http://127.0.0.1:1"}]
security: [{key: []}]
paths:
  /orders/{shop}:
    get:
      operationId: list
      parameters:
        - {name: shop, in: path, required: true, schema: {type: string}}
        - {name: state, in: query, schema: {type: string}}
        - {name: limit, in: query, schema: {type: integer}}
      responses: {"200": {description: ok}}
components: {securitySchemes: {key: {type: apiKey, in: query, name: api_key}}}
"""
    }
)
KEY = "s3cret-of-the-orders"


class Shop:
    """A backend, and a source that polls it as often as it answers."""

    def __init__(self, backend: Backend, **limits: Any) -> None:
        self.backend = backend
        self.emitted = Emitted()
        self.report = Reports()
        self.connector = HTTPConnector(
            "shop",
            SPEC,
            server=backend.url,
            auth=read_auth({"api_key": KEY}, SPEC.security_schemes),
            egress=read_egress(("127.0.0.1",)),
            limits=HTTPLimits(max_answer_bytes=limits.pop("max_answer", 1 << 20)),
        )
        connection = Connection(
            "shop",
            1,
            limits=Limits(timeout=3.0),
            breaker=BreakerPolicy(),
            connector_for=lambda _pin: self.connector,
            digest="",
            now=0.0,
        )
        self.call = make_call(lambda _name: connection, lambda _name: Pin("", SPEC), freed=lambda _name: None)

    async def poll(self, times: int, **config: Any) -> None:
        """Poll so often."""
        done = asyncio.Event()
        left = times

        async def wait(_seconds: float) -> None:
            nonlocal left
            left -= 1
            if not left:
                done.set()
                await asyncio.Event().wait()

        said = {"kind": "poll", "call": "shop.list", "with": {"shop": "a b"}, "item_id": "item.id", **config}
        source = PollSource("orders", PollConfig.model_validate(said), wait=wait)
        await source.open(
            source_context(self.emitted, report=self.report, call=self.call, expression=compile_for_source)
        )
        async with asyncio.TaskGroup() as group:
            run = group.create_task(source.run(self.emitted.begin()))
            finished = group.create_task(done.wait())
            await asyncio.wait([run, finished], return_when=asyncio.FIRST_COMPLETED, timeout=PATIENCE)
            finished.cancel()
            run.cancel()
        await source.close()

    def queries(self) -> list[dict[str, list[str]]]:
        return [parse_qs(urlsplit(call.target).query) for call in self.backend.calls]


@pytest.fixture
async def shops() -> AsyncIterator[Callable[..., Shop]]:
    made: list[Shop] = []
    backend = Backend()
    await backend.open()

    def make(**limits: Any) -> Shop:
        made.append(Shop(backend, **limits))
        return made[-1]

    try:
        yield make
    finally:
        for shop in made:
            await shop.connector.close()
        await backend.close()


async def test_the_polling_contract_on_the_wire(shops):
    shop = shops()
    shop.backend.script(
        answers(
            202, location=f"{shop.backend.url}/orders/a%20b?state=s1&limit=5&api_key={KEY}", retry_after="1"
        ),
        answers(200, [{"id": 1}], location="?state=s2%26x"),
        answers(200, [{"id": 2}, {"id": 1}]),
    )
    await shop.poll(3)
    assert [message.id for message in shop.emitted.messages] == ["1", "2"]
    assert shop.queries() == [
        {"api_key": [KEY]},
        {"api_key": [KEY], "state": ["s1"], "limit": ["5"]},
        {"api_key": [KEY], "state": ["s2&x"]},
    ]
    assert KEY.encode() not in b"".join(shop.emitted.kept.values())
    assert shop.report.warnings == {}


async def test_a_parameter_that_is_not_described_is_not_sent(shops):
    shop = shops()
    shop.backend.script(answers(202, location="?state=s1&evil=1"), answers(200, []))
    await shop.poll(2)
    assert shop.queries()[1] == {"api_key": [KEY], "state": ["s1"]}
    assert "evil" in shop.report.warnings["location-ignored"][0]


async def test_a_location_on_another_host_is_not_called(shops):
    shop = shops()
    other = Backend()
    await other.open()
    try:
        shop.backend.script(answers(202, location=f"{other.url}/orders/a%20b?state=s1"), answers(200, []))
        await shop.poll(2)
    finally:
        await other.close()
    assert other.calls == []
    assert shop.queries()[1] == {"api_key": [KEY]}
    assert "location-ignored" in shop.report.warnings


async def test_an_unchanged_answer_is_not_sent_again(shops):
    shop = shops()
    shop.backend.script(
        answers(200, [{"id": 1}], etag='"v1"'), Act(status=304, body=b"", headers=(("etag", '"v1"'),)),
        answers(200, [{"id": 2}, {"id": 1}], etag='"v2"'),
    )  # fmt: skip
    await shop.poll(3)
    assert [call.headers.get("if-none-match") for call in shop.backend.calls] == [None, '"v1"', '"v1"']
    assert [message.id for message in shop.emitted.messages] == ["2"]


async def test_an_answer_beyond_the_cap_is_kept_as_a_reject_and_never_read_by_half(shops):
    shop = shops(max_answer=64)
    shop.backend.script(
        answers(200, [{"id": 1}]),
        answers(200, [{"id": n} for n in range(50)]),
        answers(200, [{"id": 2}, {"id": 1}]),
    )
    await shop.poll(3)
    (reject,) = shop.emitted.rejects
    assert (reject.reason, len(reject.data)) == ("answer-cut", 64)
    assert [message.id for message in shop.emitted.messages] == ["2"]


@pytest.mark.parametrize(
    ("act", "error"),
    [
        (answers(401), SourceUnavailable),
        (answers(503), SourceUnavailable),
        (Act(cut="after"), SourceUnavailable),
        (answers(302, location="http://127.0.0.1:1/"), SourceRejected),
        (answers(400), SourceRejected),
    ],
)
async def test_what_brings_no_answer_ends_the_run_in_words_without_the_key(shops, act, error):
    shop = shops()
    shop.backend.default = act
    with pytest.raises(ExceptionGroup) as caught:
        await shop.poll(1)
    (found,) = caught.value.exceptions
    assert isinstance(found, error)
    assert "shop.list" in str(found)
    assert KEY not in str(found)


async def test_inputs_that_do_not_fit_are_refused(shops):
    shop = shops()
    with pytest.raises(ExceptionGroup) as caught:
        await shop.poll(1, **{"with": {"shop": "..", "limit": "many"}})
    assert "limit must be an integer" in str(caught.value.exceptions[0])
    assert shop.backend.calls == []


# -- beside deliveries


def rule() -> dict[str, Any]:
    return {"match": {"type": ["t"]}, "do": [{"call": "shop.one", "with": {"body": {"id": "${data.id}"}}}]}


def calls_of(room: Room) -> Any:
    connections = {one.name: one for one in room.dispatch.connections()}
    return make_call(connections.get, room.intake.ruleset.pins.get, freed=room.dispatch.nudge)


async def test_a_poll_is_not_starved_by_deliveries_and_exceeds_no_limit(tmp_path: Path) -> None:
    async with engine_room(tmp_path) as room:
        await room.use({"r": rule()}, connections={"shop": Limits(in_flight=1)})
        connector = room.connectors["shop"]
        connector.gate = asyncio.Event()
        for number in range(20):
            await room.send({"id": number})
        await room.until(lambda: connector.in_flight == 1)
        poll = asyncio.create_task(calls_of(room)("shop.two", {}))
        await asyncio.sleep(0)
        connector.gate.set()
        assert (await poll).status == 200
        assert connector.most_in_flight == 1
        before = [call.operation for call in connector.calls].index("two")
        assert before <= 2, "deliveries went before a poll that had its place reserved"
        await room.ended(20)


async def test_deliveries_wait_for_a_poll_without_burning_the_processor(tmp_path: Path) -> None:
    async with engine_room(tmp_path) as room:
        await room.use({"r": rule()}, connections={"shop": Limits(in_flight=1)})
        connector = room.connectors["shop"]
        connector.gate = asyncio.Event()
        poll = asyncio.create_task(calls_of(room)("shop.two", {}))
        await room.until(lambda: connector.in_flight == 1)
        for number in range(3):
            await room.send({"id": number})
        before = time.process_time()
        await asyncio.sleep(0.5)  # a negative has no event to wait for
        assert time.process_time() - before < 0.25
        assert [call.operation for call in connector.calls] == ["two"]
        connector.gate.set()
        await poll
        await room.ended(3)
        assert connector.most_in_flight == 1
