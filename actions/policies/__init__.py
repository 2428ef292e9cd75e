"""Policies of Power Platform: what a connector's `policyTemplateInstances` do to requests and answers.

Pure but for what `complete` is handed. A seam for actions/http.py; "policies" fills it in.
"""

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from actions.base import Answer
from actions.specs.model import Operation, Spec
from actions.transport import Request

Send = Callable[[Request], Awaitable[Answer]]


class OperationPolicies(ABC):
    """The policies of one operation, in order, with the values of one connection."""

    @abstractmethod
    def server(self, base: str) -> str:
        """Return the base URL to call: what a policy makes of it, or the one given."""

    @abstractmethod
    def request(self, request: Request, arguments: Mapping[str, Any]) -> Request:
        """Return the request after the request section. Raise Refused."""

    @abstractmethod
    async def complete(self, request: Request, send: Send) -> Request:
        """Return the request with what policies fetch before the call."""

    @abstractmethod
    def answer(self, request: Request, answer: Answer) -> Answer:
        """Return the answer after the response or the failure section."""


def compile_policies(spec: Spec, operation: Operation, values: Mapping[str, str]) -> OperationPolicies | None:
    """Return the policies of an operation; None when it has none."""
    del operation, values
    if not spec.policies:
        return None
    raise NotImplementedError("the helper policies writes this")
