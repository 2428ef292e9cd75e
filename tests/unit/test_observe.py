"""What logs may show."""

import structlog

from service.observe import set_up_logs


def test_no_log_prints_what_stood_in_variables(capsys) -> None:
    for style in ("text", "json"):
        set_up_logs("info", style)
        secret = "hunter" + "2-of-a-message"
        try:
            raise ValueError("told")
        except ValueError:
            structlog.get_logger().exception("it broke", length=len(secret))
        said = capsys.readouterr().err
        assert "it broke" in said
        assert "ValueError: told" in said
        assert "hunter2-of-a-message" not in said


def test_logins_of_urls_are_left_out_of_logs_and_of_their_tracebacks(capsys) -> None:
    for style in ("text", "json"):
        set_up_logs("info", style)
        try:
            raise OSError("no way to amqp://anna:hunter2@host/")
        except OSError:
            structlog.get_logger().exception("at amqp://anna:hunter2@host/")
        said = capsys.readouterr().err
        assert "hunter2" not in said
        assert "amqp://***@host/" in said
