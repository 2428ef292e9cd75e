"""Each row of the outcome table, and Retry-After in every form."""

from datetime import UTC, datetime
from email.utils import format_datetime

from actions.base import Answer
from actions.errors import ActionError, OutcomeUnknown, Refused, RetryLater
from actions.transport import LONGEST_RETRY_AFTER, retry_after
from service.outcome import Outcome, judge, judge_error
from tests.tables import every_row

NOW = 1_800_000_000.0

ROWS = {
    200: Outcome.OK, 201: Outcome.OK, 202: Outcome.OK, 204: Outcome.OK, 299: Outcome.OK,
    301: Outcome.REFUSED, 302: Outcome.REFUSED, 304: Outcome.REFUSED, 307: Outcome.REFUSED, 308: Outcome.REFUSED,
    400: Outcome.REFUSED, 401: Outcome.LOGIN, 402: Outcome.REFUSED, 403: Outcome.LOGIN, 404: Outcome.REFUSED,
    405: Outcome.REFUSED, 408: Outcome.RETRY, 409: Outcome.REFUSED, 410: Outcome.REFUSED, 413: Outcome.REFUSED,
    415: Outcome.REFUSED, 422: Outcome.REFUSED, 425: Outcome.RETRY, 428: Outcome.REFUSED, 429: Outcome.RETRY,
    500: Outcome.RETRY, 501: Outcome.REFUSED, 502: Outcome.UNKNOWN, 503: Outcome.RETRY, 504: Outcome.UNKNOWN,
    505: Outcome.REFUSED, 520: Outcome.UNKNOWN, 524: Outcome.UNKNOWN, 599: Outcome.UNKNOWN,
    99: Outcome.UNKNOWN, 600: Outcome.UNKNOWN, 0: Outcome.UNKNOWN,
}  # fmt: skip


@every_row(("status", "outcome"), ROWS.items())
def test_status_has_its_outcome(status: int, outcome: Outcome) -> None:
    assert judge(Answer(status=status), {}, NOW).outcome is outcome


@every_row(
    ("on", "status", "outcome"),
    [
        ({"409": "ok"}, 409, Outcome.OK),
        ({"404": "retry"}, 404, Outcome.RETRY),
        ({"4xx": "retry"}, 422, Outcome.RETRY),
        ({"4xx": "retry", "422": "refused"}, 422, Outcome.REFUSED),
        ({"5xx": "refused"}, 503, Outcome.REFUSED),
        ({"2xx": "retry"}, 200, Outcome.RETRY),
        ({"401": "refused"}, 401, Outcome.REFUSED),
        ({"409": "ok"}, 410, Outcome.REFUSED),
    ],
)
def test_the_steps_on_wins_and_the_exact_status_wins_over_its_class(on, status, outcome) -> None:
    assert judge(Answer(status=status), on, NOW).outcome is outcome


def test_a_call_that_never_left_is_tried_again_with_its_delay() -> None:
    verdict = judge_error(RetryLater("connection refused", after=3.0))
    assert (verdict.outcome, verdict.after, verdict.healthy) == (Outcome.RETRY, 3.0, False)


def test_a_call_without_an_answer_is_unknown() -> None:
    assert judge_error(OutcomeUnknown("cut")).outcome is Outcome.UNKNOWN
    assert judge_error(ActionError("?")).outcome is Outcome.UNKNOWN


def test_a_refused_call_says_nothing_about_the_backends_health() -> None:
    verdict = judge_error(Refused("egress"))
    assert (verdict.outcome, verdict.healthy) == (Outcome.REFUSED, True)


@every_row(("status", "healthy"), [(200, True), (404, True), (429, False), (500, False), (503, False)])
def test_only_5xx_and_429_speak_against_the_backends_health(status: int, healthy: bool) -> None:
    assert judge(Answer(status=status), {}, NOW).healthy is healthy


@every_row(
    ("text", "seconds"),
    [
        (None, None),
        ("0", 0.0),
        ("120", 120.0),
        (" 7 ", 7.0),
        ("1000000000", LONGEST_RETRY_AFTER),
        ("9" * 400, LONGEST_RETRY_AFTER),
        ("-5", None),
        ("1.5", None),
        ("soon", None),
        ("", None),
        ("٣", None),
        (format_datetime(datetime.fromtimestamp(NOW + 90, UTC), usegmt=True), 90.0),
        (format_datetime(datetime.fromtimestamp(NOW - 90, UTC), usegmt=True), None),
        ("Fri, 31 Dec 9999 23:59:59 GMT", LONGEST_RETRY_AFTER),
        ("Fri, 99 Foo 2020 00:00:00 GMT", None),
    ],
)
def test_retry_after_is_read_in_every_form_and_junk_says_nothing(text, seconds) -> None:
    assert retry_after(text, NOW) == seconds


def test_the_reason_holds_a_cut_body_and_never_raises_on_bytes() -> None:
    verdict = judge(Answer(status=422, body=b"\xff" * 5000), {}, NOW)
    assert "422" in verdict.detail
    assert len(verdict.detail) < 400


def test_a_redirect_says_that_it_is_not_followed() -> None:
    assert "not followed" in judge(Answer(status=302), {}, NOW).detail
