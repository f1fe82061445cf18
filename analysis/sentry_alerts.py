"""Sentry's webhooks: https://docs.sentry.io/organization/integrations/integration-platform/webhooks/.

All that is said of one issue has the key of that issue, so that `issue.resolved` closes what an issue alert opened. For
the same reason its project is the service, and its environment is a label only: what resolves an issue names neither
tags nor environment.
"""

import re

from pydantic import JsonValue

from analysis.alert_making import Draft, Naming, make_alert
from analysis.alert_reading import NothingToDoError, NotUnderstoodError, Reading, one, shown
from models.alert import Alert, AlertStatus, Normalised

SOURCE = "sentry"
RESOURCES = ("event_alert", "metric_alert", "issue")
"""Values of the header Sentry-Hook-Resource that may fire or clear something."""

_FIRED, _CLEARED = AlertStatus.FIRED, AlertStatus.CLEARED
_METRIC_ACTIONS = {"critical": _FIRED, "warning": _FIRED, "resolved": _CLEARED}
_ISSUE_ACTIONS = {
    "created": _FIRED,
    "unresolved": _FIRED,
    "resolved": _CLEARED,
    "archived": _CLEARED,
    "ignored": _CLEARED,
}
_PROJECT = re.compile(r"/projects/[^/]+/([^/]+)/")


def from_sentry(body: JsonValue, naming: Naming, resource: str = "") -> Normalised:
    """`resource` is the header Sentry-Hook-Resource; without it the body itself tells, or it is the legacy form."""
    return one(lambda: _alert(Reading.of(body), resource, naming))


def _alert(body: Reading, resource: str, naming: Naming) -> Alert:
    match resource or _resource_of(body):
        case "event_alert":
            return _event_alert(body, naming)
        case "metric_alert":
            return _metric_alert(body, naming)
        case "issue":
            return _issue(body, naming)
        case "legacy":
            return _legacy(body, naming)
        case "error" | "comment" | "installation" | "seer" | "preprod_artifact" as other:
            raise NothingToDoError(f"Sentry's {other} webhooks neither fire nor clear anything")
        case other:
            raise NotUnderstoodError("Sentry-Hook-Resource", shown(other), " or ".join(RESOURCES))


def _resource_of(body: Reading) -> str:
    data = body.value.get("data")
    if isinstance(data, dict):
        kinds = {"metric_alert": "metric_alert", "issue": "issue", "event": "event_alert"}
        return next((kind for key, kind in kinds.items() if key in data), "event_alert")
    return "legacy"


def _event_alert(body: Reading, naming: Naming) -> Alert:
    body.one_of("action", ("triggered",))
    data = body.child("data")
    event = data.child("event")
    project = event.text_or("project_slug") or _project_in(event.text_or("url")) or event.text_or("project_name")
    rule = data.text_or("triggered_rule") or data.optional("issue_alert").text_or("title")
    labels = {"project": project, "level": event.text_or("level"), "environment": event.text_or("environment")}
    draft = Draft(
        source=SOURCE,
        identity=_issue_identity(_issue_id(event)),
        source_id=_issue_id(event),
        hint=f"issue {_issue_id(event)}",
        status=_FIRED,
        service=project,
        naming_labels={},
        title=event.text_or("title") or event.text_or("message") or "an issue without a title",
        description=" ".join(part for part in (event.text_or("culprit"), rule and f"(rule {rule})") if part),
        severity=event.text_or("level"),
        labels=_some({**_tags(event), **labels}),
        annotations=_some({"rule": rule, "culprit": event.text_or("culprit")}),
        starts_at=event.moment("datetime"),
        links=[("Sentry", event.text_or("web_url"))],
    )
    return make_alert(draft, naming, event.path)


