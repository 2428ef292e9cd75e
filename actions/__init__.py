"""Performing operations of described backends. Importing this package imports no engine."""

from typing import Final

CONNECTORS: Final[dict[str, str]] = {
    "http": "actions.http:HTTPConnector",
}
"""Registry: kind → "module:Class", resolved on first use by `pkgutil.resolve_name`."""
