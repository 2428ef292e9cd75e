"""Calls of more than one request: further pages, waiting for what was accepted, reading an ETag first.

Everything happens within the call's deadline and through the `send` that is handed in: the same login, the
same egress policy, and only the origin of the first request. Only reading is repeated; what changes something
is sent once.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final

import msgspec

from actions.addresses import read_server
from actions.base import Answer, Follow, Reached, unarmed
from actions.errors import ActionError, OutcomeUnknown, Refused, RetryLater
from actions.origins import origin_of
from actions.paging import Page, Pager, absolute, joined, read_page
from actions.specs.model import Operation
from actions.transport import Request, retry_after

Send = Callable[[Request], Awaitable[Answer]]
Sleep = Callable[[float], Awaitable[None]]

MAX_BYTES: Final = 16 << 20
"""Bytes of items that the pages of one call may hold together."""

PAGES_HEADER: Final = "pointsman-pages"
MORE_HEADER: Final = "pointsman-more"
"""Added to a joined answer: how many pages are in it, and why it is not all there is."""

FIRST_WAIT: Final = 1.0
LONGEST_WAIT: Final = 30.0
_LAST_LOOK: Final = 0.1
_STATES: Final = """
    accepted active created creating deleting inprogress new notstarted pending processing provisioning queued
    running scheduled started starting submitted updating waiting
"""
_UNDER_WAY: Final = frozenset(_STATES.split())
_FAILED: Final = frozenset(
    ["aborted", "canceled", "cancelled", "error", "errored", "failed", "failure", "rejected", "timedout"]
)
_BUSY: Final = frozenset({408, 425, 429})
_LOGIN: Final = frozenset({401, 403, 407})
_CREATED: Final = ("operation-location", "azure-asyncoperation", "location")
_OF_THE_CALL: Final = frozenset(
    ["content-type", "content-encoding", "content-language", "if-match", "if-none-match",
     "if-unmodified-since", "idempotency-key", "x-idempotency-key", "prefer"]
)  # fmt: skip
"""Headers that speak of the call's own body, its resource and its being made once."""


async def follow(
    request: Request,
    operation: Operation,
    wanted: Follow,
    send: Send,
    *,
    deadline: float,
    ask: Send | None = None,
    sleep: Sleep = asyncio.sleep,
    reached: Reached = unarmed,
) -> Answer:
    """Make a call with all that belongs to it, within `deadline` seconds. Errors as those of `send`.

    `ask` sends what only reads, an ETag or a state: where `send` is more than sending, as it is with a hook.
    """
    until = time.monotonic() + deadline
    ask = ask or send
    if wanted.accepted:
        answer = Answer(status=202, headers=wanted.accepted)
    else:
        if wanted.if_match and request.method in ("PUT", "PATCH", "DELETE"):
            found = await _with_etag(request, _reading(request, operation), ask)
            if isinstance(found, Answer):
                return found
            request = found
            reached("call.etag")
        answer = await send(request)
    if wanted.wait and answer.status in (201, 202):
        reached("call.accepted")
        late = min(until, time.monotonic() + wanted.wait)
        waiting = _Waiting(request, operation, ask, late, sleep, reached)
        try:
            answer = await waiting.end(answer, at_once=bool(wanted.accepted))
        except OutcomeUnknown as error:
            raise OutcomeUnknown(str(error), accepted=waiting.told) from error
    if wanted.pages is not None and request.method == "GET":
        answer = await _all_pages(request, answer, operation, wanted, send, reached)
    return answer


def _reading(request: Request, operation: Operation) -> Request:
    """Return the request that only reads at the same place, without what belongs to the call itself."""
    own = {*_OF_THE_CALL, operation.key_header.lower()}
    return Request("GET", request.url, tuple(pair for pair in request.headers if pair[0].lower() not in own))


