"""What was accepted and what became of it, on disk. `base` is the contract; one file per implementation."""

from typing import Final

STORES: Final[dict[str, str]] = {
    "sqlite": "service.store.sqlite:SQLiteStore",
}
"""Registry: kind → "module:Class", resolved on first use by `pkgutil.resolve_name`."""
