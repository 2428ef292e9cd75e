"""Looks at everything an instance stands on: first what is here, then everything outside at the same time."""

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from service.config.marks import join_pointer
from service.descriptions import bounds_of
from service.errors import NotFound, Problem, nearest
from service.settings import Settings
from service.store.facts import StoreFacts
from service.usecases.bounds import Bounds, StillOut, TimedOut
from service.usecases.checking import Candidate, check_configuration
from service.usecases.doctor.outside import Question, answers, ask_connection, ask_source, configuration_rows
from service.usecases.doctor.ports import listening_rows, port_rows
from service.usecases.doctor.rows import Row, Section, doubtful, fine, wrong
from service.usecases.doctor.surroundings import file_rows, process_rows, store_rows

DEADLINE: Final = 15.0
"""Seconds that each check of something outside may take: more than a source gives its outside itself."""

_TROUBLED: Final = frozenset({"gap", "refused", "waiting", "refusing"})
"""States of a source of a running instance that are findings."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What the doctor looks at.

    `look` tells of the store in a directory without changing it. `ports` are where this very process
    listens; none when the instance, if there is one, is another process. `checks` gives the question to a
    source that runs in this process. `warnings` were found by whoever asks.
    """

    settings: Settings
    environment: Mapping[str, str]
    look: Callable[[Path], StoreFacts]
    now_ms: Callable[[], int]
    ports: Callable[[], Mapping[str, int]] = dict
    checks: Callable[[str], Question | None] = lambda _name: None
    warnings: Sequence[Problem] = ()
    deadline: float = DEADLINE


class Doctor:
    """Looks as often as it is asked. What did not come back from an earlier time is not asked again."""

    def __init__(self, surroundings: Surroundings) -> None:
        self._around = surroundings
        self._bounds = Bounds(surroundings.deadline)

    async def examine(
        self,
        names: Sequence[str] = (),
        *,
        instance: Mapping[str, Any] | None = None,
        told: Callable[[Row], None] = lambda _row: None,
    ) -> list[Row]:
        """Return a row for everything that was looked at; `told` hears each when it is there.

        With `names`, only those sources and connections; raise NotFound for one that is neither.
        `instance` is how the running instance says that it is (`sources`, `connections`, `refusing`).
        """
        around, rows = self._around, []

        def tell(found: Sequence[Row] | Iterator[Row]) -> None:
            for row in found:
                rows.append(row)
                told(row)

        if not names:
            tell(await self._here())
        candidate = await check_configuration(
            around.settings.config,
            resolve=True,
            env=around.environment,
            bounds=bounds_of(around.settings),
        )
        tell(configuration_rows(candidate, names))
        if not names:
            ports = around.ports()
            tell(listening_rows(ports) if ports else await port_rows(around.settings))
        rows += await self._outside(candidate, names, told)
        tell(_instance_rows(instance or {}, names))
        return rows

    async def _here(self) -> list[Row]:
        """Look at the process, the files and the store. A dead network disk must not hold us up."""
        around = self._around
        found = [
            doubtful("process", "environment", one.code, one.message, one.fix) for one in around.warnings
        ]
        found += process_rows(around.settings)

        def files() -> list[Row]:
            return [
                *file_rows(around.settings),
                *store_rows(around.settings.data, around.look, around.now_ms()),
            ]

        try:
            found += await self._bounds.ask("files", lambda: asyncio.to_thread(files))
        except OSError as error:
            found.append(_blocked(f"the data directory cannot be looked at: {error.strerror}"))
        except (TimedOut, StillOut):
            found.append(_blocked(f"the disk does not answer within {self._bounds.seconds:g} s"))
        return found

    async def _outside(
        self, candidate: Candidate, names: Sequence[str], told: Callable[[Row], None]
    ) -> list[Row]:
        """Ask all sources and connections that are wanted and sound enough to be asked, at the same time."""
        sources = candidate.checked.sketch.sources
        connections = candidate.plan.connections
        for name in names:
            if name not in sources and name not in connections:
                near = nearest(name, [*sources, *connections])
                raise NotFound(
                    f"there is no source and no connection {name}"
                    + (f"; did you mean {near}?" if near else "")
                )

        def wanted(kind: Section, name: str) -> bool:
            return (not names or name in names) and not _broken(candidate, join_pointer(kind, name))

        questions = {
            name: self._around.checks(name) or ask_source(candidate, name)
            for name in sources
            if wanted("sources", name)
        }
        others = {
            name: ask_connection(candidate, name) for name in connections if wanted("connections", name)
        }
        async with asyncio.TaskGroup() as group:
            asked = [
                group.create_task(answers("sources", questions, self._bounds, told)),
                group.create_task(answers("connections", others, self._bounds, told)),
            ]
        return [row for task in asked for row in task.result()]


