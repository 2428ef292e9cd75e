"""No wait without an end, no error and no cancellation of the driver gets through."""

import asyncio
import inspect
import ssl
from typing import Any

import aiormq.exceptions
import pytest
from aiormq import Connection
from aiormq.exceptions import (
    AMQPConnectionError,
    AMQPError,
    ChannelAccessRefused,
    ChannelInvalidStateError,
    ChannelNotFoundEntity,
    ChannelPreconditionFailed,
    ConnectionClosed,
    ConnectionNotAllowed,
    ProbableAuthenticationError,
)

from tests.tables import every_row
from triggers.errors import SourceRejected, SourceUnavailable, TriggerError
from triggers.rabbitmq.connection import DRIVER_ERRORS, Link, explained, said


@pytest.fixture
async def link() -> Link:
    return Link(Connection("amqp://localhost"), "RabbitMQ at localhost", 0.05)


async def _raise(error: BaseException) -> None:
    raise error


async def test_an_answer_is_given_back(link: Link) -> None:
    async def answer() -> int:
        return 42

    assert await link.call(answer(), "a question") == 42


async def test_what_takes_too_long_is_not_waited_for_even_where_it_bears_no_cancel(link: Link) -> None:
    """As the driver does when it is cancelled with its queue of frames full."""
    released = asyncio.Event()

    async def stubborn() -> None:
        while not released.is_set():
            try:
                await released.wait()
            except asyncio.CancelledError:
                continue

    with pytest.raises(SourceUnavailable, match=r"has not answered a question within 0\.05 s"):
        await link.call(stubborn(), "a question")
    released.set()


async def test_a_cancellation_of_the_drivers_own_is_an_error(link: Link) -> None:
    with pytest.raises(SourceUnavailable, match="was closed during a question"):
        await link.call(_raise(asyncio.CancelledError()), "a question")


async def test_a_cancellation_of_ours_is_one(link: Link) -> None:
    waiting = asyncio.Event()

    async def forever() -> None:
        waiting.set()
        await asyncio.Event().wait()

    async def ask() -> None:
        await link.call(forever(), "a question", within=60)

    task = asyncio.create_task(ask())
    await waiting.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_an_error_of_ours_is_not_explained_away(link: Link) -> None:
    with pytest.raises(ZeroDivisionError):
        await link.call(_raise(ZeroDivisionError()), "a question")


@every_row(
    ("error", "kind", "words"),
    [
        (ProbableAuthenticationError("ACCESS_REFUSED"), SourceRejected, "refuses the login: ACCESS_REFUSED"),
        (ConnectionNotAllowed("no"), SourceRejected, "refuses a question: no"),
        (ChannelNotFoundEntity("NOT_FOUND - no queue 'q'"), SourceRejected, "no queue 'q'"),
        (ChannelNotFoundEntity("NOT_FOUND - q is down or inaccessible"), SourceUnavailable, "for now"),
        (ChannelAccessRefused("ACCESS_REFUSED - q in exclusive use"), SourceUnavailable, "for now"),
        (ChannelAccessRefused("ACCESS_REFUSED"), SourceRejected, "ACCESS_REFUSED"),
        (
            ChannelPreconditionFailed("x does not have a replica on the local node"),
            SourceUnavailable,
            "for now",
        ),
        (ChannelPreconditionFailed("inequivalent arg"), SourceRejected, "inequivalent arg"),
        (ConnectionClosed(320, "CONNECTION_FORCED - x"), SourceUnavailable, "CONNECTION_FORCED - x"),
        (AMQPConnectionError(111, "Connect call failed"), SourceUnavailable, "Connect call failed"),
        (ChannelInvalidStateError("closed"), SourceUnavailable, "closed"),
        (RuntimeError(), SourceUnavailable, "RuntimeError"),
        (TimeoutError(), SourceUnavailable, "TimeoutError"),
        (asyncio.IncompleteReadError(b"", 7), SourceUnavailable, "7"),
        (OSError(113, "No route to host"), SourceUnavailable, "No route to host"),
    ],
)
async def test_errors_say_whether_to_try_again(
    link: Link, error: Exception, kind: type[TriggerError], words: str
) -> None:
    with pytest.raises(kind) as caught:
        await link.call(_raise(error), "a question")
    assert words in str(caught.value)
    assert caught.value.__cause__ is error


def test_a_certificate_that_is_not_trusted_is_found_among_the_causes() -> None:
    inner = ssl.SSLCertVerificationError(1, "x")
    inner.verify_message = "self-signed certificate"
    outer = AMQPConnectionError("ssl")
    outer.__cause__ = inner
    made = explained(outer, "RabbitMQ", "the login")
    assert isinstance(made, SourceRejected)
    assert "self-signed certificate" in str(made)


def test_every_error_of_the_driver_is_mapped() -> None:
    known = [
        one for _, one in inspect.getmembers(aiormq.exceptions, inspect.isclass) if issubclass(one, Exception)
    ]
    assert len(known) > 20
    for one in known:
        assert issubclass(one, DRIVER_ERRORS), one


def test_a_long_text_is_cut() -> None:
    error: Any = AMQPError("x" * 10_000)
    assert len(said(error)) == 400


async def test_closing_what_was_never_open_is_harmless(link: Link) -> None:
    await link.close()
    await link.close()
