"""How the logins of connections stand, for people. Nothing in it is secret."""

from typing import Any

from actions.auth import Auth, LoginState
from actions.base import Connector
from service.usecases.messages import instant


def logins(connector: Connector) -> list[dict[str, Any]]:
    """Return how each login of a connection stands. Nothing in it is secret."""
    return [_login(one) for one in states(connector)]


def states(connector: Connector) -> list[LoginState]:
    """Return how each login of a connector stands, as the login itself says."""
    auth = connector.login()
    return auth.states() if isinstance(auth, Auth) else []


def _login(state: LoginState) -> dict[str, Any]:
    return {
        "scheme": state.scheme,
        "kind": state.kind,
        "state": state.phase,
        "reason": state.reason,
        "fix": state.fix,
        "token_url": state.token_url,
        "scopes": list(state.scopes),
        "expires_at": instant(int(state.expires_at * 1000)) if state.expires_at else None,
        "history": [
            {"at": instant(int(one.at * 1000)), "why": one.why, "result": one.result, "ok": one.ok}
            for one in state.history
        ],
    }
