"""Senders of JSON of their own, read as the catalog says: JMESPath, https://jmespath.org/specification.html."""

from datetime import datetime

import jmespath
from pydantic import JsonValue

from analysis.alert_making import Draft, Naming, make_alert
from analysis.alert_reading import NotUnderstoodError, Reading, each_of, read_moment, shown, whole_of
from models.alert import MOST_ALERTS, Alert, AlertStatus, Normalised
from models.alert_sources import GenericSource
from models.severity import Severity


def from_generic(body: JsonValue, naming: Naming, name: str, spec: GenericSource) -> Normalised:
    """`name` is the source's in the catalog."""

    def read() -> Normalised:
        if spec.alerts is None:
            items: JsonValue = [body]
        else:
            items = _find(spec.alerts, body, "alerts")
        if not isinstance(items, list):
            raise NotUnderstoodError(f"alerts ({spec.alerts})", shown(items), "a list")
        if len(items) > MOST_ALERTS:
            raise NotUnderstoodError("alerts", f"a list of {len(items)}", f"a list of at most {MOST_ALERTS}")
        return each_of(items, lambda item, _: _alert(item, f"generic/{name}", spec, naming))

    return whole_of(read)


def _alert(item: JsonValue, source: str, spec: GenericSource, naming: Naming) -> Alert:
    found = _Found(item, spec)
    title = found.text("title")
    if not title:
        raise NotUnderstoodError(f"title ({spec.title})", "missing", "a text that is not empty")
    service, environment = found.text("service"), found.text("environment")
    status = found.text("status").strip().lower()
    cleared = status in {word.lower() for word in spec.cleared}
    labels = Reading({"labels": found.value("labels")}).texts("labels")
    identity = found.text("id") or f"{service}\n{environment}\n{title}"
    url = found.text("url")
    draft = Draft(
        source=source,
        identity=identity,
        source_id=found.text("id"),
        hint=title if not spec.id else f"{source.partition('/')[2]} {found.text('id')}"[:60],
        status=AlertStatus.CLEARED if cleared else AlertStatus.FIRED,
        service=service,
        environment=environment,
        title=title,
        description=found.text("description"),
        severity=_severity(found.text("severity"), spec),
        labels=labels,
        values=Reading({"values": found.value("values")}).numbers("values"),
        starts_at=_moment(found.value("starts_at"), spec),
        links=[("source", url)] if url else [],
    )
    return make_alert(draft, naming)


class _Found:
    """What the source's expressions find in one alert. Raises NotUnderstoodError."""

    def __init__(self, item: JsonValue, spec: GenericSource) -> None:
        self._item, self._spec = item, spec

    def value(self, name: str) -> JsonValue:
        expression: str | None = getattr(self._spec, name)
        return None if expression is None else _find(expression, self._item, name)

    def text(self, name: str) -> str:
        value = self.value(name)
        if isinstance(value, bool):
            return str(value).lower()
        if value is None or isinstance(value, str | int | float):
            return "" if value is None else str(value)
        raise NotUnderstoodError(f"{name} ({getattr(self._spec, name)})", shown(value), "a text")


def _find(expression: str, document: JsonValue, name: str) -> JsonValue:
    try:
        found: JsonValue = jmespath.search(expression, document)
    except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError) as error:
        # JMESPath's own errors are ValueErrors; its functions let through what Python says of their arguments.
        said = " ".join(str(error).split())[:100]
        raise NotUnderstoodError(f"{name} ({expression})", f"not to be found: {said}", "what can be found") from error
    return found


def _severity(word: str, spec: GenericSource) -> Severity | str:
    known = {said.lower(): severity for said, severity in spec.severities.items()}
    return known.get(word.strip().lower(), word)


def _moment(value: JsonValue, spec: GenericSource) -> datetime | None:
    return None if value is None or value == "" else read_moment(value, f"starts_at ({spec.starts_at})")
