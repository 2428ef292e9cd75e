"""A question has its deadline, whatever is asked."""

import asyncio
import time

import pytest

from service.usecases.bounds import Bounds, GivenUp, StillOut, TimedOut
from tests.patience import PATIENCE, SLACK


async def answer():
    return 42


async def fail():
    raise KeyError("x")


async def test_an_answer_in_time_is_returned():
    assert await Bounds(1.0).ask("a", answer) == 42


async def test_what_the_question_raises_is_raised():
    with pytest.raises(KeyError):
        await Bounds(1.0).ask("a", fail)


async def test_a_question_that_lets_itself_be_cancelled_is_over_after_its_deadline():
    over = asyncio.Event()

    async def slow():
        try:
            await asyncio.Event().wait()
        finally:
            over.set()

    bounds = Bounds(0.02)
    with pytest.raises(TimedOut):
        await bounds.ask("a", slow)
    assert over.is_set()


async def test_a_question_that_nobody_can_cancel_is_left_alone_and_not_asked_twice(monkeypatch):
    monkeypatch.setattr("service.usecases.bounds._PARTING", 0.02)
    let_go, asked = asyncio.Event(), []

    async def stubborn():
        asked.append(1)
        while not let_go.is_set():
            try:
                await let_go.wait()
            except asyncio.CancelledError:
                continue
        return 1

    bounds = Bounds(0.02)
    began = time.monotonic()
    with pytest.raises(TimedOut):
        await bounds.ask("a", stubborn)
    assert time.monotonic() - began < 1.0 + SLACK
    with pytest.raises(StillOut):
        await bounds.ask("a", stubborn)
    assert await bounds.ask("b", answer) == 42
    assert asked == [1]
    let_go.set()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert await bounds.ask("a", stubborn) == 1


async def test_a_cancel_of_whoever_asks_cancels_the_question():
    began, over = asyncio.Event(), asyncio.Event()

    async def slow():
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            over.set()

    bounds = Bounds(10.0)
    task = asyncio.create_task(bounds.ask("a", slow))
    await began.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.wait_for(over.wait(), PATIENCE)


async def test_a_question_that_a_library_cancels_has_no_answer_and_cancels_nobody():
    async def question():
        raise asyncio.CancelledError

    with pytest.raises(GivenUp):
        await Bounds(5.0).ask("odd", question)
