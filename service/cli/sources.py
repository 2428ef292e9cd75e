"""Verbs around sources: look, restart, pause, drain, rewind, check, set up outside."""

import os
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

from cyclopts import Parameter
from cyclopts.validators import Number

from service.cli.client import Client, Unreachable, path_of
from service.cli.loop import run_bounded
from service.cli.output import emit, line, rows, say
from service.cli.place import Common, ask, reading, settings
from service.errors import Conflict, Invalid, NotFound, Problem

if TYPE_CHECKING:
    from service.usecases.checking import Candidate

SOURCE_COLUMNS: Final = ("name", "kind", "state", "pending", "last_message_at", "new", "restarts", "detail")
ORDER_COLUMNS: Final = ("name", "state", "detail")

LOOK: Final = 0.5
"""Seconds between two looks at how far a drain is."""

Name = Annotated[str, Parameter(help="The source's name, as `pointsman sources` shows it.")]
All = Annotated[bool, Parameter(name="--all", help="All sources.")]
Yes = Annotated[bool, Parameter(name=["--yes", "-y"], help="Do it without asking.")]
Config = Annotated[
    Path | None,
    Parameter(
        name=["--config", "-c"],
        help="Take the source from this configuration file, and ask no running instance.",
    ),
]


def list_sources(*, common: Common = Common()) -> None:
    """List sources with their state, what waits outside, and when the last message came.

    Example: pointsman sources
    """
    page = ask(common, lambda client: client.get("/sources"))
    if common.output == "table":
        page = {**page, "items": [_in_a_line(item) for item in page["items"]]}
    emit(page, common.output, SOURCE_COLUMNS)


def _in_a_line(item: Mapping[str, Any]) -> dict[str, Any]:
    """Return a source as one line of a table."""
    return {
        **item,
        **item["counts"],
        "state": f"{item['state']}, stuck" if item["stuck"] else item["state"],
        "pending": None if item["pending"] is None else f"{item['pending']} {item['unit']}",
        "detail": item["detail"] or ", ".join(one["message"] for one in item["warnings"]),
    }


def show_source(source: Name, *, common: Common = Common()) -> None:
    """Show one source: its state and why, what waits, its last error, its counts, what to do.

    Example: pointsman sources show orders
    """
    emit(ask(common, lambda client: client.get(path_of("sources", source))), common.output)


def restart_sources(*source: Name, all_: All = False, common: Common = Common()) -> int:
    """Begin sources anew at once, also one that hangs.

    Nothing is lost and nothing is taken twice: each goes on behind what is stored.

    Example: pointsman sources restart orders
    """
    return _order("restart", source, all_, common)


def pause_sources(*source: Name, all_: All = False, common: Common = Common()) -> int:
    """Take nothing more of sources, until `resume`; it outlives a restart of the instance.

    Deliveries of what was taken go on. Webhooks are answered 503, so that senders bring them again.

    Example: pointsman sources pause orders shopdb
    """
    return _order("pause", source, all_, common)


def resume_sources(*source: Name, all_: All = False, common: Common = Common()) -> int:
    """Take messages again of sources that are paused or drained.

    Example: pointsman sources resume --all
    """
    return _order("resume", source, all_, common)


def drain_sources(
    *source: Name,
    all_: All = False,
    wait: Annotated[bool, Parameter(help="Wait until every delivery of what was taken has ended.")] = False,
    within: Annotated[float, Parameter(help="Seconds to wait at most.", validator=Number(gte=0))] = 600.0,
    common: Common = Common(),
) -> int:
    """Take nothing more of sources, and let every delivery of what was taken end.

    With --wait: exit code 1 when some have not ended in time.

    Example: pointsman sources drain --all --wait
    """
    code = _order("drain", source, all_, common)
    return _waited(source, within, common) if wait and code == 0 else code


def _order(verb: str, names: tuple[str, ...], every: bool, common: Common) -> int:
    """Do something with each source, also when one before refused; return 1 when one did."""
    if bool(names) == every:
        problem = Problem(
            message=f"say which sources to {verb}, or --all" + (", not both" if every else ""), code="usage"
        )
        raise Invalid([problem])

    def act(client: Client) -> dict[str, Any]:
        if every:
            answer: dict[str, Any] = client.post(path_of("sources", verb))
            return answer
        items = []
        for name in names:
            try:
                items.append(client.post(path_of("sources", name, verb)))
            except (NotFound, Conflict) as error:
                items.append({"name": name, "error": str(error)})
        return {"items": items, "next": ""}

    page = ask(common, act)
    refused = any("error" in item for item in page["items"])
    emit(page, common.output, (*ORDER_COLUMNS, "error") if refused else ORDER_COLUMNS)
    return 1 if refused else 0


def _waited(names: tuple[str, ...], within: float, common: Common) -> int:
    """Look until nothing of the sources is under way any more; tell how many when that changes."""
    deadline = time.monotonic() + within
    told = -1
    while True:
        left = ask(common, lambda client: _unfinished(client, names))
        if left != told:
            say("all deliveries have ended" if not left else f"{left} deliveries are under way")
        told = left
        if not left:
            return 0
        if time.monotonic() >= deadline:
            say("see: pointsman deliveries --state pending,waiting,held,running")
            return 1
        time.sleep(min(LOOK, within))


def _unfinished(client: Client, names: tuple[str, ...]) -> int:
    wanted = names or tuple(item["name"] for item in client.get("/sources")["items"])
    return sum(client.get(path_of("sources", name))["unfinished"] for name in wanted)


