"""The health of connections: feeds breakers and holds with verdicts, and tells of what changes.

It calls no operation; a login anew is the one thing it asks of a connector.
"""

import time
from collections.abc import Callable

import msgspec
import structlog

from actions.base import Connector
from service.connections import Connection, Pauses
from service.dispatch.lanes import Lane, Lanes
from service.dispatch.settling import Settling, Troubles
from service.errors import Unavailable
from service.job import Job
from service.outcome import Outcome, Verdict
from service.store.base import Store, Stored

log = structlog.get_logger(__name__)


class Health:
    """Judges connections. `held_changed` keeps it on disk that one is held, or no longer."""

    def __init__(
        self,
        store: Store,
        lanes: Lanes,
        settling: Settling,
        *,
        troubles: Troubles,
        held_changed: Callable[[Connection], None],
    ) -> None:
        self._store = store
        self._lanes = lanes
        self._settling = settling
        self._troubles = troubles
        self._held_changed = held_changed

    def note(self, lane: Lane, job: Job, verdict: Verdict) -> None:
        """Feed the breaker and the hold of a connection with one verdict."""
        connection = lane.connection
        if verdict.outcome is not Outcome.OK:
            connection.last_error = verdict.detail
        if not verdict.healthy:
            if connection.breaker.unhealthy(verdict.detail, time.monotonic()):
                self._settling.back_all(lane)
                log.warning("breaker opened", connection=connection.name, reason=verdict.detail)
                self._tell("pointsman.connection.open", connection, job)
            return
        connection.fresh_login = False
        if connection.breaker.healthy():
            log.info("breaker closed", connection=connection.name)
            self._tell("pointsman.connection.closed", connection, job)
            self._lanes.wake.set()
        if connection.breaker.allowed is not None:
            self._lanes.pump(lane)
        if connection.hold_reason:
            self.release(connection.name)

    async def login_refused(
        self, lane: Lane, job: Job, connector: Connector, verdict: Verdict, started: float
    ) -> Verdict:
        """After one fresh login, hold the connection: no delivery is lost to a wrong password.

        Where the connection is not to be held, what refused the credentials is the delivery's own verdict.
        """
        connection = lane.connection
        connection.last_error = verdict.detail
        if started < connection.logged_in_at:
            return verdict  # this call still used the old credentials
        if not connection.fresh_login:
            connection.fresh_login = True
            if await connector.login_again():
                connection.logged_in_at = time.monotonic()
                return verdict
        if not connection.holds:
            return msgspec.structs.replace(verdict, outcome=Outcome.REFUSED)
        if connection.hold(verdict.detail, now=time.monotonic(), wall=time.time()):
            log.error("connection held: its credentials are not taken", connection=connection.name)
            self._tell("pointsman.connection.expired", connection, job)
            self._held_changed(connection)
        self._settling.back_all(lane)
        return verdict

    def release(self, name: str) -> bool:
        """Let a held connection through again; return whether it was held."""
        lane = self._lanes.used.get(name)
        if lane is None or not lane.connection.unhold():
            return False
        self._held_changed(lane.connection)
        self._lanes.nudge(name)
        return True

    def pauses_changed(self, name: str, pauses: Pauses) -> None:
        """Let an operator's pause of a connection begin or end; what is in flight ends as it may.

        What waits in memory goes back to the store, uncalled: a process that dies during the pause must not
        leave it behind as interrupted.
        """
        lane = self._lanes.used.get(name)
        if lane is None:
            return
        lane.connection.pauses = pauses
        if lane.connection.paused:
            self._settling.back_all(lane)
        else:
            self._lanes.nudge(name)

    def _tell(self, kind: str, connection: Connection, job: Job) -> None:
        """Store a message about a connection's trouble, on its own: nothing else depends on it.

        `job` brought the trouble about: a message about a trouble must not bring about the next one.
        """
        facts = {"connection": connection.name, "reason": connection.last_error, "state": connection.state}
        entry = self._troubles(kind, connection.name, facts, job.cause())
        if entry is None:
            return

        def done(stored: Stored | Exception) -> None:
            if isinstance(stored, Exception):
                log.warning(
                    "a message about a trouble was not stored",
                    kind=kind,
                    subject=connection.name,
                    why=str(stored),
                )
            self._lanes.nudge()

        try:
            self._store.accept(entry, done)
        except Unavailable as error:
            done(error)
