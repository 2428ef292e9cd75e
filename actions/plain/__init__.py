"""Descriptions of our own for buses that nobody has described: publish anything anywhere.

They are AsyncAPI documents, pinned by a ruleset like every other description: the bytes are the file.
"""

from importlib.resources import files
from typing import Final

PLAIN: Final = ("kafka", "rabbitmq")
"""The kinds of connectors that need no description."""


def description(kind: str) -> bytes:
    """Return the document of a kind of PLAIN."""
    return (files(__name__) / f"{kind}.asyncapi.yaml").read_bytes()
