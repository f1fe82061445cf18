"""PagerDuty's webhooks, version 3: https://developer.pagerduty.com/docs/webhooks-overview."""

from pydantic import JsonValue

from analysis.alert_making import Draft, Naming, make_alert
from analysis.alert_reading import NothingToDoError, Reading, one
from models.alert import Alert, AlertStatus, Normalised

SOURCE = "pagerduty"
_EVENTS = {
    "incident.triggered": AlertStatus.FIRED,
    "incident.reopened": AlertStatus.FIRED,
    "incident.resolved": AlertStatus.CLEARED,
}
_URGENCIES = {"high": "high", "low": "low"}


def from_pagerduty(body: JsonValue, naming: Naming) -> Normalised:
    """One event of an incident there; its service's name is the service."""
    return one(lambda: _alert(Reading.of(body), naming))


def _alert(body: Reading, naming: Naming) -> Alert:
    event = body.child("event")
    kind = event.text("event_type")
    if kind not in _EVENTS:
        raise NothingToDoError(f"PagerDuty's {kind} neither fires nor clears anything")
    incident = event.child("data")
    service = incident.optional("service").text_or("summary")
    priority = incident.optional("priority").text_or("summary")
    labels = {
        "service": service,
        "urgency": incident.text_or("urgency"),
        "priority": priority,
        "incident_key": incident.text_or("incident_key")[:1024],
    }
    draft = Draft(
        source=SOURCE,
        identity=incident.text("id"),
        source_id=incident.text("id"),
        hint=f"incident {incident.text('id')}",
        status=_EVENTS[kind],
        title=incident.text_or("title") or incident.text_or("summary") or "an incident without a title",
        severity=priority or _URGENCIES.get(incident.text_or("urgency"), ""),
        labels={key: text for key, text in labels.items() if text},
        starts_at=incident.moment("created_at") or event.moment("occurred_at"),
        ends_at=event.moment("occurred_at") if kind == "incident.resolved" else None,
        links=[("PagerDuty", incident.text_or("html_url"))],
    )
    return make_alert(draft, naming, incident.path)
