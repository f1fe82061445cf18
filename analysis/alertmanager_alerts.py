"""Alertmanager's webhook, version 4: https://prometheus.io/docs/alerting/latest/configuration/#webhook_config."""

from pydantic import JsonValue

from analysis.alert_making import Draft, Naming, make_alert
from analysis.alert_reading import NotUnderstoodError, Reading, each_of, shown, whole_of
from models.alert import Alert, AlertStatus, IgnoredAlert, Normalised

SOURCE = "alertmanager"
_VERSION = "4"
STATUSES = {"firing": AlertStatus.FIRED, "resolved": AlertStatus.CLEARED}


def from_alertmanager(body: JsonValue, naming: Naming) -> Normalised:
    """Every alert of a group."""

    def read() -> Normalised:
        reading = Reading.of(body)
        if reading.text_or("version") != _VERSION:
            raise NotUnderstoodError("version", shown(reading.value.get("version")), f"'{_VERSION}'")
        found = each_of(reading.items("alerts"), lambda item, index: one_alert(item, index, SOURCE, naming))
        return with_truncated(found, reading, "max_alerts")

    return whole_of(read)


def with_truncated(found: Normalised, reading: Reading, setting: str) -> Normalised:
    """Say that the sender left some out, where it says so itself."""
    left_out = reading.value.get("truncatedAlerts")
    if not isinstance(left_out, int) or left_out <= 0:
        return found
    note = IgnoredAlert(why=f"the sender left {left_out} alerts of the group out; raise its {setting}")
    return found.model_copy(update={"ignored": (*found.ignored, note)})


def one_alert(item: JsonValue, index: int, source: str, naming: Naming) -> Alert:
    """One of a list in the form that Alertmanager and Grafana share. Raises NotUnderstoodError."""
    reading = Reading.of(item, f"alerts[{index}]")
    status = STATUSES[reading.one_of("status", tuple(STATUSES))]
    labels, annotations = reading.texts("labels"), reading.texts("annotations")
    name = labels.get("alertname", "")
    if not labels:
        raise NotUnderstoodError(reading.at("labels"), shown(reading.value.get("labels")), "an object of labels")
    identity = reading.text_or("fingerprint") or "\n".join(f"{key}={labels[key]}" for key in sorted(labels))
    links = [
        ("runbook", annotations.get("runbook_url", "")),
        ("dashboard", reading.text_or("dashboardURL")),
        ("panel", reading.text_or("panelURL")),
        ("source", reading.text_or("generatorURL")),
    ]
    draft = Draft(
        source=source,
        identity=identity,
        source_id=reading.text_or("fingerprint"),
        hint=name,
        status=status,
        title=annotations.get("summary") or name or annotations.get("description") or "an alert without a name",
        description=annotations.get("description") or annotations.get("message", ""),
        labels=labels,
        annotations=annotations,
        values=reading.numbers("values"),
        starts_at=reading.moment("startsAt"),
        ends_at=reading.moment("endsAt"),
        links=links,
    )
    return make_alert(draft, naming, reading.path)