def _issue(body: Reading, naming: Naming) -> Alert:
    action = body.text("action")
    if action not in _ISSUE_ACTIONS:
        raise NothingToDoError(f"Sentry's issue.{action} neither fires nor clears anything")
    issue = body.child("data").child("issue")
    project = issue.optional("project")
    slug = project.text_or("slug") or project.text_or("name")
    draft = Draft(
        source=SOURCE,
        identity=_issue_identity(issue.text("id")),
        source_id=issue.text("id"),
        hint=f"issue {issue.text('id')}",
        status=_ISSUE_ACTIONS[action],
        service=slug,
        naming_labels={},
        title=issue.text_or("title") or issue.text_or("culprit") or "an issue without a title",
        description=issue.text_or("culprit"),
        severity=issue.text_or("level"),
        labels=_some({"project": slug, "level": issue.text_or("level")}),
        annotations=_some({"short_id": issue.text_or("shortId")}),
        starts_at=issue.moment("firstSeen"),
        links=[("Sentry", issue.text_or("web_url") or issue.text_or("permalink"))],
    )
    return make_alert(draft, naming, issue.path)


def _metric_alert(body: Reading, naming: Naming) -> Alert:
    action = body.one_of("action", tuple(_METRIC_ACTIONS))
    data = body.child("data")
    alert = data.child("metric_alert")
    rule = alert.optional("alert_rule")
    identity = rule.text_or("id") or alert.text("id")
    project = _first_text(alert.value.get("projects")) or _first_text(rule.value.get("projects"))
    draft = Draft(
        source=SOURCE,
        identity=f"metric alert {identity}",
        source_id=identity,
        hint=f"metric {rule.text_or('name') or identity}",
        status=_METRIC_ACTIONS[action],
        service=project,
        naming_labels={},
        title=rule.text_or("name") or alert.text_or("title") or data.text_or("description_title") or "a metric alert",
        description=data.text_or("description_text"),
        severity="" if action == "resolved" else action,
        labels=_some({"project": project, "environment": rule.text_or("environment")}),
        starts_at=alert.moment("date_started"),
        ends_at=alert.moment("date_closed"),
        links=[("Sentry", data.text_or("web_url"))],
    )
    return make_alert(draft, naming, alert.path)


def _legacy(body: Reading, naming: Naming) -> Alert:
    """The webhooks plugin's body, whose id is the issue's; it only ever fires."""
    issue, project = body.text("id"), body.text_or("project") or body.text_or("project_name")
    event = body.optional("event")
    labels = {"project": project, "level": body.text_or("level"), "environment": event.text_or("environment")}
    draft = Draft(
        source=SOURCE,
        identity=_issue_identity(issue),
        source_id=issue,
        hint=f"issue {issue}",
        status=_FIRED,
        service=project,
        naming_labels={},
        title=event.text_or("title")
        or body.text_or("message")
        or body.text_or("culprit")
        or "an issue without a title",
        description=body.text_or("culprit"),
        severity=body.text_or("level"),
        labels=_some({**_tags(event), **labels}),
        starts_at=event.moment("datetime"),
        links=[("Sentry", body.text_or("url"))],
    )
    return make_alert(draft, naming)


def _issue_identity(issue: str) -> str:
    return f"issue {issue}"


def _issue_id(event: Reading) -> str:
    return event.text_or("issue_id") or event.text("groupID")


def _project_in(url: str) -> str:
    found = _PROJECT.search(url)
    return found[1] if found else ""


def _tags(event: Reading) -> dict[str, str]:
    """Sentry writes tags as pairs. What is no pair of texts is left out: tags are not what an issue is known by."""
    pairs = event.value.get("tags")
    if not isinstance(pairs, list):
        return {}
    return {
        pair[0][:128]: pair[1][:1024]
        for pair in pairs[:40]
        if isinstance(pair, list) and len(pair) == 2 and all(isinstance(each, str) for each in pair)  # noqa: PLR2004
        if isinstance(pair[0], str) and isinstance(pair[1], str) and pair[0]
    }


def _first_text(value: JsonValue) -> str:
    return value[0] if isinstance(value, list) and value and isinstance(value[0], str) else ""


def _some(texts: dict[str, str]) -> dict[str, str]:
    return {key: text for key, text in texts.items() if text}