async def _with_etag(request: Request, plain: Request, send: Send) -> Request | Answer:
    """Return the request with the ETag that the resource has now (RFC 9110 §13.1.1).

    A weak one is sent too: who follows that section answers 412, and OData has no others. Where the login is
    not taken that answer is returned: it is the call's, for nothing else was sent.
    """
    if request.header("if-match"):
        return request
    headers = tuple(pair for pair in plain.headers if pair[0].lower() != "accept")
    try:
        found = await send(Request("GET", plain.url, headers))
    except OutcomeUnknown as error:  # reading changes nothing: the call itself has surely not been made
        raise RetryLater(f"the ETag could not be read: {error}") from error
    if found.status in _LOGIN:
        return found
    if found.status >= 500 or found.status in _BUSY:
        after = retry_after(found.header("retry-after"), time.time())
        raise RetryLater(f"`if_match` cannot be sent: GET answered {found.status}", after=after)
    tag = found.header("etag")
    if found.status != 200 or not tag:
        reason = "it has no ETag" if found.status == 200 else f"GET answered {found.status}"
        raise Refused(f"`if_match` cannot be sent: {reason}")
    return Request(request.method, request.url, (*request.headers, ("If-Match", tag)), request.body)


async def _all_pages(
    request: Request, first: Answer, operation: Operation, wanted: Follow, send: Send, reached: Reached
) -> Answer:
    paging = wanted.pages
    page = read_page(first, paging) if paging is not None else None
    if paging is None or page is None:
        return first
    pager, opening, answer = Pager(operation, paging), page, first
    items, size, count, more = list(page.items), len(first.body), 1, ""
    seen = {request.url}
    while True:
        following = pager.next(request, answer, page)
        if following is None:
            break
        url = _at_origin(following.url, request.url)
        more = _no_further(url, following, seen, count >= paging.max, size)
        if more:
            break
        seen.add(url)
        request = msgspec.structs.replace(following, url=url)
        reached("call.page")
        try:
            answer = await send(request)
        except (OutcomeUnknown, RetryLater) as error:
            after = error.after if isinstance(error, RetryLater) else None
            raise RetryLater(f"page {count + 1}: {error}", after=after) from error
        except Refused as error:
            more = f"the next page cannot be asked for: {error}"[:200]
            break
        found = read_page(answer, paging)
        if found is None:
            if answer.status >= 300:
                return answer  # what went wrong on page n is how the call ended
            more = "the next page could not be read"
            break
        page, count, size = found, count + 1, size + len(answer.body)
        items.extend(page.items)
    return _joined(first, opening, page, items, count, more)


def _no_further(url: str, following: Request, seen: set[str], at_most: bool, size: int) -> str:
    """Return why the next page is not read, "" when it is. Without `url` it is nobody's we know."""
    if not url:
        return f"the next page is at another origin ({origin_of(following.url)[:100]})"
    if url in seen:
        return "the next page was read already"
    if at_most:
        return "the most pages were read"
    return "the most bytes were read" if size > MAX_BYTES else ""


def _joined(
    first: Answer, opening: Page, last: Page, items: list[msgspec.Raw], count: int, more: str
) -> Answer:
    headers = [pair for pair in first.headers if pair[0] not in ("content-length", "etag", "link")]
    headers.append((PAGES_HEADER, str(count)))
    if more:
        headers.append((MORE_HEADER, more))
    return msgspec.structs.replace(first, headers=tuple(headers), body=joined(opening, last, items))


