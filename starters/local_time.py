"""Instants as people read them, in their own time zone."""

from datetime import datetime


def local_clock(at: datetime) -> str:
    return f"{at.astimezone():%Y-%m-%d %H:%M:%S}"
