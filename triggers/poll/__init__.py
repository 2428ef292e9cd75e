"""The poll source: an operation of a connection, called again and again, whose new items become messages.

`config` says what is polled, `answers` reads one answer (pure), `memory` is what is kept between two polls
(pure), `source` calls, waits and emits.
"""

from triggers.poll.config import PollConfig
from triggers.poll.source import PollSource

__all__ = ["PollConfig", "PollSource"]
