"""The verb around signatures: sign and verify any scheme, offline."""

import secrets
import sys
import time
from collections.abc import Callable
from typing import Annotated, Any, Final

from cyclopts import Parameter

from service.cli.arguments import given_bytes, given_text
from service.cli.output import Output, emit
from service.errors import Invalid, Problem, nearest
from triggers.keys import BadSecret
from triggers.presets import PRESETS, sign
from triggers.signatures import Received, Verifier

Scheme = Annotated[str, Parameter(help=f"The provider: {', '.join(sorted(PRESETS))}.")]
Secret = Annotated[
    str,
    Parameter(
        allow_leading_hyphen=True, help="The secret, or @file, so that it stays out of the shell's history."
    ),
]
Body = Annotated[
    str, Parameter(allow_leading_hyphen=True, help="The exact body, as text, @file, or - for standard input.")
]
Url = Annotated[str, Parameter(help="The address that was called; matters for Twilio.", show_default=False)]


def make_signature(
    scheme: Scheme,
    *,
    secret: Secret,
    body: Body = "-",
    id: Annotated[str | None, Parameter(help="The message's id; absent: a new one.")] = None,  # noqa: A002 - the option's name
    url: Url = "",
    now: Annotated[float | None, Parameter(help="The time to sign for, Unix seconds; absent: now.")] = None,
    output: Output = "table",
) -> None:
    """Print the headers that make a webhook genuine, in the form that `curl -H @-` reads.

    Example: pointsman signature sign github --secret @secrets/github --body @push.json
    """
    _known(scheme)
    key, content = _secret(secret), given_bytes(body)
    name = id if id is not None else f"msg_{secrets.token_hex(8)}"
    try:
        headers = sign(scheme, key, content, now=time.time() if now is None else now, id=name, url=url)
    except BadSecret as error:
        raise _bad_secret(error) from error
    if output != "table":
        emit(headers, output)
        return
    for field, value in headers.items():
        sys.stdout.write(f"{field}: {value}\n")


def verify_signature(
    scheme: Scheme,
    *,
    secret: Annotated[
        list[str], Parameter(allow_leading_hyphen=True, help="The active secrets, or @file; may be repeated.")
    ],
    header: Annotated[list[str], Parameter(name=["--header", "-H"], help="A header, as `name: value`.")],
    body: Body = "-",
    url: Url = "",
    now: Annotated[float | None, Parameter(help="The receiver's clock, Unix seconds; absent: now.")] = None,
    output: Output = "table",
) -> int:
    """Say whether a captured webhook is genuine, and if not, why.

    Exit code 0: it is; 1: it is not.

    Example: pointsman signature verify gitlab --secret @key -H "X-Gitlab-Token: …" --body @b
    """
    _known(scheme)
    try:
        verifier = Verifier(PRESETS[scheme].schemes, [_secret(one) for one in secret])
    except BadSecret as error:
        raise _bad_secret(error) from error
    received = Received(
        headers=_headers(header), body=given_bytes(body), now=time.time() if now is None else now, url=url
    )
    refusal = verifier.refusal(received)
    emit({"genuine": refusal is None, "reason": refusal or ""}, output)
    return 0 if refusal is None else 1


def _secret(argument: str) -> str:
    """Return a secret: itself, or what stands in the file behind `@`, without the line break at its end."""
    return given_text(argument).strip() if argument.startswith("@") else argument


def _known(scheme: str) -> None:
    if scheme not in PRESETS:
        near = nearest(scheme, list(PRESETS))
        fix = f"did you mean {near}?" if near else f"one of {', '.join(sorted(PRESETS))}"
        raise Invalid([Problem(message="no such scheme", code="unknown-scheme", found=scheme[:80], fix=fix)])


def _bad_secret(error: BadSecret) -> Invalid:
    return Invalid([Problem(message=str(error), code="bad-secret")])


def _headers(lines: list[str]) -> dict[str, str]:
    headers = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon:
            raise Invalid([Problem(message="a header is `name: value`", code="usage", found=line[:80])])
        headers[name.strip().lower()] = value.strip()
    return headers


SIGNATURE: Final[dict[str, Callable[..., Any]]] = {"sign": make_signature, "verify": verify_signature}
