"""What a writer of bodies is, for those that write and those that have parts of theirs written."""

from collections.abc import Callable
from typing import Any

from actions.arguments import Problems
from actions.specs.model import Media

Payload = tuple[bytes, str]
"""The bytes and their Content-Type."""

Write = Callable[[Any, Problems, str], Payload | None]
"""Writes one value; what is wrong goes to the problems, under the pointer given, and nothing is returned."""

Compile = Callable[[Media], Write]
"""Chooses the writer of a media type, for a part of a body that is a body itself."""
