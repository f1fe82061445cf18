"""What a set of alert rules knows from one moment to the next: revised, watched, sent."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from analysis.alert_reading import NotUnderstoodError
from analysis.rule_alerts import alert_of
from analysis.rule_blindness import unwatched
from analysis.rule_revision import cleared_orphans, revised
from models.alert import Alert, AlertStatus
from models.alert_rules import (
    AlertChange,
    AlertsSent,
    AlertState,
    AlertsToSend,
    ReviseRules,
    RulesState,
    RulesWatched,
)

MOST_IN_A_BATCH = 100
SUPPRESSED_AGAIN = timedelta(minutes=5)
"""When an alert that opened nothing, by a silence say, is tried again while it fires."""


def with_revision(state: RulesState, order: ReviseRules, batch: str, now: datetime) -> RulesState:
    """By new rules, or none. What fires by a rule that is gone is cleared; `batch` begins the names of batches."""
    new = order.rules or state.rules.model_copy(update={"rules": ()})
    if new == state.rules and not state.removed:
        return state
    standing, changes = cleared_orphans(new, revised(state.rules, new, state.standing), now)
    changed = state.model_copy(
        update={
            "rules": new,
            "standing": standing,
            "removed": order.rules is None,
            "revised_at": now,
            "revised_by": order.by,
        }
    )
    return _with_changes(changed, changes, batch)


def with_watched(state: RulesState, watched: RulesWatched, batch: str) -> RulesState:
    return _with_changes(state.model_copy(update={"standing": watched.standing}), watched.changes, batch)


def with_unwatched(state: RulesState, why: str, batch: str, now: datetime) -> RulesState:
    """None of the rules is evaluated any more; people hear of it."""
    standing, changes = unwatched(state.rules, state.standing, why, now)
    return _with_changes(state.model_copy(update={"standing": standing}), changes, batch)


def with_sent(state: RulesState, sent: AlertsSent, now: datetime) -> RulesState:
    """The first batch is taken. What was suppressed is tried again soon."""
    first, *rest = state.outbox
    keys = {alert.dedupe_key for alert in first.alerts}
    fired = {alert.dedupe_key for alert in first.alerts if alert.status is AlertStatus.FIRED}
    suppressed = {key: why for key, why in state.suppressed.items() if key not in keys}
    suppressed |= {key: why for key, why in sent.suppressed.items() if key in fired}
    alerts = dict(state.standing.alerts)
    for key, alert in state.standing.alerts.items():
        if alert.state is AlertState.FIRING and sent.suppressed:
            change = AlertChange(alert=alert, status=AlertStatus.FIRED, at=now)
            made = _made(change, state)
            if made and made.dedupe_key in sent.suppressed:
                alerts[key] = alert.model_copy(update={"again_at": now + SUPPRESSED_AGAIN})
    standing = state.standing.model_copy(update={"alerts": alerts})
    return state.model_copy(update={"outbox": tuple(rest), "suppressed": suppressed, "standing": standing})


def _with_changes(state: RulesState, changes: Sequence[AlertChange], batch: str) -> RulesState:
    alerts = [made for change in changes if (made := _made(change, state))]
    batches = [alerts[first : first + MOST_IN_A_BATCH] for first in range(0, len(alerts), MOST_IN_A_BATCH)]
    new = tuple(
        AlertsToSend(
            request=f"{batch}/{state.sent + number}",
            set=state.rules.ref,
            alerts=tuple(each),
            routing=state.rules.routing,
        )
        for number, each in enumerate(batches, start=1)
    )
    return state.model_copy(update={"outbox": (*state.outbox, *new), "sent": state.sent + len(new)})


def _made(change: AlertChange, state: RulesState) -> Alert | None:
    """None for what was never an alert, which the evaluation keeps from firing."""
    try:
        return alert_of(change, state.rules)
    except NotUnderstoodError:
        return None
