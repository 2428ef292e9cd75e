"""Makes messages of the troubles of sources; what the store does not take now is told when it takes again."""

from collections.abc import Mapping
from typing import Final

import structlog

from service.errors import Unavailable
from service.intake import Intake

log = structlog.get_logger(__name__)

MOST: Final = 1_000
"""Troubles that may wait; the oldest are left out then."""

Told = tuple[str, str, Mapping[str, object]]


class Telling:
    """Tells each trouble once, under the name it is `told_as`."""

    def __init__(self, intake: Intake) -> None:
        self._intake = intake
        self._waiting: dict[str, Told] = {}
        self._under_way: dict[str, Told] = {}

    @property
    def waiting(self) -> int:
        """How many troubles are not stored yet."""
        return len(self._waiting) + len(self._under_way)

    def tell(self, kind: str, name: str, data: Mapping[str, object], *, told_as: str) -> None:
        """Make a message of a trouble, now or later."""
        if told_as in self._under_way:
            return
        self._waiting[told_as] = (f"pointsman.source.{kind}", name, {"source": name, **data})
        if len(self._waiting) > MOST:
            log.error(
                "too many troubles wait to be told: the oldest is left out", told_as=next(iter(self._waiting))
            )
            del self._waiting[next(iter(self._waiting))]
        self.again()

    def again(self) -> None:
        """Tell what waits."""
        for told_as, told in tuple(self._waiting.items()):
            kind, name, data = told
            try:
                self._intake.tell(kind, name, data, told_as=told_as, done=self._done)
            except Unavailable:
                return
            self._under_way[told_as] = self._waiting.pop(told_as)

    def _done(self, told_as: str, error: Exception | None) -> None:
        """Take what became of a message. Called in the commit's callback."""
        told = self._under_way.pop(told_as, None)
        if told is None:
            return
        if isinstance(error, Unavailable):
            self._waiting[told_as] = told
        elif error is not None:
            log.error("a trouble of a source cannot be stored", source=told[1], error=str(error))
