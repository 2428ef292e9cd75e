import logging

from structlog.testing import capture_logs

from service.foreign import EVERY, MOST_LINES, Foreign


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


def test_a_library_that_says_something_else_each_time_is_cut_short_too():
    now = [100.0]
    handler = Foreign(lambda: now[0])
    with capture_logs() as said:
        for number in range(5_000):
            handler.handle(record(f"request {number} failed"))
        handler.handle(record("another library", name="asyncio"))
        assert len(said) == MOST_LINES + 2
        now[0] += EVERY
        handler.handle(record("request 7 failed"))
    assert said[-1]["text"] == "request 7 failed"


def test_a_line_with_the_wrong_arguments_is_logged_and_raises_nothing():
    with capture_logs() as said:
        Foreign().handle(record("%d of %d", "one"))
    assert said[0]["text"] == "%d of %d ('one',)"
