"""The verb around signatures: sign and verify any scheme, offline."""

import sys
import time
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from service.cli.output import Format, emit
from service.errors import Invalid, Problem, nearest
from triggers.keys import BadSecret
from triggers.presets import PRESETS, sign
from triggers.signatures import Received, Verifier

signature_app = App(name="signature", help="Sign and verify webhooks as providers do, offline.")

Scheme = Annotated[str, Parameter(help=f"The provider: {', '.join(sorted(PRESETS))}.")]
Secret = Annotated[str, Parameter(help="The secret, or @file, so that it stays out of the shell's history.")]
Body = Annotated[str, Parameter(help="The exact body, as text, @file, or - for standard input.")]
Url = Annotated[str, Parameter(help="The address that was called; matters for Twilio.")]
Output = Annotated[
    Format, Parameter(name=["--output", "-o"], help="How to print: table, json, jsonl or yaml.")
]


@signature_app.command(name="sign")
def make(
    scheme: Scheme,
    *,
    secret: Secret,
    body: Body = "-",
    id: Annotated[str, Parameter(help="The message's id; matters for Standard Webhooks.")] = "msg_example",  # noqa: A002 - the option's name
    url: Url = "",
    now: Annotated[float | None, Parameter(help="The time to sign for, Unix seconds; absent: now.")] = None,
    output: Output = "table",
) -> None:
    """Print the headers that make a webhook genuine.

    Example: pointsman signature sign github --secret @secrets/github --body @push.json
    """
    _known(scheme)
    try:
        headers = sign(
            scheme, _text(secret), _bytes(body), now=time.time() if now is None else now, id=id, url=url
        )
    except BadSecret as error:
        raise _bad_secret(error) from error
    if output != "table":
        emit(headers, output)
        return
    for name, value in headers.items():
        sys.stdout.write(f"{name}: {value}\n")


@signature_app.command
def verify(
    scheme: Scheme,
    *,
    secret: Annotated[list[str], Parameter(help="The active secrets, or @file; may be repeated.")],
    header: Annotated[list[str], Parameter(name=["--header", "-H"], help="A header, as `name: value`.")],
    body: Body = "-",
    url: Url = "",
    now: Annotated[float | None, Parameter(help="The receiver's clock, Unix seconds; absent: now.")] = None,
    output: Output = "table",
) -> int:
    """Say whether a captured webhook is genuine, and if not, why. Exit code 0: it is; 1: it is not.

    Example: pointsman signature verify gitlab --secret @secrets/gitlab -H "X-Gitlab-Token: …" --body @p.json
    """
    _known(scheme)
    try:
        verifier = Verifier(PRESETS[scheme].schemes, [_text(one) for one in secret])
    except BadSecret as error:
        raise _bad_secret(error) from error
    received = Received(
        headers=_headers(header), body=_bytes(body), now=time.time() if now is None else now, url=url
    )
    refusal = verifier.refusal(received)
    emit({"genuine": refusal is None, "reason": refusal or ""}, output)
    return 0 if refusal is None else 1


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


def _bytes(argument: str) -> bytes:
    if argument == "-":
        return sys.stdin.buffer.read()
    if argument.startswith("@"):
        try:
            return Path(argument[1:]).read_bytes()
        except OSError as error:
            raise Invalid(
                [Problem(message=f"cannot read {argument[1:]}: {error}", code="no-file")]
            ) from error
    return argument.encode("utf-8", "surrogateescape")


def _text(argument: str) -> str:
    """Return a secret: itself, or the first line of the file behind `@`."""
    if not argument.startswith("@"):
        return argument
    return _bytes(argument).decode("utf-8", "replace").strip()
