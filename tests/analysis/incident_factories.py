"""Alerts and incidents with good defaults, for tests to vary."""

from datetime import datetime, timedelta

from models.alert import Alert, AlertStatus
from models.held import HeldAlert, HeldSignal, Hold
from models.ids import IncidentRef
from models.incident import AlertSignal, EscalationLevel, IncidentRequest, IncidentRules
from models.notification import ConsoleTarget, NotifyTarget
from models.severity import Severity
from tests.factories import WHEN

REF = IncidentRef(environment="local", service="shop", key="high-error-rate")


def an_alert(title: str = "error rate is high", key: str = "high-error-rate", **more: object) -> Alert:
    fields = {
        "source": "alertmanager",
        "dedupe_key": key,
        "status": AlertStatus.FIRED,
        "service": "shop",
        "environment": "local",
        "title": title,
        **more,
    }
    return Alert.model_validate(fields)


def a_level(*names: str, wait: timedelta | None = timedelta(minutes=10)) -> EscalationLevel:
    return EscalationLevel(notify=tuple(NotifyTarget(name=name, spec=ConsoleTarget()) for name in names), wait=wait)


def signalled(*alerts: Alert, request: str = "", severity: Severity | None = None) -> AlertSignal:
    return AlertSignal(alerts=alerts or (an_alert(),), request=request, severity=severity)


SILENCED = Hold(why="the silence move is in force")


def a_held(alert: Alert | None = None, hold: Hold = SILENCED, severity: Severity = Severity.SEV2) -> HeldAlert:
    alert = alert or an_alert()
    return HeldAlert(alert=alert, severity=severity, hold=hold, size=len(alert.model_dump_json()))


def holding(*alerts: HeldAlert, request: str = "") -> HeldSignal:
    return HeldSignal(alerts=alerts or (a_held(),), front_door="front-door/local", request=request)


def a_request(
    rules: IncidentRules | None = None, severity: Severity = Severity.SEV2, **more: object
) -> IncidentRequest:
    fields = {
        "ref": REF,
        "title": "error rate is high",
        "severity": severity,
        "rules": rules or IncidentRules(),
        **more,
    }
    return IncidentRequest.model_validate(fields)


def later(minutes: float) -> datetime:
    return WHEN + timedelta(minutes=minutes)
