"""What the demo shows, step by step, and the proof that each of it happened.

Everything is seen from outside: webhooks are sent over HTTP, calls are read from the shop's own book, and
what the service says of them comes from its use cases.
"""

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import msgspec

from service.demo.shop import Call, Shop
from service.usecases import deliveries, explaining, messages
from service.usecases.desk import Desk
from triggers.presets import sign

PATIENCE = 15.0
"""Seconds that a step may take; everything takes far less."""


class NotShown(Exception):
    """Something that the demo promises did not happen."""


class Scenario:
    """Sends webhooks and follows what becomes of them. `say` prints one scene of the timeline."""

    def __init__(
        self,
        folder: Path,
        url: str,
        shop: Shop,
        desk: Desk,
        say: Callable[..., None],
        *,
        patience: float = PATIENCE,
    ) -> None:
        self.patience = patience
        self.folder = folder
        self.url = url
        self.shop = shop
        self.desk = desk
        self.say = say
        self.unmatched = ""
        self.retried = ""

    async def play(self) -> None:
        """Show everything, in order. Raise NotShown at the first thing that did not happen."""
        async with httpx.AsyncClient(timeout=self.patience, trust_env=False) as client:
            for scene in (self._push, self._repeat, self._retry, self._small_order, self._forgery):
                await scene(client)

    # -- scenes

    async def _push(self, client: httpx.AsyncClient) -> None:
        self.push = msgspec.json.encode(
            {
                "ref": "refs/heads/main",
                "after": uuid.uuid4().hex + "0" * 8,
                "repository": {"full_name": "demo/shop"},
                "pusher": {"name": "ada"},
            }
        )
        self.push_id = str(uuid.uuid4())
        started = time.perf_counter()
        message = self.pushed = await self._send_push(client)
        call = await self._call("createDeployment", lambda one: one.status == 201)
        took = (time.perf_counter() - started) * 1000
        expect(call.body["repository"] == "demo/shop", "the deployment names the repository")
        self.say(
            "github.push",
            "202",
            f"{message} stored → rule deploy-on-push",
            f"POST {call.path}  {call.status}, {took:.0f} ms after the push",
        )

    async def _repeat(self, client: httpx.AsyncClient) -> None:
        message = await self._send_push(client)
        count = sum(call.operation == "createDeployment" for call in self.shop.calls)
        expect(count == 1, "a repeated webhook calls nothing")
        expect(message == self.pushed, "a repeated webhook gets the id of the first")
        self.say("github.push again", "202", f"{message} is known: the same id and body change nothing")

    async def _send_push(self, client: httpx.AsyncClient) -> str:
        headers = {
            "content-type": "application/json",
            "x-github-event": "push",
            "x-github-delivery": self.push_id,
            **sign("github", self._secret("github"), self.push, now=time.time(), id=self.push_id),
        }
        answer = await client.post(f"{self.url}/hooks/github", content=self.push, headers=headers)
        expect(answer.status_code == 202, f"a signed push is accepted (got {answer.status_code})")
        return str(answer.json()["id"])

    async def _retry(self, client: httpx.AsyncClient) -> None:
        self.shop.switches.fail = 1
        order = _order("A-1001", 120.5)
        started = time.perf_counter()
        message = await self._send_order(client, order)
        failed = await self._call("reserveStock", lambda one: one.status == 503)
        again = await self._call("reserveStock", lambda one: one.status == 201)
        waited = time.perf_counter() - started
        told = await self._call("confirmOrder", lambda one: one.status == 200)
        expect(failed.key == again.key != "", "both attempts carry the same idempotency key")
        expect(failed.body == again.body, "both attempts carry the same body")
        expect(again.body["total"] == 120.5, "a number stays a number")
        expect(told.body["reservation"].startswith("reserveStock-"), "a step sees the answer before it")
        self.retried = await self._delivery(message)
        self.say(
            "order.paid 120.5",
            "202",
            f"{message} stored → rule big-orders",
            f"POST {again.path}  503, the shop was closed",
            f"POST {again.path}  201, after {waited:.1f} s with the same key and body",
            f"PUT {told.path}  200, with the answer of the step before",
        )

    async def _small_order(self, client: httpx.AsyncClient) -> None:
        message = await self._send_order(client, _order("A-1002", 5))
        explained = await explaining.explain(self.desk, message, "big-orders")
        rule = explained["rules"][0]
        expect(not rule["matched"], "a small order matches no rule")
        self.unmatched = message
        self.say("order.paid 5", "202", f"{message} stored → no rule", f"big-orders: {rule['why']}")

    async def _forgery(self, client: httpx.AsyncClient) -> None:
        order = _order("A-1003", 9999)
        answer = await self._post_order(client, order, "whsec_" + "AAAA" * 8)
        expect(answer.status_code == 401, f"a forged signature is refused (got {answer.status_code})")
        expect(not any("A-1003" in str(call.body) for call in self.shop.calls), "a forgery calls nothing")
        newest = await messages.list_messages(self.desk, limit=1)
        expect(newest["items"][0]["id"] == self.unmatched, "a forgery stores nothing")
        self.say("forged order", "401", f"{answer.json()['title']}: nothing stored, nothing called")

    # -- pieces

    async def _send_order(self, client: httpx.AsyncClient, order: bytes) -> str:
        answer = await self._post_order(client, order, self._secret("orders"))
        expect(answer.status_code == 202, f"a signed order is accepted (got {answer.status_code})")
        return str(answer.json()["id"])

    async def _post_order(self, client: httpx.AsyncClient, order: bytes, secret: str) -> httpx.Response:
        name = f"evt_{uuid.uuid4().hex}"
        headers = {
            "content-type": "application/json",
            **sign("standard-webhooks", secret, order, now=time.time(), id=name),
        }
        return await client.post(f"{self.url}/hooks/orders", content=order, headers=headers)

    def _secret(self, name: str) -> str:
        return (self.folder / "secrets" / name).read_text("ascii").strip()

    async def _call(self, operation: str, fits: Callable[[Call], bool]) -> Call:
        call = await self.shop.wait_for(lambda one: one.operation == operation and fits(one), self.patience)
        if call is None:
            raise NotShown(f"the shop is called for {operation} within {self.patience:g} s")
        return call

    async def _delivery(self, message: str) -> str:
        """Return the id of a message's delivery once it is recorded as delivered."""

        async def delivered() -> str | None:
            page = await deliveries.list_deliveries(self.desk, message=message)
            done = [row["id"] for row in page["items"] if row["state"] == "delivered"]
            return done[0] if done else None

        return await until(delivered, f"{message} is recorded as delivered", self.patience)


async def until(look: Callable[[], Awaitable[str | None]], what: str, patience: float) -> str:
    """Look again and again until there is something to see; the store tells nobody when it changes."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        found = await look()
        if found is not None:
            return found
        await asyncio.sleep(0.02)
    raise NotShown(what)


def _order(number: str, total: float) -> bytes:
    order: dict[str, Any] = {
        "id": number,
        "sku": "lamp-7",
        "quantity": 1,
        "total": total,
        "currency": "EUR",
        "customer": "Grace",
    }
    return msgspec.json.encode({"type": "order.paid", "order": order})


def expect(holds: bool, what: str) -> None:
    """Raise NotShown with what was promised, where it does not hold."""
    if not holds:
        raise NotShown(what)
