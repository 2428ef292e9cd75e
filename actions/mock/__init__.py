"""A backend made from a description: judges what arrives against it, and answers by example or by schema.

`MockBackend` is pure; `MockServer` puts it on a loopback port. It shares no code with what writes requests,
so that each can be held against the other.
"""

from actions.mock.answering import MockAnswer
from actions.mock.judging import Judgement, MockBackend
from actions.mock.reading import Fault
from actions.mock.server import MockServer

__all__ = ["Fault", "Judgement", "MockAnswer", "MockBackend", "MockServer"]
