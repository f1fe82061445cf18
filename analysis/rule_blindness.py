"""The alert that rules cannot be evaluated."""

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime

from models.alert import AlertStatus
from models.alert_rules import ALERT_NAME, BLIND, ActiveAlert, AlertChange, AlertState, RuleSet, RuleStanding


def blindness(rules: RuleSet, standing: RuleStanding, now: datetime) -> tuple[RuleStanding, list[AlertChange]]:
    """It fires once a rule could not be evaluated for so long, and clears when all can."""
    mine = {key: alert for key, alert in standing.alerts.items() if alert.rule == BLIND}
    if rules.blind_after is None and not mine:
        return standing, []
    worst = min(standing.troubles.items(), key=lambda item: (item[1].since, item[0]), default=None)
    fires = worst is not None and rules.blind_after is not None and now - worst[1].since >= rules.blind_after
    if bool(mine) == fires:
        return standing, []
    if not fires or worst is None:
        others = {key: alert for key, alert in standing.alerts.items() if alert.rule != BLIND}
        changes = [AlertChange(alert=alert, status=AlertStatus.CLEARED, at=now) for alert in mine.values()]
        return standing.model_copy(update={"alerts": others}), changes
    return _fired(_blind(rules, f"{worst[0]}: {worst[1].text}", worst[1].since, now), standing, now)


def unwatched(
    rules: RuleSet, standing: RuleStanding, why: str, now: datetime
) -> tuple[RuleStanding, list[AlertChange]]:
    """The watch itself came to an end, and none of the rules is evaluated: it fires at once, and is said again like all
    that fires. The next look of a watch that works clears it.
    """
    if rules.blind_after is None:
        return standing, []
    mine = next((alert for alert in standing.alerts.values() if alert.rule == BLIND), None)
    if mine and (mine.again_at is None or now < mine.again_at):
        return standing, []
    alert = _blind(rules, why, mine.since if mine else now, now)
    return _fired(alert.model_copy(update={"again_at": now + rules.again}), standing, now)


def key_of(rule: str, labels: Mapping[str, str]) -> str:
    """Of an alert among those of its set."""
    return hashlib.sha256(json.dumps([rule, *sorted(labels.items())]).encode()).hexdigest()[:16]


def _blind(rules: RuleSet, why: str, since: datetime, now: datetime) -> ActiveAlert:
    return ActiveAlert(
        rule=BLIND,
        labels={ALERT_NAME: BLIND, "rules": rules.ref.service},
        annotations={
            "summary": f"alert rules of {rules.ref.service} are not evaluated, or not all: something may fail unheard",
            "description": why,
        },
        state=AlertState.FIRING,
        since=since,
        known_at=now,
        fired_at=now,
    )


def _fired(alert: ActiveAlert, standing: RuleStanding, now: datetime) -> tuple[RuleStanding, list[AlertChange]]:
    others = {key: each for key, each in standing.alerts.items() if each.rule != BLIND}
    standing = standing.model_copy(update={"alerts": {**others, key_of(BLIND, alert.labels): alert}})
    return standing, [AlertChange(alert=alert, status=AlertStatus.FIRED, at=now)]
