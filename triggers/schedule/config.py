"""The configuration of a schedule source. Pure but for the zone database."""

import zoneinfo
from datetime import timedelta
from difflib import get_close_matches
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import AfterValidator, ConfigDict, Field, model_validator

from triggers.base import Finding, SourceConfig
from triggers.quantities import Duration
from triggers.schedule.cron import Cron
from triggers.schedule.misfires import Misfire
from triggers.schedule.times import CronTimes, EveryTimes, Times

UTC: Final = "UTC"
LONGEST: Final = timedelta(days=366)


def _cron(value: str) -> str:
    Cron(value)
    return value


def _zone(value: str) -> str:
    try:
        zoneinfo.ZoneInfo(value)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        near = get_close_matches(value, sorted(zoneinfo.available_timezones()), n=1)
        hint = f"did you mean {near[0]}?" if near else "write a name like Europe/Rome"
        raise ValueError(f"there is no such time zone; {hint}") from None
    return value


def _interval(value: timedelta) -> timedelta:
    if not timedelta(seconds=1) <= value <= LONGEST or value.microseconds:
        raise ValueError("an interval is whole seconds, 1s to 366d")
    return value


class ScheduleConfig(SourceConfig):
    """A clock."""

    model_config = ConfigDict(hide_input_in_errors=True)

    expressions: ClassVar[tuple[str, ...]] = ("type", "subject")

    kind: Literal["schedule"] = Field(description="A clock.")
    cron: Annotated[str, AfterValidator(_cron)] | None = Field(
        default=None,
        description="Minute, hour, day of the month, month, day of the week; six fields: the second first. "
        "Or @yearly, @monthly, @weekly, @daily, @hourly. Where both kinds of day are given, either will do.",
        examples=["0 7 * * 1-5"],
    )
    every: Annotated[Duration, AfterValidator(_interval)] | None = Field(
        default=None, description="Instead of cron: so often, counted from 1970-01-01T00:00:00Z."
    )
    time_zone: Annotated[str, AfterValidator(_zone)] = Field(
        default=UTC, description="Whose wall clock `cron` means.", examples=["Europe/Rome"]
    )
    misfire: Misfire = Field(
        default="once",
        description="What to do about times that passed while nothing ran: nothing (skip), one message for "
        "the latest (once), or one for each of the latest 1,000 (all).",
    )
    data: Any = Field(default=None, description="What the message carries: any JSON value.")
    type: str | None = Field(
        default=None, min_length=1, description="CEL: the message's type. Absent: schedule.tick."
    )
    subject: str | None = Field(default=None, min_length=1, description="CEL: the message's subject.")

    @model_validator(mode="after")
    def _one_clock(self) -> "ScheduleConfig":
        if (self.cron is None) == (self.every is None):
            raise ValueError("give either `cron` or `every`")
        if self.every is not None and self.time_zone != UTC:
            raise ValueError("`every` knows no time zone: use cron, or leave time_zone out")
        return self

    @property
    def clock(self) -> str:
        """What tells one schedule from another: a position belongs to the clock that it was made with."""
        every = f"{self.every.total_seconds():.0f}s" if self.every is not None else ""
        return f"{self.cron or every} {self.time_zone}"

    def times(self) -> Times:
        """Return when it is due."""
        if self.every is not None:
            return EveryTimes(int(self.every.total_seconds()))
        return CronTimes(Cron(self.cron or ""), zoneinfo.ZoneInfo(self.time_zone))


def review(config: ScheduleConfig, now: int) -> list[Finding]:
    """Return what is allowed and probably not meant."""
    if next(config.times().after(now), None) is not None:
        return []
    return [
        Finding(
            severity="warning",
            code="never-fires",
            message=f"{config.cron} never comes (looked 50 years ahead)",
            fix="mend the day of the month or the month",
            field="cron",
        )
    ]
