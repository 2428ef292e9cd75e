"""The verb around admin tokens."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, Final

from cyclopts import Parameter

from service.cli.client import path_of
from service.cli.output import emit
from service.cli.place import Common, ask

if TYPE_CHECKING:
    from service.usecases.desk import Desk
    from service.usecases.tokens import Tokens

BY: Final = "command line"


def list_tokens(*, common: Common = Common()) -> None:
    """List tokens by name and role, never the tokens themselves.

    Example: pointsman tokens
    """

    async def offline(desk: "Desk") -> Any:
        return (await _tokens(desk, common)).list_tokens()

    emit(ask(common, lambda client: client.get("/tokens"), offline), common.output)


def make_token(
    name: Annotated[str, Parameter(help="What to call it: letters, digits, - and _.")],
    *,
    role: Annotated[str, Parameter(help="reader, operator or admin.")] = "reader",
    common: Common = Common(),
) -> None:
    """Make a token and print it: this once and never again.

    Example: pointsman tokens make grafana --role reader
    """

    async def offline(desk: "Desk") -> Any:
        return await (await _tokens(desk, common)).make(name, role, now=desk.now(), by=BY)

    emit(
        ask(common, lambda client: client.post("/tokens", {"name": name, "role": role}), offline),
        common.output,
    )


def revoke_token(
    name: Annotated[str, Parameter(help="The token's name.")], *, common: Common = Common()
) -> None:
    """Make a token worthless at once.

    Example: pointsman tokens revoke grafana
    """

    async def offline(desk: "Desk") -> Any:
        return await (await _tokens(desk, common)).revoke(name)

    emit(ask(common, lambda client: client.delete(path_of("tokens", name)), offline), common.output)


async def _tokens(desk: "Desk", common: Common) -> "Tokens":
    """Return the tokens of a stopped instance."""
    from service.usecases.tokens import Tokens

    tokens = Tokens(desk.store, common.settings().data)
    await tokens.load(desk.now())
    return tokens


TOKENS: Final[dict[str, Callable[..., Any]]] = {
    "list": list_tokens,
    "make": make_token,
    "revoke": revoke_token,
}
