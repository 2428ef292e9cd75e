import logging

from structlog.testing import capture_logs

from service.foreign import EVERY, Foreign


def record(text, *arguments, level=logging.WARNING, name="aiokafka.client"):
    return logging.LogRecord(name, level, __file__, 1, text, arguments, None)


def test_a_library_that_repeats_itself_is_logged_once_in_ten_seconds():
    now = [100.0]
    handler = Foreign(lambda: now[0])
    with capture_logs() as said:
        for node in range(500):
            handler.handle(record("node %s is away", node))
        handler.handle(record("another thing"))
        now[0] += EVERY
        handler.handle(record("node %s is away", 7))
    assert [one["text"] for one in said] == ["node 0 is away", "another thing", "node 7 is away"]
    assert said[2]["left_out"] == 499


def test_errors_stay_errors_and_say_what_was_raised():
    handler = Foreign()
    failed = record("it failed", level=logging.ERROR, name="asyncio")
    failed.exc_info = (ValueError, ValueError("why"), None)
    with capture_logs() as said:
        handler.handle(failed)
    assert (said[0]["log_level"], said[0]["library"], said[0]["error"]) == (
        "error",
        "asyncio",
        "ValueError('why')",
    )


def test_what_is_below_a_warning_is_left_alone():
    assert Foreign().level == logging.WARNING
