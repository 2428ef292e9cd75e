"""The verb around admin tokens."""

from typing import Annotated

from cyclopts import App, Parameter

from service.cli.output import emit
from service.cli.place import Common, ask

tokens_app = App(name="tokens", help="Tokens of the admin API: list, make, revoke.")


@tokens_app.default
@tokens_app.command(name="list")
def list_tokens(*, common: Common = Common()) -> None:  # noqa: B008 - frozen
    """List tokens by name and role, never the tokens themselves.

    Example: pointsman tokens
    """
    emit(ask(common, lambda client: client.get("/tokens")), common.output)


@tokens_app.command
def make(
    name: str,
    *,
    role: Annotated[str, Parameter(help="reader, operator or admin")] = "reader",
    common: Common = Common(),  # noqa: B008 - frozen
) -> None:
    """Make a token and print it: this once and never again.

    Example: pointsman tokens make grafana --role reader
    """
    emit(ask(common, lambda client: client.post("/tokens", {"name": name, "role": role})), common.output)


@tokens_app.command
def revoke(name: str, *, common: Common = Common()) -> None:  # noqa: B008 - frozen
    """Make a token worthless at once.

    Example: pointsman tokens revoke grafana
    """
    emit(ask(common, lambda client: client.delete(f"/tokens/{name}")), common.output)
