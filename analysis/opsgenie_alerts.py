"""Opsgenie's outgoing webhooks: https://support.atlassian.com/opsgenie/docs/opsgenie-edge-connector-alert-action-data/.

Details are only sent when an alert is created, so tags like `service:shop` and the entity name the service.
"""

from pydantic import JsonValue

from analysis.alert_making import Draft, Naming, make_alert
from analysis.alert_reading import NothingToDoError, Reading, one
from models.alert import Alert, AlertStatus, Normalised

SOURCE = "opsgenie"
_ACTIONS = {"Create": AlertStatus.FIRED, "Close": AlertStatus.CLEARED, "Delete": AlertStatus.CLEARED}
_MOST_TAGS = 30


def from_opsgenie(body: JsonValue, naming: Naming) -> Normalised:
    return one(lambda: _alert(Reading.of(body), naming))


def _alert(body: Reading, naming: Naming) -> Alert:
    action = body.text("action")
    alert = body.child("alert")
    if action not in _ACTIONS:
        raise NothingToDoError(f"Opsgenie's {action[:100]} neither fires nor clears anything")
    tags = _tags(alert)
    entity = alert.text_or("entity")
    links = [("Opsgenie", f"https://app.opsgenie.com/alert/detail/{alert.text('alertId')}/details")]
    draft = Draft(
        source=SOURCE,
        identity=alert.text("alertId"),
        source_id=alert.text_or("alias") or alert.text("alertId"),
        hint=f"alert {alert.text('alertId')[:8]}",
        status=_ACTIONS[action],
        title=alert.text_or("message") or "an alert without a message",
        description=alert.text_or("description"),
        severity=alert.text_or("priority"),
        naming_labels={"service": entity, **tags},
        labels={**alert.texts("details"), **tags, **({"entity": entity} if entity else {})},
        starts_at=alert.moment("createdAt"),
        links=links,
    )
    return make_alert(draft, naming, alert.path)


def _tags(alert: Reading) -> dict[str, str]:
    """`key:value` is a label; a word alone is one with the value true."""
    tags = alert.value.get("tags")
    found: dict[str, str] = {}
    for tag in tags[:_MOST_TAGS] if isinstance(tags, list) else ():
        if isinstance(tag, str) and tag:
            key, separator, value = tag.partition(":")
            found[key.strip()[:128] or "tag"] = value.strip()[:1024] if separator else "true"
    return found
