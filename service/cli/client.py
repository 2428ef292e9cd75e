"""Talks to a running instance over its admin API; says clearly when there is none."""

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import msgspec

from service.errors import Conflict, Invalid, NotFound, Problem, ServiceError, Unavailable

if TYPE_CHECKING:
    import httpx


class Unreachable(ServiceError):
    """No instance answers there."""


def path_of(*parts: str) -> str:
    """Return a resource's path from its parts; whatever stands in one cannot lead elsewhere."""
    return "".join("/" + quote(part, safe="", errors="surrogatepass") for part in parts)


class Client:
    """A connection to the admin API of one instance."""

    def __init__(self, server: str, token: str) -> None:
        import ssl

        import httpx  # a fifth of a second that offline verbs need not wait

        self._failures = (httpx.HTTPError, httpx.InvalidURL)
        self._server = server
        self._http = httpx.Client(
            base_url=server + "/api/v1",
            headers={"authorization": f"Bearer {token}"},
            timeout=httpx.Timeout(60.0, connect=2.0),
            trust_env=False,
            # Reading the machine's authorities takes longer than a call, and most instances need no TLS.
            # A context that has read none trusts nobody.
            verify=server.startswith("https:") or ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),
        )

    def get(self, path: str, **query: Any) -> Any:
        """Return what a resource says. Raise Unreachable, or the error that the instance answered."""
        given = {name: value for name, value in query.items() if value not in (None, "")}
        return self._answer("GET", path, params=given)

    def post(self, path: str, body: Any = None) -> Any:
        """Do something. Raise Unreachable, or the error that the instance answered."""
        return self._answer("POST", path, json=body if body is not None else {})

    def delete(self, path: str) -> Any:
        """Remove something. Raise Unreachable, or the error that the instance answered."""
        return self._answer("DELETE", path)

    def close(self) -> None:
        """Let go of the connection."""
        self._http.close()

    def _answer(self, method: str, path: str, **more: Any) -> Any:
        try:
            response = self._http.request(method, path, **more)
        except self._failures as error:
            raise Unreachable(
                f"no instance answers at {self._server} ({error or type(error).__name__})"
            ) from error
        try:
            document = msgspec.json.decode(response.content)
        except (msgspec.DecodeError, RecursionError):
            document = None
        if not isinstance(document, dict) or response.is_redirect:
            raise Unreachable(
                f"what answers at {self._server} is no Pointsman (status {response.status_code})"
            )
        if response.is_success:
            return document
        raise _error(response, document)


def _error(response: "httpx.Response", document: dict[str, Any]) -> ServiceError:
    """Return the error that a problem document stands for."""
    status = response.status_code
    detail = document.get("detail") or document.get("title") or f"the instance answered {status}"
    errors = document.get("errors")
    if errors:
        return Invalid([_problem(one) for one in errors])
    if status == 401:
        return Unreachable("the token is not taken; give --token or POINTSMAN_TOKEN, or the right --data")
    if status == 404:
        return NotFound(detail)
    return Unavailable(detail) if status == 503 else Conflict(detail)


def _problem(one: dict[str, Any]) -> Problem:
    """Return a problem as the instance told it; a parameter of the query is an option here."""
    problem = msgspec.convert({"code": "invalid", **one}, Problem)
    if not problem.pointer.startswith("/query/"):
        return problem
    option = "--" + problem.pointer.removeprefix("/query/").replace("_", "-")
    return msgspec.structs.replace(problem, pointer="", message=f"{option}: {problem.message}")
