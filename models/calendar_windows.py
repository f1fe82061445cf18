"""Times written in a catalog: once, from one date until another, or every week."""

from datetime import datetime, timedelta
from typing import ClassVar, Self
from zoneinfo import ZoneInfo

from pydantic import ConfigDict, Field, model_validator

from models.base import Payload, Written
from models.calendar_words import WEEK, Moment, Weekly, Zone, earliest, latest, span_of
from models.ids import Name
from models.mistakes import MistakeError


class CalendarWindow(Payload):
    """A time in which something of the catalog is in force: from `begins` on, until just before `ends`."""

    name: str
    begins: datetime
    ends: datetime

    def holds(self, at: datetime) -> bool:
        return self.begins <= at < self.ends


class CalendarSpec(Written):
    """A time, once or every week."""

    model_config = ConfigDict(serialize_by_alias=True, validate_by_name=True)

    kind: ClassVar[str] = "time"

    name: Name
    from_: Moment | None = Field(default=None, alias="from", description="when it begins")
    until: Moment | None = Field(default=None, description="when it ends")
    every: Weekly | None = Field(default=None, description="the part of every week, instead of from and until")
    zone: Zone = Field(default="UTC", description="whose clock the times are read from")

    @model_validator(mode="after")
    def _is_one_or_the_other(self) -> Self:
        if self.every is not None:
            if self.from_ is not None or self.until is not None:
                raise MistakeError("is either weekly, with every, or lasts from one date until another", at=("every",))
            return self
        if self.from_ is None or self.until is None:
            raise MistakeError(f"{self.kind} {self.name} needs from and until, or every")
        window = self._once(self.from_, self.until)
        if window.ends <= window.begins:
            raise MistakeError(f"it ends at {self.until}, before it begins at {self.from_}", at=("until",))
        return self

    def windows(self, since: datetime, until: datetime) -> tuple[CalendarWindow, ...]:
        """When it is in force between two instants, windows reaching beyond them included, the earliest first.

        Where clocks are turned in between, a window that begins or ends at an hour that occurs twice, or not at all,
        is taken at its longest.
        """
        if self.every is None:
            found = [self._once(self.from_, self.until)] if self.from_ and self.until else []
        else:
            found = self._weekly(self.every, since, until)
        return tuple(window for window in found if window.begins < until and since < window.ends)

    def _once(self, begins: str, ends: str) -> CalendarWindow:
        return self._window(datetime.fromisoformat(begins), datetime.fromisoformat(ends))

    def _weekly(self, every: str, since: datetime, until: datetime) -> list[CalendarWindow]:
        span = span_of(every)
        local = since.astimezone(ZoneInfo(self.zone)).date()
        first = local - timedelta(days=local.weekday()) - WEEK
        weeks = range((until - since) // WEEK + 4)
        dates = [first + week * WEEK + timedelta(days=span.day) for week in weeks]
        return [
            self._window(
                datetime.combine(date, span.begins),
                datetime.combine(date + timedelta(days=span.days), span.ends),
            )
            for date in dates
        ]

    def _window(self, begins: datetime, ends: datetime) -> CalendarWindow:
        zone = ZoneInfo(self.zone)
        return CalendarWindow(name=self.name, begins=earliest(begins, zone), ends=latest(ends, zone))
