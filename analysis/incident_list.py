"""The list of an incident's alerts: each once, whatever number of times it came."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from analysis.incident_changes import noted
from models.alert import Alert
from models.incident import MOST_TRACKED, IncidentState, TrackedAlert

NAMED = 5
"""Titles that one entry of the timeline holds."""

_TITLE_KEPT = 100


def key_of(alert: Alert) -> str:
    return f"{alert.source}:{alert.dedupe_key}"


def named(titles: Sequence[str], number: int | None = None) -> str:
    """The first titles, and how many more of `number` there are."""
    shown, more = "; ".join(titles[:NAMED]), (len(titles) if number is None else number) - NAMED
    return f"{shown}; and {more} more" if more > 0 else shown


def tracked(state: IncidentState, fired_alerts: Sequence[Alert], now: datetime) -> IncidentState:
    """They fire. A new one takes the place of the one that cleared longest ago once the list is full."""
    alerts, untracked, fresh, again = dict(state.alerts), state.untracked, [], []
    leaving = _cleared_longest_ago(state.alerts) if state.mended else iter(())
    for alert in fired_alerts:
        key = key_of(alert)
        known = alerts.get(key)
        if known:
            if not known.fires:
                again.append(alert.title)
            since = known.since if known.fires else now
            alerts[key] = known.model_copy(update={"fires": True, "since": since, "count": known.count + 1})
        elif len(alerts) < MOST_TRACKED or _made_room(alerts, leaving):
            fresh.append(alert.title)
            alerts[key] = TrackedAlert(
                title=alert.title[:_TITLE_KEPT], source=alert.source, service=alert.service, fires=True, since=now
            )
        else:
            untracked += 1
    if untracked and not state.untracked:
        state = noted(
            state, now, f"more than {MOST_TRACKED} different alerts: further ones are counted, and a person resolves it"
        )
    count = state.count + len(fired_alerts)
    state = state.model_copy(update={"alerts": alerts, "untracked": untracked, "count": count})
    if fresh:
        state = noted(state, now, f"fired: {named(fresh)}")
    return noted(state, now, f"fired again: {named(again)}") if again else state


def _cleared_longest_ago(alerts: Mapping[str, TrackedAlert]) -> Iterator[str]:
    """Sorted once it is asked for, which it is only by a full list."""
    yield from sorted((key for key, alert in alerts.items() if not alert.fires), key=lambda key: alerts[key].since)


def _made_room(alerts: dict[str, TrackedAlert], leaving: Iterator[str]) -> bool:
    """Forget one of those that cleared, unless it fires again by now."""
    key = next((key for key in leaving if not alerts[key].fires), None)
    if key is None:
        return False
    del alerts[key]
    return True
