"""What can go wrong while bringing something in, named by what the caller should do."""


class TriggerError(Exception):
    """Anything a source raises on purpose."""


class SourceUnavailable(TriggerError):
    """The outside cannot be reached now: open the source again later."""


class SourceRejected(TriggerError):
    """The outside or the configuration refuses us: trying again is useless until somebody changes it."""


class BadEvent(TriggerError):
    """These bytes cannot become a message: keep them as a reject.

    `reason` is a stable slug (`invalid-json`, `invalid-utf8`, `too-deep`, …); `detail` is for people.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail
