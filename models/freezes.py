"""Freezes of the catalog: times at which nothing new is rolled out."""

from typing import ClassVar

from pydantic import Field

from models.calendar_windows import CalendarSpec, CalendarWindow
from models.ids import Name

FreezeWindow = CalendarWindow
"""Where clocks are turned, a window is taken at its longest: in doubt it is frozen."""


class FreezeSpec(CalendarSpec):
    """A time without rollouts forward, chaos experiments and scaling: once, or every week."""

    kind: ClassVar[str] = "freeze"

    services: tuple[Name, ...] = Field(default=(), description="those it concerns; all without")
