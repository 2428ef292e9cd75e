"""The service's own limits around a backend: a full disk, a slow one, starting, stopping, its own troubles, order."""

import asyncio
import os
import subprocess
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from service.app import Service
from service.settings import Settings
from service.store.sqlite.writer import Writer
from service.usecases import checking
from tests.end_to_end.backend import Act, Backend, answers, backend
from tests.end_to_end.instance import (
    ENVIRONMENT,
    Process,
    connection,
    document,
    instance,
    process,
    signed,
    step,
    until,
    write_configuration,
)
from tests.patience import PATIENCE, SLACK

MIB = 1024 * 1024


# -- a full disk


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder on a disk of 6 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if os.geteuid() != 0:
        pytest.skip("a small disk can only be mounted by root")
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", folder], check=False, capture_output=True
    )
    if mounted.returncode:
        pytest.skip(f"a small disk cannot be mounted here: {mounted.stderr.decode()}")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def _fill(folder: Path) -> Path:
    """Use up all space that is left and return the file that does."""
    ballast = folder / "ballast"
    with ballast.open("wb", buffering=0) as file:
        for size in (65_536, 4_096):
            try:
                while file.write(b"\0" * size):
                    pass
            except OSError:
                continue
    return ballast


async def _post(client: httpx.AsyncClient, it: Process, number: int) -> httpx.Response:
    body = msgspec.json.encode({"n": number, "pad": "p" * 2000})
    return await client.post(f"{it.url}/hooks/web", content=body, headers=signed(body, f"evt_{number}"))


async def test_a_full_disk_takes_nothing_says_so_loses_nothing_and_goes_on_when_there_is_space(
    small_disk: Path,
) -> None:
    environment = {"POINTSMAN_MIN_FREE_BYTES": "0"}
    async with (
        backend() as shop,
        process(small_disk, document(shop.url), environment=environment) as it,
        httpx.AsyncClient(timeout=PATIENCE, trust_env=False) as client,
    ):
        accepted: set[int] = set()

        async def send(number: int) -> httpx.Response:
            answer = await _post(client, it, number)
            if answer.status_code == 202:
                accepted.add(number)
            return answer

        for number in range(20):
            assert (await send(number)).status_code == 202
        ballast = _fill(small_disk)
        number = 20
        while (answer := await send(number)).status_code == 202:
            number += 1
            assert number < 3000
        assert answer.status_code == 503
        assert int(answer.headers["retry-after"]) >= 1
        for later in range(number + 1, number + 30):  # no 2xx after the first failure
            answer = await send(later)
            assert answer.status_code == 503, later
            assert answer.headers["content-type"] == "application/problem+json"
        ready = await client.get(f"http://127.0.0.1:{it.admin_port}/health/ready")
        live = await client.get(f"http://127.0.0.1:{it.admin_port}/health/live")
        assert (ready.status_code, live.status_code) == (503, 200)
        await it.logged("the disk is full: nothing is accepted until there is space again")

        ballast.unlink()
        last = number + 100

        async def taken_again() -> bool:
            return (await send(last)).status_code == 202

        await until(taken_again, "webhooks are taken again")
        for number in range(last + 1, last + 20):
            assert (await send(number)).status_code == 202
        await until(
            lambda: accepted <= {call.json["n"] for call in shop.calls}, "every accepted one is delivered"
        )
        await until(lambda: {call.json["n"] for call in shop.calls} == accepted, "and no other")
        assert await it.stop() == 0


async def test_webhooks_are_refused_before_the_disk_is_full(tmp_path: Path) -> None:
    async with backend() as shop, instance(tmp_path, document(shop.url), min_free_bytes=1 << 62) as it:
        await until(lambda: it.service.hooks.refuse, "the look at the disk")
        answer = await it.post(b"{}")
        assert answer.status_code == 503
        assert "retry-after" in answer.headers
        assert (await it.admin("GET", "/api/v1/health")).json()["refusing"] == "the disk is nearly full"


# -- a slow disk, a slow start


async def test_webhooks_are_refused_while_the_store_is_behind_and_taken_when_it_has_caught_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.duties.BEAT", 0.05)
    disk = threading.Event()
    disk.set()
    commit = Writer._commit

    def slow(writer: Writer, group: Any) -> None:
        disk.wait(PATIENCE)
        commit(writer, group)

    monkeypatch.setattr(Writer, "_commit", slow)
    async with backend() as shop, instance(tmp_path, document(shop.url), queue_age=0.2) as it:
        await it.send({"n": 0})
        disk.clear()
        waiting = asyncio.create_task(it.post(b'{"n": 1}', name="evt_1"))
        await until(lambda: it.service.store.health().queue_age_ms > 200, "the store falls behind")

        async def refused() -> httpx.Response | None:
            probe = asyncio.create_task(it.post(b'{"n": 2}', name=f"evt_{time.monotonic()}"))
            done, _ = await asyncio.wait({probe}, timeout=0.2)
            return probe.result() if done and probe.result().status_code == 503 else None

        answer = await until(refused, "a 503")
        assert int(answer.headers["retry-after"]) >= 1
        assert not waiting.done()  # neither accepted nor refused: its commit is under way
        disk.set()
        assert (await waiting).status_code == 202

        async def taken() -> bool:
            return (await it.post(b'{"n": 3}')).status_code == 202

        await until(taken, "webhooks are taken again")


