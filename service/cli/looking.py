"""Verbs that look at messages and deliveries: messages, rejects, deliveries, explain."""

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final

from cyclopts import Parameter
from cyclopts.validators import Number

from service.cli.client import Client, path_of
from service.cli.output import emit, fields, json_text, line, rows
from service.cli.place import Common, ask
from service.errors import Conflict, Invalid, NotFound, Problem

MESSAGE_COLUMNS: Final = ("id", "source", "type", "received_at", "bytes", "deliveries")
DELIVERY_COLUMNS: Final = ("id", "rule", "state", "attempts", "connection", "due_at", "reason")
REJECT_COLUMNS: Final = ("id", "source", "received_at", "reason", "bytes", "detail")
ATTEMPT_COLUMNS: Final = ("number", "step_name", "started_at", "took_ms", "outcome", "status", "detail")

Limit = Annotated[int, Parameter(help="Most items of a page.", validator=Number(gte=1, lte=500))]
Cursor = Annotated[str, Parameter(help="Where to go on, as the page before said.", show_default=False)]
Source = Annotated[str | None, Parameter(help="Only of this source.")]
MessageId = Annotated[str, Parameter(help="A message's id, as `pointsman messages` shows it.")]
DeliveryId = Annotated[str, Parameter(help="A delivery's id, as `pointsman deliveries` shows it.")]


def list_messages(
    *,
    source: Source = None,
    type: Annotated[str | None, Parameter(help="Only of this type.")] = None,  # noqa: A002 - the option's name
    limit: Limit = 50,
    cursor: Cursor = "",
    common: Common = Common(),
) -> None:
    """List messages, newest first.

    Example: pointsman messages --source github --limit 10
    """
    from service.usecases import messages

    page = ask(
        common,
        lambda client: client.get("/messages", source=source, type=type, limit=limit, cursor=cursor),
        lambda desk: messages.list_messages(desk, source=source, of_type=type, limit=limit, cursor=cursor),
    )
    emit(page, common.output, MESSAGE_COLUMNS)


def show_message(message: MessageId, *, common: Common = Common()) -> None:
    """Show one message whole, with its deliveries.

    Example: pointsman messages show msg_000001
    """
    from service.usecases import messages

    shown = ask(
        common,
        lambda client: client.get(path_of("messages", message)),
        lambda desk: messages.show_message(desk, message),
    )
    emit(shown, common.output)


def list_rejects(
    *,
    source: Source = None,
    limit: Limit = 50,
    cursor: Cursor = "",
    common: Common = Common(),
) -> None:
    """List rejects, newest first.

    Example: pointsman rejects --source orders
    """
    from service.usecases import messages

    page = ask(
        common,
        lambda client: client.get("/rejects", source=source, limit=limit, cursor=cursor),
        lambda desk: messages.list_rejects(desk, source=source, limit=limit, cursor=cursor),
    )
    emit(page, common.output, REJECT_COLUMNS)


def show_reject(
    reject: Annotated[str, Parameter(help="A reject's id, as `pointsman rejects` shows it.")],
    *,
    common: Common = Common(),
) -> None:
    """Show one reject with its bytes.

    Example: pointsman rejects show rej_000001
    """
    from service.usecases import messages

    shown = ask(
        common,
        lambda client: client.get(path_of("rejects", reject)),
        lambda desk: messages.show_reject(desk, reject),
    )
    emit(shown, common.output)


def list_deliveries(
    *,
    state: Annotated[str | None, Parameter(help="Only in these states, separated by commas.")] = None,
    rule: Annotated[str | None, Parameter(help="Only of this rule.")] = None,
    connection: Annotated[str | None, Parameter(help="Only those that call this connection.")] = None,
    message: Annotated[str | None, Parameter(help="Only of this message.")] = None,
    limit: Limit = 50,
    cursor: Cursor = "",
    common: Common = Common(),
) -> None:
    """List deliveries, newest first.

    Example: pointsman deliveries --state dead,held
    """
    from service.usecases import deliveries

    query = {
        "state": state, "rule": rule, "connection": connection, "message": message,
        "limit": limit, "cursor": cursor,
    }  # fmt: skip
    page = ask(
        common,
        lambda client: client.get("/deliveries", **query),
        lambda desk: deliveries.list_deliveries(
            desk, state=state, rule=rule, connection=connection, message=message, limit=limit, cursor=cursor
        ),
    )
    emit(page, common.output, DELIVERY_COLUMNS)


def show_delivery(delivery: DeliveryId, *, common: Common = Common()) -> None:
    """Show one delivery: its request, every attempt, and what was kept of each answer.

    Example: pointsman deliveries show dlv_000001-1-1
    """
    from service.usecases import deliveries

    shown = ask(
        common,
        lambda client: client.get(path_of("deliveries", delivery)),
        lambda desk: deliveries.show_delivery(desk, delivery),
    )
    if common.output != "table":
        emit(shown, common.output)
        return
    attempts = shown["attempts"]
    fields({name: part for name, part in shown.items() if name != "step"} | {"attempts": len(attempts)})
    if attempts:
        rows(attempts, ATTEMPT_COLUMNS, indent="  ")
    for attempt in attempts:
        if attempt.get("answer"):
            line(f"answer to attempt {attempt['number']}:", style="bold")
            line("  " + attempt["answer"]["body"].replace("\n", "\n  "))


