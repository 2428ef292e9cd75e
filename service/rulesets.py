"""Rulesets by number: the live one, and those that unfinished deliveries were made by.

A ruleset is kept in the store as the canonical configuration (references, never secrets) and the
descriptions it pins, and built anew when a delivery of it is performed. It opens no connection.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from service.config.model import Configuration
from service.descriptions import ACCEPTED, DEFAULT, Bounds
from service.errors import NotFound
from service.plan import Plan, build
from service.rules.model import Ruleset
from service.store.base import Store

KEPT: Final = 16
"""Rulesets kept built in memory; deliveries seldom outlive more reloads than this."""


class Rulesets:
    """Gives plans by number. All methods are called on the event loop.

    `bounds` are for what is accepted from now on.
    """

    def __init__(self, store: Store, bounds: Bounds = DEFAULT) -> None:
        self._store = store
        self.bounds = bounds
        self._plans: OrderedDict[int, Plan] = OrderedDict()
        self._building = asyncio.Lock()
        self._sources: dict[int, str] = {}

    async def keep(self, configuration: Configuration, document: bytes, files: Mapping[str, bytes]) -> Plan:
        """Store a checked configuration and return its plan, with the numbers that the store gave.

        `document` is the canonical JSON of what stands in the files, secrets as references; `files`
        the descriptions by connector. Building again is cheap: descriptions are cached by their hash.
        """
        for name in (*configuration.sources, "pointsman"):
            self._sources[await self._store.number("source", name)] = name
        for name in configuration.connections:
            await self._store.number("lane", name)
        known = frozenset((await self._store.names("rule")).values())
        numbers = {}
        for name, rule in configuration.rules.items():
            was = next((earlier for earlier in rule.was if earlier in known), None)
            numbers[name] = await self._store.number("rule", name, was=was)
        kept = msgspec.json.encode(
            {"configuration": msgspec.Raw(document), "rules": numbers}, order="deterministic"
        )
        number = await self._store.put_ruleset(kept, files)
        plan = build(
            configuration,
            files,
            number=number,
            rule_number=numbers.__getitem__,
            strict=False,
            bounds=self.bounds,
        )
        self._remember(number, plan)
        return plan

    async def plan(self, number: int) -> Plan:
        """Return the plan of a stored ruleset. Raise NotFound."""
        found = self._plans.get(number)
        if found is not None:
            self._plans.move_to_end(number)
            return found
        async with self._building:
            found = self._plans.get(number)
            if found is not None:
                return found
            document, files = await self._store.get_ruleset(number)
            kept = msgspec.json.decode(document)
            configuration = _restored(kept["configuration"])
            numbers = kept["rules"]
            plan = build(
                configuration,
                files,
                number=number,
                rule_number=numbers.__getitem__,
                strict=False,
                bounds=ACCEPTED,
            )
            self._remember(number, plan)
            return plan

    async def ruleset(self, number: int) -> Ruleset:
        """Return a ruleset by its number. Raise NotFound."""
        return (await self.plan(number)).ruleset

    def source_name(self, number: int) -> str:
        """Return the name of a source by its number in the store.

        Idempotency keys are made of it, so there is no stand-in for an unknown one: raise NotFound.
        """
        name = self._sources.get(number)
        if name is None:
            raise NotFound(f"there is no source with the number {number}")
        return name

    async def load_names(self) -> None:
        """Read the names of all sources that ever were; call once after the store has opened."""
        self._sources = await self._store.names("source")

    def _remember(self, number: int, plan: Plan) -> None:
        self._plans[number] = plan
        self._plans.move_to_end(number)
        while len(self._plans) > KEPT:
            self._plans.popitem(last=False)


def _restored(document: Mapping[str, Any]) -> Configuration:
    """Return what a ruleset needs of a stored configuration; it was checked when it was stored.

    Sources and credentials are left out: a delivery is made with the credentials of now.
    """
    connections = {
        name: {field: value for field, value in connection.items() if field != "auth"}
        for name, connection in document.get("connections", {}).items()
    }
    return Configuration.model_validate(
        {
            "connectors": document.get("connectors", {}),
            "connections": connections,
            "rules": document.get("rules", {}),
        }
    )
