"""What can go wrong while performing an operation, named by what the caller should do.

An answer of the backend, whatever its status, is not an error here: the service's outcome table judges
it. These errors are about calls that brought no answer.
"""


class ActionError(Exception):
    """Anything a connector raises on purpose."""


class RetryLater(ActionError):
    """The request surely did not leave us (no connection, name not found, time-out before sending)."""

    def __init__(self, message: str, *, after: float | None = None) -> None:
        super().__init__(message)
        self.after = after  # seconds, when somebody said so


class Refused(ActionError):
    """The call can never be made as asked: bad arguments, egress not allowed, unknown operation.

    `problems` lists every reason as (pointer, text); the pointer is a JSON pointer into the arguments.
    """

    def __init__(self, message: str, problems: tuple[tuple[str, str], ...] = ()) -> None:
        super().__init__(message)
        self.problems = problems


class OutcomeUnknown(ActionError):
    """The request left us and no answer came: it may have been performed.

    Whether it is tried again is the step's to say (`on_unknown`). `accepted` are the headers that say where
    the state of what was accepted is: a `Follow` with them looks there, and sends nothing anew.
    """

    def __init__(self, message: str, *, accepted: tuple[tuple[str, str], ...] = ()) -> None:
        super().__init__(message)
        self.accepted = accepted


class LoginRequired(ActionError):
    """The connection has no credentials that are taken, and cannot get any by itself: somebody has to act.

    Surely nothing was sent to the backend. The message says what to do.
    """
