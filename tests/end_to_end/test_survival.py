"""What the whole service outlives, and what it must not outlive quietly."""

import asyncio
import threading

import pytest

from tests.end_to_end.instance import document, instance, until
from tests.patience import PATIENCE


async def test_a_disk_that_hangs_makes_webhooks_refuse(tmp_path) -> None:
    async with instance(tmp_path, document("http://127.0.0.1:9"), queue_age=0.2) as running:
        writer = running.service.store._writer
        commit, gate = writer._commit, threading.Event()

        def hanging(group: object) -> None:
            gate.wait(20)
            commit(group)

        writer._commit = hanging
        first = asyncio.create_task(running.post(b"{}"))
        await until(lambda: running.service.hooks.refuse == "the store is behind", "the refusal")
        refused = await running.post(b"{}")
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")
        ready = await running.admin("GET", "/health/ready")
        assert ready.status_code == 503
        gate.set()
        assert (await first).status_code == 202
        await until(lambda: running.service.hooks.ready, "being ready again")


async def test_a_reload_on_a_full_disk_leaves_the_service_alive(tmp_path) -> None:
    async with instance(tmp_path, document("http://127.0.0.1:9")) as running:
        writer = running.service.store._writer
        plan = running.service.plan
        writer._refusing = "the disk is full"
        await running.service._reload_and_say()
        writer._refusing = ""
        assert running.service.plan is plan
        await until(lambda: running.service.hooks.ready, "being ready again")
        await running.send({"id": 1})


async def test_a_bug_in_the_claim_loop_ends_the_service_loudly(tmp_path) -> None:
    async def bug(*_instants: object) -> bool:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        async with instance(tmp_path, document("http://127.0.0.1:9")) as running:
            running.service.dispatch.claiming.once = bug
            running.service.dispatch.nudge()
            await asyncio.sleep(PATIENCE)
