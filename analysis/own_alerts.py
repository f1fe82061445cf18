"""Our own form, as `POST /alerts` takes it: one alert, or `{"alerts": [...]}`."""

from pydantic import JsonValue

from analysis.alert_making import Draft, Naming, make_alert
from analysis.alert_reading import NotUnderstoodError, Reading, each_of, shown, whole_of
from models.alert import Alert, AlertStatus, Normalised

SOURCE = "api"
KEYS = (
    "id", "status", "title", "description", "service", "environment", "severity", "labels", "annotations", "values",
    "starts_at", "ends_at", "url",
)  # fmt: skip
"""Of one alert; only `title` must be there. `id` is the same when it fires and when it clears."""


def from_own(body: JsonValue, naming: Naming) -> Normalised:
    def read() -> Normalised:
        reading = Reading.of(body)
        items = reading.items("alerts") if "alerts" in reading.value else [body]
        single = "alerts" not in reading.value
        return each_of(items, lambda item, index: _alert(item, "" if single else f"alerts[{index}]", naming))

    return whole_of(read)


def _alert(item: JsonValue, path: str, naming: Naming) -> Alert:
    reading = Reading.of(item, path)
    for key in reading.value:
        if key not in KEYS:
            raise NotUnderstoodError(reading.at(key[:100]), "a key that is not known", ", ".join(KEYS))
    status = reading.one_of("status", tuple(AlertStatus)) if "status" in reading.value else AlertStatus.FIRED
    title, service, environment = reading.text("title"), reading.text_or("service"), reading.text_or("environment")
    severity = reading.text_or("severity")
    identity = reading.text_or("id")
    draft = Draft(
        source=SOURCE,
        identity=identity or f"{service}\n{environment}\n{title}",
        source_id=identity,
        hint=identity or title,
        status=AlertStatus(status),
        service=service,
        environment=environment,
        title=title,
        description=reading.text_or("description"),
        severity=severity,
        labels=reading.texts("labels"),
        annotations=reading.texts("annotations"),
        values=reading.numbers("values"),
        starts_at=reading.moment("starts_at"),
        ends_at=reading.moment("ends_at"),
        links=[("source", reading.text_or("url"))],
    )
    _check_values(reading)
    return make_alert(draft, naming, path)


def _check_values(reading: Reading) -> None:
    numbers = reading.numbers("values")
    for name, value in reading.optional("values").value.items():
        if name not in numbers:
            raise NotUnderstoodError(f"{reading.at('values')}.{name[:100]}", shown(value), "a finite number")