async def test_everything_is_503_until_the_rules_are_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = asyncio.Event()
    check = checking.check_configuration
    ports: list[int] = []

    async def slow(*arguments: Any, **more: Any) -> Any:
        await loaded.wait()
        return await check(*arguments, **more)

    monkeypatch.setattr("service.app.check_configuration", slow)
    async with backend() as shop, httpx.AsyncClient(timeout=PATIENCE, trust_env=False) as client:
        config = write_configuration(tmp_path, document(shop.url))
        service = Service(Settings(config=config, data=tmp_path / "data", port=0, admin_port=0), ENVIRONMENT)

        async def run() -> None:
            async with service.running():
                ports.append(service.ingest.port)
                await stop.wait()

        stop = asyncio.Event()
        running = asyncio.create_task(run())
        await until(lambda: service.admin.port, "the listeners")
        body = b'{"n": 1}'
        url = f"http://127.0.0.1:{service.ingest.port}/hooks/web"
        answer = await client.post(url, content=body, headers=signed(body, "evt_1"))
        assert answer.status_code == 503
        assert int(answer.headers["retry-after"]) >= 1
        assert (await client.get(f"http://127.0.0.1:{service.admin.port}/health/ready")).status_code == 503
        loaded.set()
        await until(lambda: ports, "the start")
        answer = await client.post(url, content=body, headers=signed(body, "evt_1"))
        assert answer.status_code == 202
        stop.set()
        await running


# -- stopping


async def test_a_stop_waits_for_calls_under_way_and_records_them(tmp_path: Path) -> None:
    gate = asyncio.Event()
    async with backend(Act(gate=gate)) as shop:
        content = document(shop.url, connections={"shop": connection(shop.url, limits={"in_flight": 4})})
        async with instance(tmp_path, content) as it:
            for n in range(12):
                await it.send({"n": n})
            await shop.called(4)
            asyncio.get_running_loop().call_later(0.3, gate.set)
        assert len(shop.calls) == 4  # no further call was begun
        async with instance(tmp_path, content) as it:
            await until(lambda: _delivered(it, 12), "12 delivered")
        assert sorted(call.json["n"] for call in shop.calls) == list(range(12))


async def _delivered(it: Any, count: int) -> bool:
    return bool(await it.count("delivered") == count)


async def test_calls_that_outlast_the_grace_are_made_again_with_the_same_key(tmp_path: Path) -> None:
    gate = asyncio.Event()
    async with backend(Act(gate=gate)) as shop:
        content = document(shop.url)
        async with instance(tmp_path, content, grace=0.2) as it:
            message = await it.send({"n": 1})
            await shop.called(1)
            began = time.monotonic()
        assert time.monotonic() - began < 2.0 + SLACK
        gate.set()
        shop.default = Act()
        async with instance(tmp_path, content) as it:
            done = await it.ended(message)
            assert done["state"] == "delivered"
            assert [one["outcome"] for one in done["attempts"]] == ["unknown", "ok"]
        assert len({(call.key, call.body) for call in shop.calls}) == 1


async def test_a_call_cut_by_the_end_is_dead_where_the_step_says_so(tmp_path: Path) -> None:
    gate = asyncio.Event()
    async with backend(Act(gate=gate)) as shop:
        content = document(shop.url, rules={"all": {"from": ["web"], "do": [step(on_unknown="dead")]}})
        async with instance(tmp_path, content, grace=0.1) as it:
            message = await it.send({"n": 1})
            await shop.called(1)
        async with instance(tmp_path, content) as it:
            dead = await it.ended(message)
            assert dead["state"] == "dead"
            assert "interrupted" in dead["reason"]
        assert len(shop.calls) == 1
        gate.set()


# -- the service's own troubles


def _telling(shop: Backend, **more: Any) -> dict[str, Any]:
    """Return a configuration whose rule `tell` sends every trouble of the service to operation `two`."""
    told = {
        "from": ["pointsman"],
        "do": [{"call": "alarm.two", "with": {"body": {"type": "${event.type}", "about": "${data}"}}}],
    }
    return document(
        "",
        connections={"shop": connection(shop.url, **more), "alarm": connection(shop.url)},
        rules={
            "all": {"from": ["web"], "do": [step()]},
            "tell": told,
            "too": {"from": ["web", "pointsman"], "match": {"type": ["never"]}, "do": [step()]},
        },
    )