def rewind_source(
    source: Name,
    to: Annotated[
        str, Parameter(help="Where to begin: earliest, now, snapshot, a time (2026-01-31T00:00:00Z), …")
    ],
    *,
    yes: Yes = False,
    common: Common = Common(),
) -> int:
    """Let a source begin elsewhere: what lies behind comes again, what lies between is left out.

    Example: pointsman sources rewind orders earliest --yes
    """
    if not _agreed(f"{source} begins at {to}: messages may come again or be left out.", yes=yes):
        return 1
    shown = ask(common, lambda client: client.post(path_of("sources", source, "rewind"), {"to": to}))
    emit({"items": [shown], "next": ""}, common.output, ORDER_COLUMNS)
    return 0


def check_source(source: Name, *, config: Config = None, common: Common = Common()) -> int:
    """Let a source prove that it may and can do its work. Nothing is changed.

    Without a running instance the source is made from the configuration file. Exit code 1 when something
    was found.

    Example: pointsman sources check shopdb --config pointsman.yaml
    """
    from service.usecases import sources

    answer = _answer(
        common,
        config,
        lambda client: client.post(path_of("sources", source, "check")),
        lambda candidate: sources.check_planned(candidate, source),
    )
    if common.output != "table":
        emit(answer, common.output)
    elif answer["findings"]:
        rows(answer["findings"], ("severity", "code", "message", "fix"))
    else:
        say("fine")
    return 1 if answer["findings"] else 0


def setup_source(source: Name, *, yes: Yes = False, config: Config = None, common: Common = Common()) -> int:
    """Show what the outside needs to have for a source, step by step as it can be done by hand; then do it.

    It asks first, or wants --yes. What is there already is left alone. Without a running instance the source
    is made from the configuration file. Exit code 1 when something is left to do.

    Example: pointsman sources setup shopdb --yes
    """
    from service.usecases import sources

    return _steps(
        source,
        "setup",
        yes,
        common,
        config,
        lambda candidate, apply: sources.setup_planned(candidate, source, apply=apply),
    )


def teardown_source(
    source: Name, *, yes: Yes = False, config: Config = None, common: Common = Common()
) -> int:
    """Show what to remove outside when a source is given up (a slot holds disk space there); then remove it.

    It asks first, or wants --yes. Pause the source before.

    Example: pointsman sources teardown shopdb
    """
    from service.usecases import sources

    return _steps(
        source,
        "teardown",
        yes,
        common,
        config,
        lambda candidate, apply: sources.teardown_planned(candidate, source, apply=apply),
    )


def _steps(
    source: str,
    verb: str,
    yes: bool,
    common: Common,
    config: Path | None,
    planned: "Callable[[Candidate, bool], Awaitable[dict[str, Any]]]",
) -> int:
    """Show the steps, ask, do them, and show what became of them."""

    def answer(apply: bool) -> dict[str, Any]:
        said: dict[str, Any] = _answer(
            common,
            config,
            lambda client: client.post(path_of("sources", source, verb), {"apply": apply}),
            lambda candidate: planned(candidate, apply),
        )
        return said

    shown = answer(False)
    todo = [step for step in shown["steps"] if not step["done"]]
    if common.output == "table":
        _show_steps(shown["steps"])
    if todo and (yes or common.output == "table") and _agreed("These steps change the outside.", yes=yes):
        shown = answer(True)
        todo = [step for step in shown["steps"] if not step["done"]]
        if common.output == "table":
            line()
            _show_steps(shown["steps"])
    if common.output != "table":
        emit(shown, common.output)
    return 1 if todo else 0


def _show_steps(steps: list[dict[str, Any]]) -> None:
    if not steps:
        say("nothing is needed outside")
    for step in steps:
        mark = "✗" if step["problem"] else "✓" if step["done"] else "·"
        line(f"{mark} {step['what']}", style="red" if step["problem"] else "bold")
        for text in step["statement"].splitlines():
            line(f"    {text}")
        if step["problem"]:
            line(f"    {step['problem']}" + (f"; {step['fix']}" if step["fix"] else ""))


def _agreed(what: str, *, yes: bool) -> bool:
    """Ask whether to go on, on a terminal; elsewhere only --yes does."""
    if yes:
        return True
    if not sys.stdin.isatty():
        say(f"{what} Nothing was done; say --yes to do it.")
        return False
    say(f"{what} Do it? [y/N]")
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _answer(
    common: Common,
    config: Path | None,
    online: Callable[[Client], Any],
    planned: "Callable[[Candidate], Awaitable[dict[str, Any]]]",
) -> Any:
    """Return the answer of the running instance, or what a source of the configuration file says itself."""
    path = settings(config=config).config
    if config is None:
        try:
            return ask(common, online)
        except (Unreachable, NotFound):
            elsewhere = common.server or os.environ.get("POINTSMAN_SERVER")
            if elsewhere or not path.exists():
                raise
    from service.usecases.checking import check_configuration

    async def asked() -> dict[str, Any]:
        bounds = reading()
        return await planned(await check_configuration(path, resolve=True, env=os.environ, bounds=bounds))

    return run_bounded(asked())


SOURCES: Final[dict[str, Callable[..., Any]]] = {
    "list": list_sources,
    "show": show_source,
    "restart": restart_sources,
    "pause": pause_sources,
    "resume": resume_sources,
    "drain": drain_sources,
    "rewind": rewind_source,
    "check": check_source,
    "setup": setup_source,
    "teardown": teardown_source,
}
