"""Brings one event through each real server and proves every step: stored, rule, call, what came out."""

import time
from collections.abc import Callable, Sequence

from service.demo.guests.base import Guest, Order
from service.demo.project import source_of
from service.demo.scenario import NotShown, expect, until
from service.demo.shop import Shop
from service.usecases import deliveries, messages, sources
from service.usecases.desk import Desk


class Scenes:
    """Shows one scene for each guest, in the timeline that `say` prints."""

    def __init__(
        self, guests: Sequence[Guest], shop: Shop, desk: Desk, say: Callable[..., None], *, patience: float
    ) -> None:
        self.guests = guests
        self.shop = shop
        self.desk = desk
        self.say = say
        self.patience = patience

    async def play(self) -> None:
        """Show everything, in order. Raise NotShown at the first thing that did not happen."""
        for number, guest in enumerate(self.guests, start=1):
            await self._show(guest, Order(id=f"{guest.kind[0].upper()}-{3000 + number}"))

    async def _show(self, guest: Guest, order: Order) -> None:
        source, rule = source_of(guest), f"{guest.kind}-orders"
        await self._running(source)
        started = time.perf_counter()
        went = await guest.bring(order)
        call = await self.shop.wait_for(
            lambda one: one.operation == "reserveStock" and one.body["order"] == order.id, self.patience
        )
        if call is None:
            raise NotShown(
                f"the shop is called for the {guest.event} of {guest.title} within {self.patience:g} s"
            )
        took = (time.perf_counter() - started) * 1000
        expect(call.status == 201, f"the shop takes the {guest.event} of {guest.title} (said {call.status})")
        expect(call.body["total"] == order.total, f"a number of the {guest.event} stays a number")
        message = await self._stored(source)
        answered = await guest.answer(order, self.patience)
        await self._delivered(message, rule)
        self.say(
            f"{guest.kind} {guest.event}",
            "ok ",
            f"{message} of {went} stored → rule {rule}",
            f"POST {call.path}  {call.status}, {took:.0f} ms after it was brought",
            *([answered] if answered else []),
        )

    async def _running(self, source: str) -> None:
        """Wait until the source takes what comes, so that times are those of one event."""
        state = ""

        async def running() -> str | None:
            nonlocal state
            shown = await sources.show_source(self.desk, source)
            state = f"{shown['state']}: {shown['last_error'] or shown['detail']}".rstrip(": ")
            return state if shown["state"] == "running" else None

        try:
            await until(running, source, self.patience)
        except NotShown:
            raise NotShown(f"source {source} runs within {self.patience:g} s (it is {state})") from None

    async def _stored(self, source: str) -> str:
        page = await messages.list_messages(self.desk, source=source)
        expect(len(page["items"]) == 1, f"{source} has stored one message (has {len(page['items'])})")
        return str(page["items"][0]["id"])

    async def _delivered(self, message: str, rule: str) -> None:
        async def delivered() -> str | None:
            page = await deliveries.list_deliveries(self.desk, message=message, rule=rule)
            return next((row["id"] for row in page["items"] if row["state"] == "delivered"), None)

        await until(delivered, f"{message} is recorded as delivered by {rule}", self.patience)