def _broken(candidate: Candidate, pointer: str) -> bool:
    """Say whether an error of the configuration stands in a part: then its check would only say so again."""
    return any(f"{problem.pointer}/".startswith(f"{pointer}/") for problem in candidate.errors)


def _blocked(message: str) -> Row:
    return wrong(
        "files",
        "data",
        "data-unusable",
        message,
        "check the disk, or set --data",
    )


def _instance_rows(instance: Mapping[str, Any], names: Sequence[str]) -> Iterator[Row]:
    """Tell what a running instance says of its own sources and connections."""
    if instance.get("refusing") and not names:
        yield wrong(
            "instance",
            "webhooks",
            "refusing",
            f"webhooks are refused: {instance['refusing']}",
            "see pointsman doctor's other findings",
        )
    for one in instance.get("sources", ()):
        if not names or one["name"] in names:
            yield from _source_rows(one)
    for one in instance.get("connections", ()):
        if not names or one["name"] in names:
            yield from _connection_rows(one)


def _connection_rows(one: Mapping[str, Any]) -> Iterator[Row]:
    """Tell what a connection says of itself: its state, its logins and why they fail, what differed."""
    name, state = one["name"], one["state"]
    for stop in one["stopped_by"] or ([one] if state != "ok" else []):
        by_hand = stop["state"] == "paused"
        since = f" since {stop['since']} " if by_hand else ": "
        yield doubtful(
            "instance",
            name,
            f"connection-{stop['state']}",
            f"the connection is {stop['state']}{since}{stop['reason']}",
            f"pointsman connections resume {name}"
            if by_hand
            else "mend the cause; see pointsman connections",
        )
    for login in one.get("logins", ()):
        if login["state"] in ("failing", "required"):
            last = login["history"][-1] if login["history"] else None
            asked = f"; asked last at {last['at']} because {last['why']}" if last else ""
            judge = wrong if login["state"] == "required" else doubtful
            yield judge(
                "instance",
                name,
                f"login-{login['state']}",
                f"the login ({login['kind']}) is {login['state']}: {login['reason']}{asked}",
                login["fix"] or f"see pointsman connections show {name}",
            )
    if one.get("differing"):
        yield doubtful(
            "instance",
            name,
            "description-differs",
            f"{one['differing']} times calls or answers of an operation do not fit the description",
            f"see pointsman connections show {name}; then mend the rule, or read the description again",
        )


def _source_rows(one: Mapping[str, Any]) -> Iterator[Row]:
    name, state = one["name"], one["state"]
    if state in _TROUBLED:
        why = one.get("detail") or one.get("last_error") or one.get("reason") or ""
        yield wrong(
            "instance",
            name,
            f"source-{state}",
            f"the source is {state}" + (f": {why}" if why else ""),
            one.get("fix") or f"mend the cause; see pointsman sources show {name}",
        )
    elif one.get("stuck"):
        waits = f"{one['pending']} {one['unit']} wait" if one.get("pending") else "work waits"
        yield wrong(
            "instance",
            name,
            "source-stuck",
            f"{waits} outside and the position stands still",
            f"see the log; pointsman sources restart {name} starts it again",
        )
    else:
        yield fine("instance", name, f"the source is {state}")
    for warning in one.get("warnings", ()):
        yield doubtful(
            "instance",
            name,
            warning["code"],
            warning["message"],
            warning.get("fix", ""),
        )
