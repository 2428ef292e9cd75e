"""Logins: one class per way to log in, and what reads a connection's `auth`. Knows no operation.

Names of this package's modules are its own business; others import from here.
"""

from actions.auth.base import (
    MASK,
    Auth,
    Begun,
    BrowserLogin,
    Fetch,
    Fetched,
    LoginContext,
    LoginState,
    NoAuth,
    TokenKeeper,
)
from actions.auth.browser import login_of
from actions.auth.described import Described, described
from actions.auth.digest import Digest
from actions.auth.fixed import APIKey, Basic, Bearer
from actions.auth.guard import clear_problem, guarded
from actions.auth.keeper import MemoryKeeper, NoKeeper, Turns
from actions.auth.reading import read_auth
from actions.auth.together import All, Schemes

__all__ = [
    "MASK",
    "APIKey",
    "All",
    "Auth",
    "Basic",
    "Bearer",
    "Begun",
    "BrowserLogin",
    "Described",
    "Digest",
    "Fetch",
    "Fetched",
    "LoginContext",
    "LoginState",
    "MemoryKeeper",
    "NoAuth",
    "NoKeeper",
    "Schemes",
    "TokenKeeper",
    "Turns",
    "clear_problem",
    "described",
    "guarded",
    "login_of",
    "read_auth",
]
