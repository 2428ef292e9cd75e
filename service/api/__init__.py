"""The admin API: its own listener, always behind a token. It decides nothing itself."""

from service.api.server import AdminServer

__all__ = ["AdminServer"]
