"""Exercises one description: builds, sends and looks what the mock says of every operation."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from actions.base import Connector
from actions.errors import ActionError, Refused
from actions.http import HTTPConnector
from actions.mock import Fault, MockServer
from actions.places import Place
from actions.publishing import compile_publication
from actions.samples import Calls
from actions.specs.model import Operation, Preset, Spec
from service.usecases.exercising.backends import make_backend
from service.usecases.exercising.diverting import Nowhere, anywhere, diverted_to
from service.usecases.exercising.logins import Logins
from service.usecases.exercising.places import (
    appended_fields,
    base_url,
    changed_bodies,
    has_own_server,
    host_arguments,
    make_place,
)

DEADLINE: Final = 10.0
"""Seconds that one call may take; on the loopback it takes a millisecond."""

MAX_REASONS: Final = 10

_KEY: Final = "e8e5c15e" * 4
"""The idempotency key of every call here, made up as real ones look."""
_PLACEHOLDER: Final = re.compile(r"\{\{[^{}]*\}\}")
"""What stands in a collection of Postman for a value that is filled in when it is sent."""


class Exercise:
    """One description, a connector for it, and a server that plays its backend."""

    def __init__(self, spec: Spec, server: MockServer) -> None:
        """Take the server over until the next description."""
        self._spec = spec
        self._server = server
        place = make_place(spec)
        server.use(make_backend(spec, place.parameters))
        self._logins = Logins(spec, place.parameters)
        self._connector = self._at(place)
        # Where an operation's own server is none, people give theirs to a connection of its own.
        self._stray = self._at(Place(url=base_url(()), parameters=place.parameters))
        self._bodies = frozenset(changed_bodies(spec))
        self._appended = frozenset(appended_fields(spec))
        self._allowed = {name.lower(): place.parameters[name] for name in host_arguments(spec)}
        self._least = Calls(spec)
        self._most = Calls(spec, whole=True)

    def _at(self, place: Place) -> Connector:
        return HTTPConnector(
            "exercise",
            self._spec,
            server=place,
            auth=self._logins.auth,
            egress=anywhere(),
            engine=diverted_to(self._server.url),
            resolver=Nowhere(),
        )

    async def run(self) -> list[dict[str, Any]]:
        """Call every operation; return what became of each, in the order of the description."""
        await self._connector.open()
        try:
            return [await self._operation(one) for one in self._spec.operations.values()]
        finally:
            await self._connector.close()
            await self._stray.close()

    async def _operation(self, one: Operation) -> dict[str, Any]:
        made: dict[str, Any] = {"id": one.id, "method": one.method, "path": one.path}
        if one.presets:
            made["requests"] = len(one.presets)
        if one.problem:
            return {**made, "accepted": False, "refused": True, "status": None, "reasons": [one.problem]}
        if one.method == "PUBLISH":
            return {**made, **self._published(one)}
        tally = _Tally(unfit=[f"as {shown.name!r}: {why}" for shown in one.presets if (why := _unfit(shown))])
        for name, arguments in self._arguments(one):
            tally.add(name, *await self._call(one, arguments))
        if one.presets:
            made["accepted_requests"] = tally.shown
        return {**made, **tally.line(), **({"needs_code": True} if one.needs_code else {})}

    def _published(self, one: Operation) -> dict[str, Any]:
        """Say whether a message can be made: there is no HTTP to send it over."""
        try:
            compile_publication(one, self._spec, "kafka")(self._least.arguments(one))
        except Refused as error:
            return {"accepted": False, "status": None, "reasons": [text for _, text in error.problems]}
        reason = "the message was made; a bus is nothing that a mock of HTTP can play"
        return {"accepted": None, "status": None, "reasons": [reason]}

    def _arguments(self, one: Operation) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """Yield the calls to make: those that the description shows, the least, and everything."""
        least = self._placed(one, self._least.arguments(one))
        most = self._placed(one, self._most.arguments(one))
        for preset in one.presets:
            if not _unfit(preset):
                yield f"as {preset.name!r}", _as_shown(one, preset, least, most)
        yield "with what is required", least
        if most != least:
            yield "with everything", most

    def _placed(self, one: Operation, arguments: dict[str, Any]) -> dict[str, Any]:
        """Give the arguments that choose the host what the connection allows."""
        if not self._allowed:
            return arguments
        for input_ in one.parameters:
            allowed = self._allowed.get(input_.name.lower())
            if allowed is not None:
                group = arguments.setdefault(input_.location, {}) if one.grouped else arguments
                group[input_.name] = allowed
        return arguments

    async def _call(self, one: Operation, arguments: Mapping[str, Any]) -> tuple[int | None, list[str]]:
        """Make one call; return the status of the answer, and why it was not accepted."""
        self._server.judgements.clear()
        connector = self._connector if not one.servers or has_own_server(one) else self._stray
        try:
            prepared = connector.prepare(one.id, arguments, key=_KEY)
            answer = await connector.call(prepared, deadline=DEADLINE, headers={})
        except ActionError as error:
            told = [text for _, text in getattr(error, "problems", ())]
            seen = self._server.judgements[-1] if self._server.judgements else None
            return seen.answer.status if seen else None, told or [str(error)]
        judgements = self._server.judgements
        if not judgements:
            return answer.status, ["the mock saw no request"]
        faults = [fault for fault in judgements[-1].faults if not self._is_pardoned(one, fault)]
        return answer.status, [
            f"{fault.place}: {fault.text}" if fault.place else fault.text for fault in faults
        ]

    def _is_pardoned(self, one: Operation, fault: Fault) -> bool:
        """Say whether the mock cannot know better: policies changed it, or a login needs a server."""
        if fault.place == "login":
            return not self._logins.enough(one)
        if fault.place.startswith("query/") and (one.id, fault.place[6:]) in self._appended:
            return True
        return fault.place.startswith("body") and one.id in self._bodies


class _Tally:
    """What became of the calls of one operation; `unfit` are its own requests that nobody can send."""

    def __init__(self, unfit: list[str]) -> None:
        self.shown = 0
        self._unfit = unfit
        self._reasons: dict[str, None] = {}
        self._status: int | None = None
        self._calls = self._accepted = 0

    def add(self, name: str, status: int | None, problems: list[str]) -> None:
        """Count one call."""
        self._calls += 1
        self._accepted += not problems
        self.shown += not problems and name.startswith("as ")
        if problems or self._status is None:
            self._status = status
        self._reasons.update(dict.fromkeys(f"{name}: {text}" for text in problems))

    def line(self) -> dict[str, Any]:
        """Return what is said of the operation; a request that is written wrongly is no fault of it."""
        return {
            "accepted": not self._reasons,
            "status": self._status,
            "calls": self._calls,
            "accepted_calls": self._accepted,
            "reasons": [*self._reasons, *self._unfit][:MAX_REASONS],
        }


def _unfit(preset: Preset) -> str:
    """Return why a request of the description cannot be sent as it is, "" when it can."""
    return str(preset.extras.get("problem", ""))


def _as_shown(
    one: Operation, preset: Preset, least: Mapping[str, Any], most: Mapping[str, Any]
) -> dict[str, Any]:
    """Return what the description shows, with made values where it shows none or only a placeholder."""
    needed = least if one.body and one.body.required else _without_body(least)
    arguments = _completed(preset.arguments, needed, most)
    chosen = preset.extras.get("media_type")
    if isinstance(chosen, str):
        group = arguments.setdefault("header", {}) if one.grouped else arguments
        group["Content-Type"] = chosen
    return arguments


def _completed(shown: Mapping[str, Any], least: Mapping[str, Any], most: Mapping[str, Any]) -> dict[str, Any]:
    whole = dict(least)
    for name, value in shown.items():
        made = most.get(name)
        if isinstance(value, dict) and isinstance(made, dict) and name != "body":
            whole[name] = _completed(value, least.get(name, {}), made)
        elif made is None or not (isinstance(value, str) and _PLACEHOLDER.search(value)):
            whole[name] = value
        else:
            whole[name] = made
    return whole


def _without_body(arguments: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in arguments.items() if name != "body"}
