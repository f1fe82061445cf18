"""Signals of a size that Temporal takes."""

from collections.abc import Iterator

from models.alert import Alert
from models.incident import AlertSignal

MOST_BYTES = 256 * 1024
"""Of the alerts in one signal, as JSON. Temporal warns at 512 KiB and refuses at 2 MiB; one alert takes up to 1.4."""


def parcels(signal: AlertSignal, most_bytes: int = MOST_BYTES) -> tuple[AlertSignal, ...]:
    """The same alerts in order, in as many signals as it takes. Each is a request of its own, known when it comes
    again.
    """
    groups = tuple(_groups(signal.alerts, most_bytes))
    if len(groups) <= 1:
        return (signal,)
    return tuple(
        signal.model_copy(update={"alerts": group, "request": f"{signal.request}.{number}" if signal.request else ""})
        for number, group in enumerate(groups)
    )


def _groups(alerts: tuple[Alert, ...], most_bytes: int) -> Iterator[tuple[Alert, ...]]:
    group: list[Alert] = []
    size = 0
    for alert in alerts:
        bytes_of = len(alert.model_dump_json())
        if group and size + bytes_of > most_bytes:
            yield tuple(group)
            group, size = [], 0
        group.append(alert)
        size += bytes_of
    if group:
        yield tuple(group)
