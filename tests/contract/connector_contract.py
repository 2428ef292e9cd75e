"""What every connector keeps to, whatever it speaks. It needs no server: what only one can show is shown elsewhere.

A new connector adds one class with how it is made, an operation with good arguments, and some that are not.
"""

import asyncio
import gc
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import msgspec
import pytest

from actions.base import Connector
from actions.egress import read_egress
from actions.errors import ActionError, OutcomeUnknown, Refused, RetryLater
from actions.specs import read_spec
from tests.fakes.raw_backend import RawBackend, Talk
from tests.patience import PATIENCE, SLACK
from tests.unit.actions.calling import Names


class ConnectorContract(ABC):
    operation: ClassVar[str]
    arguments: ClassVar[dict[str, Any]]
    raw: ClassVar[dict[str, Any]]
    """The same arguments with JSON tokens in them."""
    wrong: ClassVar[tuple[dict[str, Any], ...]]
    secret: ClassVar[str] = "hunter2-secret"

    @abstractmethod
    def make(self, host: str, **options: Any) -> Connector:
        """Make a connector to `host` (host:port) that logs in with the secret."""

    @pytest.fixture
    async def unreachable(self):
        connector = self.make("127.0.0.1:1", egress=read_egress("127.0.0.1:1"))
        yield connector
        await connector.close()

    def prepared(self, connector: Connector, key: str = "k-1", **more: Any) -> Any:
        return connector.prepare(self.operation, {**self.arguments, **more}, key=key)

    async def test_preparing_is_pure(self, unreachable):
        first, second = self.prepared(unreachable), self.prepared(unreachable)
        assert first == second
        assert first.digest == second.digest
        assert (first.operation, first.key) == (self.operation, "k-1")

    async def test_the_digest_knows_the_arguments(self, unreachable):
        assert self.prepared(unreachable).digest != self.prepared(unreachable, body={"other": 1}).digest
        assert self.prepared(unreachable).digest == self.prepared(unreachable, key="k-2").digest
        tokens = unreachable.prepare(self.operation, self.raw, key="k-1")
        assert tokens.digest == self.prepared(unreachable).digest

    async def test_arguments_are_not_changed(self, unreachable):
        given = msgspec.json.decode(msgspec.json.encode(self.arguments))
        unreachable.prepare(self.operation, given, key="k-1")
        assert given == self.arguments

    async def test_wrong_arguments_are_refused_with_every_reason(self, unreachable):
        for one in self.wrong:
            with pytest.raises(Refused) as caught:
                unreachable.prepare(self.operation, one, key="k-1")
            assert caught.value.problems
            assert all(text for _, text in caught.value.problems)

    async def test_an_unknown_operation_is_refused_with_what_was_meant(self, unreachable):
        with pytest.raises(Refused, match=f"did you mean {self.operation}"):
            unreachable.prepare(self.operation + "s", self.arguments, key="k-1")

    async def test_operations_are_shown_with_their_inputs(self, unreachable):
        operations = unreachable.operations()
        info = operations[self.operation]
        assert self.operation in set(operations)
        assert len(operations) == len(list(operations))
        assert set(self.arguments) <= set(info.input_schema["properties"])
        msgspec.json.encode(info)

    async def test_what_is_shown_holds_the_request_and_no_secret(self, unreachable):
        shown = unreachable.show(self.prepared(unreachable))
        assert set(shown) == {"method", "url", "headers", "body"}
        assert isinstance(shown["headers"], Mapping)
        assert '{"x":1}' in shown["body"]
        assert self.secret not in repr(shown)
        assert self.secret not in repr(self.prepared(unreachable))

    async def test_who_is_not_there_was_surely_not_called(self, unreachable):
        with pytest.raises(RetryLater) as caught:
            await unreachable.call(
                self.prepared(unreachable), deadline=5, headers={"traceparent": "00-1-2-01"}
            )
        assert self.secret not in str(caught.value)

    async def test_what_may_not_be_called_is_refused_and_checked(self):
        connector = self.make("127.0.0.1:1", egress=read_egress("public"))
        try:
            with pytest.raises(Refused, match="egress"):
                await connector.call(self.prepared(connector), deadline=5, headers={})
            codes = {one.code for one in await connector.check()}
            assert {"egress-refused", "credentials-in-clear"} <= codes
        finally:
            await connector.close()

    async def test_a_name_that_is_not_found_is_waited_for(self):
        names = Names(OSError("no such name"))
        connector = self.make("backend.example:1", egress=read_egress("public"), resolver=names)
        try:
            with pytest.raises(RetryLater, match="not found"):
                await connector.call(self.prepared(connector), deadline=5, headers={})
            assert "server-not-found" in {one.code for one in await connector.check()}
        finally:
            await connector.close()
        assert names.closed

    async def test_a_resolver_that_hangs_keeps_nobody_beyond_the_deadline(self):
        connector = self.make("backend.example:1", egress=read_egress("public"), resolver=Names(None))
        try:
            began = time.monotonic()
            with pytest.raises(RetryLater):
                await connector.call(self.prepared(connector), deadline=0.2, headers={})
            assert time.monotonic() - began < 0.2 + SLACK
        finally:
            await connector.close()

    async def test_who_never_answers_keeps_nobody_beyond_the_deadline(self):
        async with RawBackend(Talk.gone).listening() as silent:
            connector = self.make(f"127.0.0.1:{silent.port}", egress=read_egress("127.0.0.1"))
            began = time.monotonic()
            calls = [
                asyncio.ensure_future(connector.call(self.prepared(connector), deadline=0.4, headers={}))
                for _ in range(3)
            ]
            ends = await asyncio.gather(*calls, return_exceptions=True)
            assert {type(end) for end in ends} <= {RetryLater, OutcomeUnknown}
            assert time.monotonic() - began < 0.4 + SLACK
            await connector.close()

    async def test_who_talks_nonsense_is_an_error_of_ours(self):
        async def nonsense(talk: Talk) -> None:
            await talk.say(b"\x00\x00\x00\x04\xff\xff\xff\xff" * 100)

        async with RawBackend(nonsense).listening() as backend:
            connector = self.make(f"127.0.0.1:{backend.port}", egress=read_egress("127.0.0.1"))
            with pytest.raises(ActionError):
                await connector.call(self.prepared(connector), deadline=1, headers={})
            await connector.close()

    async def test_closing_is_harmless_in_any_state_and_leaves_nothing(self):
        before = asyncio.all_tasks()
        unopened = self.make("127.0.0.1:1", egress=read_egress("127.0.0.1:1"))
        await unopened.close()
        await unopened.close()
        opened = self.make("127.0.0.1:1", egress=read_egress("127.0.0.1:1"))
        await opened.open()
        with pytest.raises(RetryLater):
            await opened.call(self.prepared(opened), deadline=2, headers={})
        await opened.close()
        await opened.close()
        with pytest.raises(ActionError):
            await opened.call(self.prepared(opened), deadline=2, headers={})
        gc.collect()
        assert asyncio.all_tasks() == before

    async def test_a_call_under_way_ends_when_the_connector_closes(self):
        connector = self.make("backend.example:1", egress=read_egress("public"), resolver=Names(None))
        call = asyncio.ensure_future(connector.call(self.prepared(connector), deadline=PATIENCE, headers={}))
        assert not (await asyncio.wait({call}, timeout=0.05))[0]
        await connector.close()
        with pytest.raises(ActionError):
            async with asyncio.timeout(PATIENCE):
                await call


def openapi() -> Any:
    document = {
        "openapi": "3.0.3",
        "paths": {"/one": {"post": {"operationId": "one", "requestBody": {"content": {"application/json": {}}}, "responses": {}}}},
    }  # fmt: skip
    return read_spec({"a.json": msgspec.json.encode(document)})
