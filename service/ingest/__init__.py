"""The HTTP server of the hot path: `POST /hooks/{source}` and nothing else.

It owns the sockets and everything HTTP: framing, limits on bytes, count and time, keep-alive, the order of
the answers. It asks a source what a request means and has the result stored before it answers; it does not
verify, match or store anything itself and knows neither intake nor a store.
"""

from service.ingest.desk import Hooks
from service.ingest.limits import Limits
from service.ingest.server import IngestServer

__all__ = ["Hooks", "IngestServer", "Limits"]
