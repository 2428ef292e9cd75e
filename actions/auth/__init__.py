"""Logins: one class per way to log in, and what reads a connection's `auth`. Knows no operation.

Names of this package's modules are its own business; others import from here.
"""

from actions.auth.base import MASK, Auth, Fetch, Fetched, LoginContext, LoginState, TokenKeeper
from actions.auth.fixed import APIKey, Basic, Bearer, NoAuth
from actions.auth.keeper import MemoryKeeper
from actions.auth.reading import read_auth
from actions.auth.together import All, Schemes

__all__ = [
    "MASK",
    "APIKey",
    "All",
    "Auth",
    "Basic",
    "Bearer",
    "Fetch",
    "Fetched",
    "LoginContext",
    "LoginState",
    "MemoryKeeper",
    "NoAuth",
    "Schemes",
    "TokenKeeper",
    "read_auth",
]
