"""Verbs that look at messages and deliveries: messages, rejects, deliveries, explain."""

from typing import Annotated, Any

from cyclopts import App, Parameter

from service.cli.output import emit, out, printable
from service.cli.place import Common, ask
from service.usecases import deliveries, explaining, messages

messages_app = App(name="messages", help="Messages that were accepted: list, show.")
rejects_app = App(name="rejects", help="What came in and could not become a message: list, show.")
deliveries_app = App(name="deliveries", help="Deliveries: list, show, retry, discard.")

MESSAGE_COLUMNS = ("id", "source", "type", "received_at", "bytes", "deliveries")
DELIVERY_COLUMNS = ("id", "rule", "state", "attempts", "connection", "due_at", "reason")
Limit = Annotated[int, Parameter(help="Most items of a page.")]
Cursor = Annotated[str, Parameter(help="Where to go on, as the page before said.")]


@messages_app.default
@messages_app.command(name="list")
def list_messages(
    *,
    source: str | None = None,
    type: str | None = None,  # noqa: A002 - the attribute's name, and the option's
    limit: Limit = 50,
    cursor: Cursor = "",
    common: Common = Common(),  # noqa: B008 - frozen
) -> None:
    """List messages, newest first.

    Example: pointsman messages --source github --limit 10
    """
    page = ask(
        common,
        lambda client: client.get("/messages", source=source, type=type, limit=limit, cursor=cursor),
        lambda desk: messages.list_messages(desk, source=source, of_type=type, limit=limit, cursor=cursor),
    )
    emit(page, common.output, MESSAGE_COLUMNS)


@messages_app.command(name="show")
def show_message(message: str, *, common: Common = Common()) -> None:  # noqa: B008 - frozen
    """Show one message whole, with its deliveries.

    Example: pointsman messages show msg_000001
    """
    shown = ask(
        common,
        lambda client: client.get(f"/messages/{message}"),
        lambda desk: messages.show_message(desk, message),
    )
    emit(shown, common.output)


@rejects_app.default
@rejects_app.command(name="list")
def list_rejects(
    *,
    source: str | None = None,
    limit: Limit = 50,
    cursor: Cursor = "",
    common: Common = Common(),  # noqa: B008 - frozen
) -> None:
    """List rejects, newest first.

    Example: pointsman rejects --source orders
    """
    page = ask(
        common,
        lambda client: client.get("/rejects", source=source, limit=limit, cursor=cursor),
        lambda desk: messages.list_rejects(desk, source=source, limit=limit, cursor=cursor),
    )
    emit(page, common.output)


@rejects_app.command(name="show")
def show_reject(reject: str, *, common: Common = Common()) -> None:  # noqa: B008 - frozen
    """Show one reject with its bytes.

    Example: pointsman rejects show rej_000001
    """
    shown = ask(
        common,
        lambda client: client.get(f"/rejects/{reject}"),
        lambda desk: messages.show_reject(desk, reject),
    )
    emit(shown, common.output)


@deliveries_app.default
@deliveries_app.command(name="list")
def list_deliveries(
    *,
    state: Annotated[str | None, Parameter(help="States, separated by commas: dead,held")] = None,
    rule: str | None = None,
    connection: str | None = None,
    message: str | None = None,
    limit: Limit = 50,
    cursor: Cursor = "",
    common: Common = Common(),  # noqa: B008 - frozen
) -> None:
    """List deliveries, newest first.

    Example: pointsman deliveries --state dead
    """
    page = ask(
        common,
        lambda client: client.get(
            "/deliveries",
            state=state,
            rule=rule,
            connection=connection,
            message=message,
            limit=limit,
            cursor=cursor,
        ),
        lambda desk: deliveries.list_deliveries(
            desk, state=state, rule=rule, connection=connection, message=message, limit=limit, cursor=cursor
        ),
    )
    emit(page, common.output, DELIVERY_COLUMNS)


@deliveries_app.command(name="show")
def show_delivery(delivery: str, *, common: Common = Common()) -> None:  # noqa: B008 - frozen
    """Show one delivery with every attempt.

    Example: pointsman deliveries show dlv_000001-1-1
    """
    shown = ask(
        common,
        lambda client: client.get(f"/deliveries/{delivery}"),
        lambda desk: deliveries.show_delivery(desk, delivery),
    )
    emit(shown, common.output)


@deliveries_app.command
def retry(*delivery: str, common: Common = Common()) -> None:  # noqa: B008 - frozen
    """Try ended deliveries again as their next run, or waiting ones now.

    Example: pointsman deliveries retry dlv_000001-1-1
    """
    emit({"items": [_retry(one, common) for one in delivery], "next": ""}, common.output)


@deliveries_app.command
def discard(*delivery: str, reason: str = "", common: Common = Common()) -> None:  # noqa: B008 - frozen
    """End deliveries that have not ended. They are kept, and say who ended them.

    Example: pointsman deliveries discard dlv_000001-1-1 --reason "the order was cancelled"
    """
    emit({"items": [_discard(one, reason, common) for one in delivery], "next": ""}, common.output)


def explain(message: str, rule: str | None = None, *, common: Common = Common()) -> None:  # noqa: B008
    """Say why a rule did or did not match a message.

    It shows the first failing field, the value seen and what would match; for `when`, every value.

    Example: pointsman explain msg_000003 big-orders
    """
    answer = ask(
        common,
        lambda client: client.get(f"/messages/{message}/explain", rule=rule),
        lambda desk: explaining.explain(desk, message, rule),
    )
    if common.output != "table":
        emit(answer, common.output)
        return
    console = out()
    console.print(f"{answer['message']}  {printable(answer['type'])}  from {answer['source']}", markup=False)
    for one in answer["rules"]:
        mark = "✓ matches" if one["matched"] else "✗ does not match"
        console.print(f"\nrule {one['rule']}: {mark}", markup=False)
        if not one["matched"]:
            console.print(f"  {printable(one['why'])}", markup=False)
        for step in one.get("when", ()):
            console.print(f"  {'  ' * step['depth']}{printable(step['line'])}", markup=False)


def _retry(delivery: str, common: Common) -> Any:
    return ask(
        common,
        lambda client: client.post(f"/deliveries/{delivery}/retry"),
        lambda desk: deliveries.retry(desk, delivery, by="command line"),
    )


def _discard(delivery: str, reason: str, common: Common) -> Any:
    return ask(
        common,
        lambda client: client.post(f"/deliveries/{delivery}/discard", {"reason": reason}),
        lambda desk: deliveries.discard(desk, delivery, by="command line", reason=reason),
    )
