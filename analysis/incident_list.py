"""The list of an incident's alerts: each once, whatever number of times it came."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime

from analysis.incident_changes import noted
from models.alert import Alert
from models.incident import MOST_TRACKED, IncidentState, TrackedAlert

NAMED = 5
"""Titles that one entry of the timeline holds."""

_TITLE_KEPT = 100
_MOST_RECORDED = 400_000
"""Bytes: all thousand of any that are not made to be large."""


def key_of(alert: Alert) -> str:
    return f"{alert.source}:{alert.dedupe_key}"


def named(titles: Sequence[str], number: int | None = None) -> str:
    """The first titles, and how many more of `number` there are."""
    shown, more = "; ".join(titles[:NAMED]), (len(titles) if number is None else number) - NAMED
    return f"{shown}; and {more} more" if more > 0 else shown


def tracked(state: IncidentState, fired_alerts: Sequence[Alert], now: datetime) -> IncidentState:
    """They fire. A new one takes the place of the one that cleared longest ago once the list is full."""
    alerts, untracked, fresh, again = dict(state.alerts), state.untracked, [], []
    leaving = _cleared_longest_ago(state.alerts)
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


def without_held(state: IncidentState, keys: Iterable[str]) -> IncidentState:
    """Those are not held any more, if they were."""
    leaving = set(keys)
    if leaving.isdisjoint(state.held):
        return state
    return state.model_copy(update={"held": {key: each for key, each in state.held.items() if key not in leaving}})


def pending_for(state: IncidentState) -> str:
    """What an incident that is pending waits for."""
    first = next(iter(state.held.values()), None)
    return f"pending: {first.hold.why}" if first else "pending: not enough alerts came yet"


def in_order(alerts: Iterable[TrackedAlert]) -> list[TrackedAlert]:
    """As people read them: what fires first, and of that the newest."""
    newest_first = sorted(alerts, key=lambda alert: alert.since, reverse=True)
    return sorted(newest_first, key=lambda alert: not alert.fires)


def to_record(state: IncidentState) -> tuple[TrackedAlert, ...]:
    """As many as a picture has room for."""
    kept: list[TrackedAlert] = []
    size = 0
    for alert in in_order(state.alerts.values()):
        size += len(alert.model_dump_json().encode())
        if size > _MOST_RECORDED:
            break
        kept.append(alert)
    return tuple(kept)


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
