"""Talks to a running instance over its admin API; says clearly when there is none."""

from typing import Any

import httpx
import msgspec

from service.errors import Conflict, Invalid, NotFound, Problem, ServiceError, Unavailable


class Unreachable(ServiceError):
    """No instance answers there."""


class Client:
    """A connection to the admin API of one instance."""

    def __init__(self, server: str, token: str) -> None:
        self._server = server
        self._http = httpx.Client(
            base_url=server + "/api/v1",
            headers={"authorization": f"Bearer {token}"},
            timeout=httpx.Timeout(30.0, connect=2.0),
            trust_env=False,
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
        except httpx.HTTPError as error:
            raise Unreachable(
                f"no instance answers at {self._server} ({error or type(error).__name__})"
            ) from error
        if response.is_success:
            return msgspec.json.decode(response.content)
        raise _error(response)


def _error(response: httpx.Response) -> ServiceError:
    """Return the error that a problem document stands for."""
    try:
        document = msgspec.json.decode(response.content)
    except msgspec.DecodeError:
        return Unreachable(f"something that is no Pointsman answered {response.status_code}")
    detail = (
        document.get("detail") or document.get("title") or f"the instance answered {response.status_code}"
    )
    errors = document.get("errors")
    if errors:
        return Invalid([msgspec.convert({"code": "invalid", **one}, Problem) for one in errors])
    if response.status_code == 404:
        return NotFound(detail)
    if response.status_code == 409:
        return Conflict(detail)
    if response.status_code == 401:
        return Unreachable("the token is not taken; give --token or POINTSMAN_TOKEN, or the right --data")
    return Unavailable(detail) if response.status_code == 503 else Conflict(detail)
