"""Logs and the names of all metrics.

Nothing here is on the path of a message: counters are plain integers elsewhere, read when somebody asks.
"""

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any, Final

import structlog

METRICS: Final[dict[str, str]] = {
    "pointsman_messages_total": "Messages by verdict: new, known, conflict, rejected, refused (not stored).",
    "pointsman_messages_unmatched_total": "Messages that no rule matched.",
    "pointsman_attempts_total": "Attempts by outcome.",
    "pointsman_deliveries_ended_total": "Deliveries by end.",
    "pointsman_deliveries": "Unfinished deliveries by state.",
    "pointsman_connection_up": "1 while a connection takes calls, 0 while it is held, open or paused.",
    "pointsman_connection_in_flight": "Calls in flight by connection.",
    "pointsman_connection_waiting": "Deliveries that wait in memory by connection.",
    "pointsman_rule_matched_total": "Messages that matched, by rule.",
    "pointsman_rule_errors_total": "Messages on which a rule's `when` failed.",
    "pointsman_source_last_message_seconds": "When a source's last message was received, Unix time.",
    "pointsman_source_state": "1 for the state that a source is in.",
    "pointsman_source_pending": "What waits outside for a source, in `unit`, where that can be told.",
    "pointsman_source_stuck": "1 while work is pending outside and a source's position stands still.",
    "pointsman_source_up": "1 while a source does its work or rests as an operator wants, 0 in any trouble.",
    "pointsman_source_warnings": "Troubles of a source that do not stop it.",
    "pointsman_source_restarts_total": "How often a source was started again.",
    "pointsman_store_writable": "1 while the store takes messages.",
    "pointsman_store_queue_age_seconds": "How long the oldest entry has waited for its commit.",
    "pointsman_store_commits_total": "Groups committed.",
    "pointsman_ingest_requests_total": "Requests answered by the ingest server, by status class.",
    "pointsman_ingest_connections": "Open ingest connections.",
    "pointsman_ruleset": "Number of the ruleset in use.",
}
"""Every metric with what it means; the API makes nothing that is not here."""

_LOGIN: Final = re.compile(r"(?<=://)[^\s/?#@:]*:[^\s/?#]*@")


def without_passwords(text: str) -> str:
    """Return a text without the logins that stand in its URLs: drivers write them into their errors."""
    return _LOGIN.sub("***@", text) if "://" in text else text


def set_up_logs(level: str, style: str) -> None:
    """Send logs to standard error: text on a terminal, one JSON object a line elsewhere."""
    text = style == "text" or (style == "auto" and sys.stderr.isatty())
    renderer: Any = (
        structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(),
            # Not structlog's own choice: where rich is, that prints locals, and so messages and secrets.
            exception_formatter=structlog.dev.plain_traceback,
        )
        if text
        else structlog.processors.JSONRenderer()
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            _printable,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,  # no log is on the path of a message, and a new set-up must count
    )


def _printable(_logger: object, _name: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Leave passwords out; escape control characters: text from outside must not move a terminal's cursor."""
    for key, value in event.items():
        if not isinstance(value, str):
            continue
        event[key] = shown = without_passwords(value)
        if not shown.isprintable() and key != "exception":
            event[key] = shown.encode("unicode_escape").decode("ascii")
    return event