async def test_a_death_is_a_message_that_reaches_a_rule_and_never_causes_itself(tmp_path: Path) -> None:
    async with backend() as shop, instance(tmp_path, _telling(shop)) as it:
        shop.script(answers(422), path="/one")
        shop.script(answers(422), path="/two")
        message = await it.send({"n": 1})
        (told,) = await shop.called(1, "/two")
        assert told.json["type"] == "pointsman.delivery.dead"
        about = told.json["about"]
        assert about["message"] == message
        assert about["rule"] == "all"
        assert "422" in about["reason"]

        async def both_dead() -> bool:
            return await it.count("dead") == 2

        await until(both_dead, "the teller's own death")
        await it.send({"n": 2})
        await until(lambda: _delivered(it, 1), "the next message")
        own = (await it.admin("GET", "/api/v1/messages", params={"source": "pointsman"})).json()["items"]
        assert len(own) == 1


async def test_an_opened_and_closed_breaker_and_a_hold_are_messages(tmp_path: Path) -> None:
    breaker = {"failures": 2, "first": "100ms", "max": "100ms"}
    async with backend() as shop, instance(tmp_path, _telling(shop, breaker=breaker)) as it:
        shop.script(*[answers(503)] * 3, path="/one")
        await it.send({"n": 1})
        await shop.called(2, "/two")
        shop.script(answers(401), path="/one")
        await it.send({"n": 2})
        told = await shop.called(3, "/two")
        kinds = [call.json["type"] for call in told]
        assert kinds == [f"pointsman.connection.{what}" for what in ("open", "closed", "expired")]
        assert all(call.json["about"]["connection"] == "shop" for call in told)


async def test_a_failing_alarm_never_feeds_itself(tmp_path: Path) -> None:
    """The connection that is told of is the one that tells, and its backend fails every second time it is told."""
    breaker = {"failures": 1, "first": "10ms", "max": "10ms"}
    async with backend() as shop:
        content = document(shop.url, connections={"shop": connection(shop.url, breaker=breaker)})
        told = {
            "call": "shop.two",
            "with": {"body": {"type": "${event.type}"}},
            "retry": {"for": "1s", "first": "1ms", "max": "2ms"},
        }
        content["rules"]["tell"] = {"from": ["pointsman"], "do": [told]}
        async with instance(tmp_path, content) as it:
            shop.script(answers(503), path="/one")
            shop.decide = lambda call: (
                answers(503) if call.target == "/two" and not len(shop.to("/two")) % 2 else None
            )
            await it.send({"n": 1})
            await it.send({"n": 2})

            async def quiet() -> bool:
                counts = await it.service.store.counts()
                return not any(count for state, count in counts.items() if "/" not in state)

            await until(quiet, "the end of all deliveries")
            own = (await it.admin("GET", "/api/v1/messages", params={"source": "pointsman"})).json()["items"]
            assert len(own) <= 8


# -- order


async def test_queued_calls_of_one_key_keep_the_order_of_acceptance(tmp_path: Path) -> None:
    rules = {
        "all": {
            "from": ["web"],
            "key": "data.k",
            "mode": "queued",
            "do": [step(name="first"), step("shop.two", **{"with": {"body": "${data}"}})],
        }
    }
    async with backend() as shop, instance(tmp_path, document(shop.url, rules=rules)) as it:
        shop.decide = lambda call: (
            answers(503) if len(shop.calls) % 5 == 2 else Act(delay=0.002 * (call.json["n"] % 3))
        )
        sent = [(n, "abcd"[n % 4]) for n in range(60)]
        for n, key in sent:  # one after the other: this is the order of acceptance
            await it.send({"n": n, "k": key})
        await until(lambda: _delivered(it, 60), "60 delivered")
        seen: dict[str, list[tuple[int, str]]] = defaultdict(list)
        for call in shop.calls:
            line = seen[call.json["k"]]
            if not line or line[-1] != (call.json["n"], call.target):
                line.append((call.json["n"], call.target))
        for key, line in seen.items():
            mine = [n for n, k in sent if k == key]
            assert line == [(n, target) for n in mine for target in ("/one", "/two")], key


async def test_a_key_that_waits_holds_up_no_other_key(tmp_path: Path) -> None:
    rules = {"all": {"from": ["web"], "key": "data.k", "mode": "queued", "do": [step()]}}
    async with backend() as shop, instance(tmp_path, document(shop.url, rules=rules)) as it:
        shop.decide = lambda call: answers(503, retry_after="3600") if call.json["k"] == "stuck" else None
        for n in range(5):
            await it.send({"k": "stuck", "n": n})
        for n in range(40):
            await it.send({"k": f"free-{n % 4}", "n": n})
        await until(lambda: _delivered(it, 40), "the free keys")
        assert [call.json["n"] for call in shop.calls if call.json["k"] == "stuck"] == [0]
