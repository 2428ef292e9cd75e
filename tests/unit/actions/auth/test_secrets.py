"""Whatever happens in a login, none of its secrets is in anything that people can see."""

import asyncio
from urllib.parse import parse_qsl, quote

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from actions.auth import Described, LoginContext, MemoryKeeper, read_auth
from actions.base import Answer
from actions.errors import ActionError, OutcomeUnknown, Refused, RetryLater
from actions.specs.model import SecurityScheme
from actions.transport import Request
from tests.examples import examples

SECRETS = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=8, max_size=30).map(
    lambda one: f"~{one}"
)
PLAIN = Request("GET", "https://api.example/x?a=1")
SCHEMES = {"key": SecurityScheme(name="key", kind="apiKey", location="query", parameter="k")}


def logins(one, two):
    """Return ways to log in that hold these secrets."""
    base = {
        "token_url": "https://login.example/t",
        "authorization_url": "https://login.example/a",
        "client_id": "c",
    }
    base |= {"client_secret": one, "redirect": "https://r.example/"}
    return {
        "bearer": {"bearer": one},
        "basic": {"basic": {"username": "u", "password": one}},
        "digest": {"digest": {"username": "u", "password": one}},
        "key": {"api_key": one},
        "jwt": {"jwt": {"key": one + "long enough for a key of HS256", "issuer": "i"}},
        "client": {"oauth2": base},
        "password": {"oauth2": base | {"username": "u", "password": two}},
        "refresh": {"oauth2": base | {"refresh_token": two}},
        "code": {"oauth2": base | {"grant": "authorization_code", "authorization_extra": {"x": two}}},
        "signed": {"oauth2": base | {"grant": "client_credentials", "assertion": {"key": two * 4}}},
        "all": {"schemes": {"key": {"api_key": one}}},
    }


def outcomes(secret):
    """Return what a token server may do with what it was sent: the worst is to repeat it."""

    def echo(request, status, error):
        form = dict(parse_qsl(request.body.decode()))
        said = f"{secret} {quote(secret)} {request.body.decode()} {form} {request.headers}"
        return Answer(status=status, body=msgspec.json.encode({"error": error, "error_description": said}))

    def raising(error):
        def fail(request):
            raise error(f"calling {request.url} {request.headers} {request.body.decode()} {secret}")

        return fail

    return st.sampled_from(
        [
            lambda request: echo(request, 400, "invalid_grant"),
            lambda request: echo(request, 401, "invalid_client"),
            lambda request: echo(request, 503, secret),
            lambda request: Answer(status=200, body=msgspec.json.encode({"access_token": secret[::-1], "token_type": secret, "expires_in": 60})),
            lambda request: Answer(status=200, body=msgspec.json.encode({"access_token": f"\n{secret}", "scope": secret})),
            lambda request: Answer(status=500, body=secret.encode()),
            raising(RetryLater),
            raising(OutcomeUnknown),
            raising(Refused),
        ]
    )  # fmt: skip


@examples(100)
@given(st.data())
def test_no_secret_is_ever_shown(data):
    one, two = data.draw(SECRETS), data.draw(SECRETS)
    which = data.draw(st.sampled_from(sorted(logins(one, two))))
    if which in ("bearer", "basic", "digest", "key", "jwt", "client", "signed", "all"):
        two = one  # these hold one alone, and cannot hide what they do not know
    steps = data.draw(st.lists(outcomes(data.draw(st.sampled_from([one, two]))), min_size=1, max_size=4))
    now, shown, queue = 1000.0, [], list(steps)

    async def fetch(request, deadline):
        return queue.pop(0)(request) if queue else Answer(status=503)

    context = LoginContext(
        name="api", fetch=fetch, tokens=MemoryKeeper(), clock=lambda: now, jitter=lambda: 0.5
    )

    async def live():
        nonlocal now
        auth = read_auth(logins(one, two)[which], Described(schemes=SCHEMES), context)
        for _ in steps:
            try:
                await auth.ready(1)
                again = await auth.again(auth.apply(PLAIN), Answer(status=401, body=one.encode()), 1)
                shown.append(again is None)
            except ActionError as error:
                shown.append(error)
            for name, login in auth.browser_logins().items():
                try:
                    begun = await login.begin()
                    shown.append((name, begun))
                    await login.finish({"state": begun.state, "code": two, "error_description": one})
                except ActionError as error:
                    shown.append(error)
            shown.append(await auth.renew())
            shown.extend(
                [auth.mask(PLAIN), auth.states(), auth, vars(auth).get("_settings"), vars(auth).get("_token")]
            )
            now += 400
        await auth.close()

    asyncio.run(live())
    text = " ".join(f"{part!s} {part!r}" for part in shown)
    for secret in (one, two, one[::-1], quote(one, safe=""), quote(two, safe="")):
        assert secret not in text


def refusal(login):
    """Return what is said about a login that cannot be."""
    try:
        read_auth(login, Described(schemes=SCHEMES))
    except Refused as error:
        return f"{error} {error.problems}"
    return ""


@given(SECRETS)
def test_a_login_that_is_refused_repeats_no_secret(secret):
    said = []
    for login in logins(secret, secret).values():
        for kind, part in login.items():
            said.append(
                refusal({kind: {**part, "token_url": "nope"} if isinstance(part, dict) else f"{part}\n"})
            )
    assert secret not in " ".join(said)
    assert len(list(filter(None, said))) >= 6