def retry_deliveries(*delivery: DeliveryId, common: Common = Common()) -> int:
    """Try ended deliveries again as their next run, or waiting ones now.

    The backend gets the same idempotency key as before. Exit code 1 when one of them could not be retried.

    Example: pointsman deliveries retry dlv_000001-1-1
    """
    from service.usecases import deliveries

    _named(delivery)
    page = ask(
        common,
        lambda client: _each(delivery, lambda one: client.post(path_of("deliveries", one, "retry"))),
        lambda desk: _each_there(delivery, lambda one: deliveries.retry(desk, one, by="command line")),
    )
    return _done(page, common)


def discard_deliveries(
    *delivery: DeliveryId,
    reason: Annotated[
        str, Parameter(allow_leading_hyphen=True, help="Why; it is kept.", show_default=False)
    ] = "",
    common: Common = Common(),
) -> int:
    """End deliveries that have not ended. They are kept, and say who ended them and why.

    Example: pointsman deliveries discard dlv_000001-1-1 --reason "cancelled"
    """
    from service.usecases import deliveries

    _named(delivery)

    def discard(client: Client, one: str) -> Any:
        return client.post(path_of("deliveries", one, "discard"), {"reason": reason})

    page = ask(
        common,
        lambda client: _each(delivery, lambda one: discard(client, one)),
        lambda desk: _each_there(
            delivery, lambda one: deliveries.discard(desk, one, by="command line", reason=reason)
        ),
    )
    return _done(page, common)


def explain(
    message: MessageId,
    rule: Annotated[str | None, Parameter(help="Only this rule; absent: every rule.")] = None,
    *,
    common: Common = Common(),
) -> None:
    """Say why a rule did or did not match a message.

    It shows the first failing field, the value seen and what would match; for `when`, the value of each
    part.

    Example: pointsman explain msg_000003 big-orders
    """
    from service.usecases import explaining

    answer = ask(
        common,
        lambda client: client.get(path_of("messages", message, "explain"), rule=rule),
        lambda desk: explaining.explain(desk, message, rule),
    )
    if common.output != "table":
        emit(answer, common.output)
        return
    line(f"{answer['message']}  {answer['type']}  from {answer['source']}, ruleset {answer['ruleset']}")
    for one in answer["rules"]:
        line()
        _verdict(one)


def _verdict(one: Mapping[str, Any]) -> None:
    """Print why one rule did or did not match."""
    if one["matched"]:
        line(f"✓ {one['rule']} matches: {one['why']}", style="green")
    else:
        line(f"✗ {one['rule']} does not match: {one['why']}", style="yellow")
    if change := one.get("match", {}).get("change"):
        line(f"  nearest change: {change}")
    for tested in one.get("match", {}).get("tested", ()):
        line(f"  {_tested(tested)}")
    if one.get("when"):
        line("  when:")
    for step in one.get("when", ()):
        line(f"    {'  ' * step['depth']}{step['line']}")


def _tested(field: Mapping[str, Any]) -> str:
    """Return one line about a field that the pattern tests."""
    seen = ", ".join(json_text(value) for value in field.get("seen", ())) or "absent"
    if field.get("count", 0) > len(field.get("seen", ())):
        seen += ", …"
    if field["matched"]:
        return f"✓ {field['path']}: {seen}"
    hint = f" ({field['hint']})" if field.get("hint") else ""
    return f"✗ {field['path']}: {seen}; would match: {field['wants']}{hint}"


def _named(delivery: tuple[str, ...]) -> None:
    if not delivery:
        raise Invalid([Problem(message="say which deliveries, by their ids", code="usage")])


def _each(ids: tuple[str, ...], act: Callable[[str], Any]) -> dict[str, Any]:
    """Do something to each, also when one before refused."""
    items = []
    for one in ids:
        try:
            items.append({"of": one, **act(one)})
        except (NotFound, Conflict) as error:
            items.append({"of": one, "error": str(error)})
    return {"items": items, "next": ""}


async def _each_there(ids: tuple[str, ...], act: Callable[[str], Any]) -> dict[str, Any]:
    """Do something to each at the store, also when one before refused."""
    items = []
    for one in ids:
        try:
            items.append({"of": one, **await act(one)})
        except (NotFound, Conflict) as error:
            items.append({"of": one, "error": str(error)})
    return {"items": items, "next": ""}


def _done(page: dict[str, Any], common: Common) -> int:
    """Print what became of each; return 1 when something was refused."""
    names = {name: None for item in page["items"] for name in item}
    emit(page, common.output, tuple(names))
    return 1 if any("error" in item for item in page["items"]) else 0


MESSAGES: Final[dict[str, Callable[..., Any]]] = {"list": list_messages, "show": show_message}
REJECTS: Final[dict[str, Callable[..., Any]]] = {"list": list_rejects, "show": show_reject}
DELIVERIES: Final[dict[str, Callable[..., Any]]] = {
    "list": list_deliveries,
    "show": show_delivery,
    "retry": retry_deliveries,
    "discard": discard_deliveries,
}
