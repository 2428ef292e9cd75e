"""One policy, compiled: what it does to a request, and what to an answer."""

from typing import Any

from actions.policies.messages import Draft, Reply


class Step:
    """One policy of an operation. The title is for people; every method raises Unfit with what is wrong."""

    def __init__(self, title: str) -> None:
        self.title = title

    def server(self, base: str) -> str:
        """Return the base URL to call."""
        return base

    def base(self, draft: Draft) -> str:
        """Return the base URL that a request goes to from here on."""
        return draft.base

    def request(self, draft: Draft) -> Any:
        """Change a request."""

    def answer(self, reply: Reply) -> Any:
        """Change an answer."""
