"""What one backend may cost: its breaker, its rate, its calls in flight; and that its neighbours do not notice."""

import asyncio
import itertools
import statistics
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from tests.end_to_end.backend import Act, Backend, Call, answers, backend
from tests.end_to_end.instance import Instance, connection, document, instance, signed, step, until
from tests.patience import PATIENCE

QUICK = {"failures": 10, "first": "100ms", "max": "200ms"}
BREAKER = {"failures": 3, "first": "200ms", "max": "400ms"}


async def _send_many(it: Instance, count: int, prefix: str = "m") -> list[str]:
    answered = await asyncio.gather(*(it.send({"n": n}, name=f"{prefix}-{n}") for n in range(count)))
    return list(answered)


async def _all_delivered(it: Instance, within: float = PATIENCE) -> None:
    async def none_left() -> bool:
        counts = await it.service.store.counts()
        return not any(count for state, count in counts.items() if "/" not in state)

    await until(none_left, "the end of every delivery", within)


async def test_a_breaker_opens_probes_one_by_one_closes_and_stirs_up_no_storm(tmp_path: Path) -> None:
    async with (
        backend(answers(503)) as shop,
        instance(
            tmp_path, document(shop.url, connections={"shop": connection(shop.url, breaker=BREAKER)})
        ) as it,
    ):
        await it.send({"n": -1}, name="first")
        await until(lambda: it.lane().state == "open", "the breaker opens")
        opened = len(shop.calls)
        assert opened == 3
        await _send_many(it, 60)
        shown = (await it.deliveries())[0]
        assert shown["state"] == "held"
        assert "connection shop is open" in shown["reason"]
        await shop.called(opened + 3)
        probes = [call.at for call in shop.calls[opened:]]
        assert probes[0] - shop.calls[2].at >= 0.2  # the first probe waits
        assert min(later - earlier for earlier, later in itertools.pairwise(probes)) >= 0.35
        assert shop.most_in_flight == 1

        shop.most_in_flight = 0
        shop.default = Act(delay=0.03)
        before = len(shop.calls)
        await _all_delivered(it)
        assert it.lane().state == "ok"
        after = shop.calls[before:]
        for place, call in enumerate(
            after
        ):  # the probe alone, then one, and twice as many with each good answer
            answered = place + 1 - call.in_flight
            assert call.in_flight <= 2 ** max(0, answered - 1), place
        assert shop.most_in_flight <= 16


async def test_a_healthy_answer_in_between_keeps_the_breaker_closed(tmp_path: Path) -> None:
    async with (
        backend() as shop,
        instance(
            tmp_path,
            document(
                shop.url,
                connections={"shop": connection(shop.url, breaker=BREAKER, limits={"in_flight": 1})},
            ),
        ) as it,
    ):
        shop.decide = lambda _call: answers(503) if len(shop.calls) % 3 < 2 else None
        await _send_many(it, 10)
        await _all_delivered(it)
        assert it.lane().breaker.opened_at is None


async def test_refusals_of_the_backend_do_not_open_its_breaker(tmp_path: Path) -> None:
    async with (
        backend(answers(422)) as shop,
        instance(
            tmp_path, document(shop.url, connections={"shop": connection(shop.url, breaker=BREAKER)})
        ) as it,
    ):
        await _send_many(it, 10)
        await until(lambda: _dead(it, 10), "ten dead")
        assert it.lane().state == "ok"


async def _dead(it: Instance, count: int) -> bool:
    return await it.count("dead") == count


async def test_calls_keep_to_the_rate(tmp_path: Path) -> None:
    limits = {"rate": "20/s", "in_flight": 50}
    async with (
        backend() as shop,
        instance(
            tmp_path, document(shop.url, connections={"shop": connection(shop.url, limits=limits)})
        ) as it,
    ):
        began = time.monotonic()
        await _send_many(it, 45)
        times = [call.at - began for call in await shop.called(45)]
        for number, at in enumerate(times, 1):  # a burst of 20, then 20 a second: the network only adds to it
            assert at >= (number - 20) / 20 - 0.05, number


async def test_no_more_calls_are_in_flight_than_the_connection_bears(tmp_path: Path) -> None:
    async with (
        backend(Act(delay=0.02)) as shop,
        instance(
            tmp_path,
            document(shop.url, connections={"shop": connection(shop.url, limits={"in_flight": 3})}),
        ) as it,
    ):
        await _send_many(it, 60)
        await _all_delivered(it)
        assert len(shop.calls) == 60
        assert shop.most_in_flight == 3
        assert shop.connections <= 3


