"""The drivers behind the transport seam, one file each. Importing this package imports no driver."""

import pkgutil
from typing import Final

from actions.transport import Engine, EngineSettings

ENGINES: Final[dict[str, str]] = {
    "pyreqwest": "actions.engines.pyreqwest:PyreqwestEngine",
    "httpx": "actions.engines.httpx:HTTPXEngine",
    "direct": "actions.engines.direct:DirectEngine",
}
"""Registry: kind → "module:Class", resolved on first use by `pkgutil.resolve_name`."""

DEFAULT: Final = "pyreqwest"
"""The engine of the hot path: some sixty times what httpx does at 64 calls in flight."""


def make_engine(kind: str, settings: EngineSettings) -> Engine:
    """Return a new engine of this kind for one connection. Raise KeyError for an unknown kind."""
    factory = pkgutil.resolve_name(ENGINES[kind])
    engine: Engine = factory(settings)
    return engine
