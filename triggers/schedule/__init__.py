"""The schedule source: a clock. Messages at the times of a cron expression, or every so often.

`cron` reads expressions and says what is wrong with them, `times` turns them into instants (both pure),
`misfires` decides what becomes of times that passed (pure), `source` waits and emits.
"""

from triggers.schedule.config import ScheduleConfig
from triggers.schedule.source import ScheduleSource

__all__ = ["ScheduleConfig", "ScheduleSource"]