async def test_a_dead_backend_makes_no_webhook_refuse_and_its_deliveries_lie_in_the_store(
    tmp_path: Path,
) -> None:
    async with backend() as shop, backend() as good:
        content = _two(shop, good)
        async with instance(tmp_path, content, max_in_memory=32) as it:
            await shop.die()
            answered: list[int] = []
            for start in range(0, 400, 100):
                bodies = [b'{"n": %d}' % n for n in range(start, start + 100)]
                part = await asyncio.gather(*(it.post(body) for body in bodies))
                answered += [answer.status_code for answer in part]
            assert set(answered) == {202}
            await good.called(400)
            assert it.service.dispatch.lanes.in_memory <= 32

            async def only_the_dead_ones_wait() -> bool:
                counts = await it.service.store.counts()
                return sum(count for state, count in counts.items() if "/" not in state) == 400

            await until(only_the_dead_ones_wait, "400 waiting deliveries")
            await shop.revive()
            await _all_delivered(it)
            assert len({call.body for call in shop.calls}) == 400


def _two(other: Backend, good: Backend) -> dict[str, Any]:
    """Return a configuration in which every message goes to both backends."""
    return document(
        "",
        connections={
            "other": connection(other.url, breaker=QUICK, limits={"timeout": "2s"}),
            "good": connection(good.url, breaker={}),
        },
        rules={
            "one": {"from": ["web"], "do": [step("other.one")]},
            "two": {"from": ["web"], "do": [step("good.one")]},
        },
    )


async def _window(it: Instance, good: Backend, name: str, count: int) -> float:
    """Send messages at a steady load and return the median seconds from the webhook to the good backend's call."""
    sent: dict[str, float] = {}
    arrived: dict[str, float] = {}

    def note(call: Call) -> Act | None:
        arrived[call.body.decode()] = call.at
        return None

    good.decide = note
    bodies = [f'{{"{name}": {n}}}' for n in range(count)]
    headers = [signed(body.encode(), f"{name}-{n}") for n, body in enumerate(bodies)]

    async def worker(place: int) -> None:
        for n in range(place, count, 4):
            sent[bodies[n]] = time.monotonic()
            answer = await it.client.post(f"{it.url}/hooks/web", content=bodies[n], headers=headers[n])
            assert answer.status_code == 202
            await until(lambda n=n: bodies[n] in arrived, bodies[n])  # type: ignore[misc]

    await asyncio.gather(*(worker(place) for place in range(4)))
    return statistics.median(arrived[body] - sent[body] for body in bodies)


async def _slowed_by(
    it: Instance,
    good: Backend,
    ill: Callable[[], Awaitable[None]],
    well: Callable[[], Awaitable[None]],
    round_name: str,
) -> float:
    """Return how much slower the good backend is reached while the other one is ill: 1.0 is not at all.

    Windows alternate, and the best of each kind count: what else runs on the machine only ever adds.
    """
    healthy, sick = [], []
    await _window(it, good, f"{round_name}-warm", 40)
    for lap in range(5):
        await well()
        await _all_delivered(it)
        healthy.append(await _window(it, good, f"{round_name}-h{lap}", 60))
        await ill()
        sick.append(await _window(it, good, f"{round_name}-s{lap}", 60))
    await well()
    await _all_delivered(it)
    return min(sick) / min(healthy)


async def _not_slowed(
    tmp_path: Path, other: Backend, ill: Callable[[], Awaitable[None]], well: Callable[[], Awaitable[None]]
) -> None:
    """See that the neighbour is slowed by 5 % at most; a noisy machine gets some more chances."""
    async with backend() as good, instance(tmp_path, _two(other, good)) as it:
        measured = []
        for attempt in range(6):
            measured.append(await _slowed_by(it, good, ill, well, f"r{attempt}"))
            if measured[-1] <= 1.05:
                return
        raise AssertionError(f"slowed by {measured}")


async def test_a_dead_neighbour_slows_nobody(tmp_path: Path) -> None:
    async with backend() as other:

        async def well() -> None:
            if other._place is not None:
                await other.revive()

        await _not_slowed(tmp_path, other, other.die, well)


async def test_a_neighbour_that_never_answers_slows_nobody(tmp_path: Path) -> None:
    async with backend() as other:
        gates: list[asyncio.Event] = []

        async def ill() -> None:
            gates.append(asyncio.Event())
            other.default = Act(gate=gates[-1])

        async def well() -> None:
            other.default = Act()
            for gate in gates:
                gate.set()

        await _not_slowed(tmp_path, other, ill, well)