class _Waiting:
    """Asks again and again until something accepted is done (202 and where to look; RFC 9110 §15.3.3)."""

    def __init__(
        self,
        request: Request,
        operation: Operation,
        send: Send,
        until: float,
        sleep: Sleep,
        reached: Reached,
    ) -> None:
        options = operation.extras.get("x-ms-long-running-operation-options")
        via = options.get("final-state-via") if isinstance(options, dict) else None
        self.told: tuple[tuple[str, str], ...] = ()
        self._request = request
        self._plain = _reading(request, operation)
        self._via = via if isinstance(via, str) else ""
        self._send = send
        self._until = until
        self._sleep = sleep
        self._reached = reached
        self._delay = FIRST_WAIT

    async def end(self, accepted: Answer, *, at_once: bool) -> Answer:
        """Return the answer that says it is done. Raise Refused if it failed, OutcomeUnknown if late.

        `at_once`: it was accepted some time ago. `told` is what said where to look: whoever has it need not
        make the call again.
        """
        status_url = self._where(accepted)
        if not status_url or (accepted.status == 201 and accepted.header("azure-asyncoperation") is None):
            return accepted  # nothing says where to look: what was accepted is all there is to know
        answer = accepted
        while True:
            if not at_once:
                await self._pause(answer)
            at_once = False
            answer = await self._look(status_url)
            self._reached("call.looked")
            if answer.status == 202:
                status_url = self._where(answer) or status_url
                continue
            state = _state(answer)
            if state in _FAILED:
                text = answer.body[:500].decode("utf-8", "replace")
                raise Refused(f"it was accepted and has ended as {state}: {text}")
            if answer.status >= 300 or state not in _UNDER_WAY:
                return await self._result(accepted, answer)

    def _where(self, answer: Answer) -> str:
        """Return where to look, "" where nothing says so; keep in mind what said it."""
        told = {name: value for name in _CREATED if (value := answer.header(name))}
        self.told = tuple({**dict(self.told), **told}.items())
        for name in _CREATED:
            target = answer.header(name)
            if target:
                url = absolute(self._request.url, target)
                here = _at_origin(url, self._request.url)
                if not here:
                    raise OutcomeUnknown(
                        f"it was accepted; its state is at another origin ({origin_of(url)[:100]})"
                    )
                return here
        return ""

    async def _look(self, url: str) -> Answer:
        """Ask once; a failure to ask is no failure of what was accepted, and never its end."""
        try:
            answer = await self._send(msgspec.structs.replace(self._plain, url=url))
        except Refused as error:
            raise OutcomeUnknown(f"it was accepted; its state cannot be asked for: {error}") from error
        except ActionError:
            return Answer(status=202)
        if answer.status in _LOGIN:
            raise OutcomeUnknown(f"it was accepted; asking for its state was answered with {answer.status}")
        return Answer(status=202) if answer.status in _BUSY | {500, 502, 503, 504} else answer

    async def _pause(self, answer: Answer) -> None:
        asked = retry_after(answer.header("retry-after"), time.time())
        delay = self._delay if asked is None else max(asked, 0.1)
        self._delay = min(self._delay * 1.5, LONGEST_WAIT)
        left = self._until - time.monotonic()
        if asked is None and left > _LAST_LOOK:
            delay = min(delay, left / 2)  # look before it is too late
        if left <= delay:
            raise OutcomeUnknown("it was accepted (202) and was not done in time")
        await self._sleep(delay)

    async def _result(self, accepted: Answer, done: Answer) -> Answer:
        """Return the result itself, where the last answer only tells that there is one."""
        if done.status >= 300 or _state(done) == "":
            return done
        location = accepted.header("location")
        if self._via == "original-uri" or (
            self._request.method in ("PUT", "PATCH") and self._via != "location"
        ):
            url = self._request.url
        elif location and self._via in ("", "location"):
            url = _at_origin(absolute(self._request.url, location), self._request.url)
        else:
            return done
        if not url:
            return done
        found = await self._look(url)
        return found if found.status < 300 and found.status != 202 else done


def _at_origin(url: str, ours: str) -> str:
    """Return a URL with its origin written as in ours (`HTTP://Host:80`); "" where it is another one."""
    written, wanted = origin_of(url), origin_of(ours)
    if written == wanted:
        return url
    place, _ = read_server(written)
    known, _ = read_server(wanted)
    same = place is not None and known is not None and place.origin == known.origin
    return wanted + url[len(written) :] if same else ""


def _state(answer: Answer) -> str:
    """Return the state that an answer tells of, in lower case without marks; "" when it tells none."""
    try:
        value: Any = msgspec.json.decode(answer.body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ""
    if not isinstance(value, dict):
        return ""
    state = value.get("status") or value.get("state")
    return "".join(filter(str.isalpha, state)).lower() if isinstance(state, str) else ""
