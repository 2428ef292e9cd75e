"""Brings an order through a webhook and through each server, again and again: what compose.yaml shows."""

import asyncio
import contextlib
import itertools
import os
import time
import uuid
from collections.abc import Awaitable, Callable
from typing import Final

import httpx
from rich.console import Console
from rich.text import Text

from service.demo.guests.base import Order
from service.demo.guests.registry import GUESTS
from service.demo.wanted import Wanted
from service.errors import Invalid, Problem, Unavailable
from triggers.keys import BadSecret
from triggers.presets import sign

EVERY: Final = 5.0
"""Seconds between two rounds."""

SECRET: Final = "ORDERS_SECRET"  # noqa: S105 - the name of a variable
"""The variable that holds the secret which the webhook's orders are signed with."""

_PLACES: Final = {"kafka": "orders", "rabbitmq": "orders", "postgres": "public.orders"}
"""The topic, queue and table that orders are brought to, as in examples/compose."""


class Feeder:
    """Brings orders; what fails is told and tried again in the next round."""

    def __init__(self, webhook: str, secret: str, wanted: Wanted, console: Console) -> None:
        """Each wanted server has an address. Raise Invalid when the webhook has none or the secret is bad."""
        problems = []
        if not webhook.startswith(("http://", "https://")):
            fix = "for example http://127.0.0.1:8080/hooks/orders"
            problems.append(
                Problem(message="--feed is no address", code="usage", found=webhook[:80], fix=fix)
            )
        try:
            sign("standard-webhooks", secret, b"", now=0.0, id="-")
        except BadSecret as error:
            fix = "the secret of the webhook, whsec_…"
            problems.append(Problem(message=f"the variable {SECRET}: {error}", code="usage", fix=fix))
        problems += [
            Problem(message=f"--feed starts no {kind}", code="usage", fix=f"give its address: --{kind} …")
            for kind, address in wanted.items()
            if address is None
        ]
        if problems:
            raise Invalid(problems)
        self._webhook = webhook
        self._secret = secret
        self._console = console
        self._guests = [
            GUESTS[kind](address, "pointsman_feed", _PLACES[kind])
            for kind, address in wanted.items()
            if address is not None
        ]

    async def run(self, stopped: asyncio.Event, every: float = EVERY) -> None:
        """Bring a round of orders every so often until `stopped`."""
        run = uuid.uuid4().hex[:6]
        async with contextlib.AsyncExitStack() as stack:
            client = await stack.enter_async_context(httpx.AsyncClient(timeout=10.0, trust_env=False))
            for guest in self._guests:
                stack.push_async_callback(guest.rest)
            for number in itertools.count(1):
                await self._bring("webhook", lambda order: self._post(client, order), f"{run}-w{number}")
                for guest in self._guests:
                    if stopped.is_set():
                        return
                    await self._bring(guest.kind, guest.bring, f"{run}-{guest.kind[0]}{number}")
                try:
                    async with asyncio.timeout(every):
                        await stopped.wait()
                        return
                except TimeoutError:
                    continue

    async def _bring(self, kind: str, bring: Callable[[Order], Awaitable[str]], number: str) -> None:
        try:
            said = f"{kind}: order {number} brought to {await bring(Order(id=number))}"
        except Unavailable as error:
            said = f"{kind}: {error}; trying again"
        self._console.print(Text(said))

    async def _post(self, client: httpx.AsyncClient, order: Order) -> str:
        body = order.event()
        headers = {
            "content-type": "application/json",
            **sign("standard-webhooks", self._secret, body, now=time.time(), id=f"evt_{order.id}"),
        }
        try:
            answer = await client.post(self._webhook, content=body, headers=headers)
        except httpx.HTTPError as error:
            raise Unavailable(f"{self._webhook}: {error or type(error).__name__}") from error
        if answer.status_code != 202:
            raise Unavailable(f"{self._webhook} answered {answer.status_code}")
        return self._webhook


def make_feeder(webhook: str, wanted: Wanted, console: Console) -> Feeder:
    """Return a feeder with the secret that the environment holds. Raise Invalid."""
    return Feeder(webhook, os.environ.get(SECRET, ""), wanted, console)
