"""Fetching a description from its URL, when somebody asks for it: never while checking or serving.

What comes is kept beside the configuration file under the hash of its bytes, and used only where the
configuration says this hash. The call goes through the egress guard; a redirect is told, not followed.
"""

import asyncio
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from actions.base import Answer
from actions.egress import Egress, Resolver
from actions.errors import ActionError, Refused
from actions.origins import Certificates, HTTPLimits, make_origins, origin_of
from actions.transport import Engine, EngineSettings, Request
from service.config.check import CheckedConfiguration
from service.config.connectors import copy_of, is_url
from service.config.marks import join_pointer
from service.descriptions import DEFAULT, Bounds, Unfit, kept_copy, read_pinned, unreadable
from service.errors import Invalid, NotFound, Problem, Unavailable, nearest
from service.replacing import replace_file

_RAISE: Final = "POINTSMAN_MAX_DESCRIPTION_BYTES says how many are read"

WITHIN: Final = 30.0
"""Seconds that one fetch may take in all."""

_ACCEPT: Final = "application/json, application/yaml, text/yaml, */*;q=0.5"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Fetched:
    """The bytes of a description, and the hash that pins them. For `repr` see `checking.Candidate`."""

    url: str
    data: bytes
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchedConnector:
    """A description that was fetched for a connector and is kept at `path`.

    `pinned` is the hash that the configuration says, None where it says none: it has to be `sha256`.
    """

    name: str
    url: str
    sha256: str
    pinned: str | None
    path: Path
    title: str
    version: str
    operations: int


async def fetch_description(
    url: str,
    *,
    egress: Egress | None = None,
    certificates: Certificates | None = None,
    engine: str | Callable[[EngineSettings], Engine] = "httpx",
    resolver: Resolver | None = None,
    within: float = WITHIN,
    bounds: Bounds = DEFAULT,
) -> Fetched:
    """Fetch a description once. Without `egress` only the open internet may be called.

    Raises Invalid when this URL will never give one as it is, Unavailable when it may do so later.
    """
    plain = url.partition("#")[0]
    if "@" in origin_of(plain):  # said here, for a password is never repeated
        raise _invalid(url, "user names and passwords in a URL are not taken", "url-refused")
    limits = HTTPLimits(in_flight=1, max_answer_bytes=bounds.file_bytes)
    name = f"description from {origin_of(plain)[:200]}"
    origins = make_origins(
        name, egress=egress, limits=limits, certificates=certificates, engine=engine, resolver=resolver
    )
    request = Request(method="GET", url=plain, headers=(("Accept", _ACCEPT), ("User-Agent", "pointsman")))
    try:
        answer = await origins.fetch(request, within)
    except Refused as error:
        host = urlsplit(plain).hostname or "ADDRESS"
        fix = f"if it is on a network of yours, allow it: --allow {host}"
        raise _invalid(url, str(error), "url-refused", fix) from error
    except ActionError as error:
        raise Unavailable(str(error)) from error
    finally:
        await origins.close()
    data = _body(url, answer, bounds.file_bytes)
    return Fetched(url=url, data=data, sha256=hashlib.sha256(data).hexdigest())


def _body(url: str, answer: Answer, most: int) -> bytes:
    """Return the description that was answered, or raise what the answer means."""
    if 300 <= answer.status < 400:
        place = answer.header("location")
        fix = f"write {place[:300]} instead, if it is meant" if place else ""
        message = f"the answer is {answer.status}: it lies elsewhere now"
        raise _invalid(url, message, "redirected", fix)
    if answer.status in {408, 425, 429} or answer.status >= 500:
        raise Unavailable(f"{origin_of(url)} answered {answer.status}")
    if answer.status != 200:
        raise _invalid(url, f"the answer is {answer.status}", "not-answered", "check the URL in a browser")
    if answer.truncated:
        raise _invalid(url, f"it has more than {most} bytes", "too-large", _RAISE)
    return answer.body


def _invalid(url: str, message: str, code: str, fix: str = "") -> Invalid:
    shown = url.partition("?")[0].rpartition("@")[2][:200]
    return Invalid([Problem(message=message, code=code, found=shown, fix=fix)])


async def fetch_connector(
    checked: CheckedConfiguration,
    name: str,
    *,
    egress: Egress | None = None,
    engine: str | Callable[[EngineSettings], Engine] = "httpx",
    resolver: Resolver | None = None,
    bounds: Bounds = DEFAULT,
) -> FetchedConnector:
    """Fetch the description of a connector and keep it where the configuration looks for it.

    What cannot be read as a description is not kept. Raises NotFound, Invalid and Unavailable.
    """
    config = checked.sketch.connectors.get(name)
    if config is None:
        near = nearest(name, [*checked.sketch.connectors])
        raise NotFound(f"there is no connector {name}" + (f"; did you mean {near}?" if near else ""))
    if config.spec is None or not is_url(config.spec):
        problem = Problem(message=f"the description of {name} is not from a URL", code="no-url")
        raise Invalid([problem])
    fetched = await fetch_description(
        config.spec, egress=egress, engine=engine, resolver=resolver, bounds=bounds
    )
    folder = checked.folder(join_pointer("connectors", name, "spec"))
    return await asyncio.to_thread(keep, name, fetched, config.sha256, folder, bounds)


def keep(
    name: str, fetched: Fetched, pinned: str | None, folder: Path, bounds: Bounds = DEFAULT
) -> FetchedConnector:
    """Read what was fetched, and write it to its place; a copy that is there already is the same."""
    try:
        spec = read_pinned(fetched.url, kept_copy(fetched.url, fetched.data, bounds), bounds)
    except Unfit as unfit:
        raise _invalid(fetched.url, f"what came {unfit}", unfit.code, unfit.fix) from unfit
    if not spec.readable:
        raise unreadable(spec)
    path = folder / copy_of(fetched.sha256)
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, fetched.data)
    return FetchedConnector(
        name=name,
        url=fetched.url,
        sha256=fetched.sha256,
        pinned=pinned,
        path=path,
        title=spec.title,
        version=spec.version,
        operations=len(spec.operations),
    )
