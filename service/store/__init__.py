"""What was accepted and what became of it, on disk. `base` is the contract; one file per implementation."""

from typing import Final

STORES: Final[dict[str, str]] = {
    "sqlite": "service.store.sqlite:SQLiteStore",
}
"""Registry: kind → "module:Class", resolved on first use by `pkgutil.resolve_name`."""

LOOKS: Final[dict[str, str]] = {
    "sqlite": "service.store.sqlite.look:look",
}
"""Registry: kind → the function that looks at the data in a directory from outside and changes nothing."""
