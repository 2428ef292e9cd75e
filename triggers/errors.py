"""What can go wrong while bringing something in, named by what the caller should do."""


class TriggerError(Exception):
    """Anything a source raises on purpose."""


class SourceUnavailable(TriggerError):
    """The outside cannot be reached now: open the source again later."""


class SourceRejected(TriggerError):
    """The outside or the configuration refuses us: trying again is useless until somebody changes it."""


class SourceGap(TriggerError):
    """Something is lost for us outside, or may be: a person decides how to go on (`sources rewind`).

    `facts` tell what is known of it (positions, identifiers), never a credential.
    """

    def __init__(self, message: str, *, fix: str, facts: dict[str, object] | None = None) -> None:
        super().__init__(message)
        self.fix = fix
        self.facts = facts or {}


class NotStored(TriggerError):
    """Nothing of a batch was stored: leave it to the outside, or bring it again."""


class BadEvent(TriggerError):
    """These bytes cannot become a message: keep them as a reject.

    `reason` is a stable slug (`invalid-json`, `invalid-utf8`, `too-deep`, …); `detail` is for people.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail
