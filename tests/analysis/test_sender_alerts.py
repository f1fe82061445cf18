"""What senders say, as they say it, becomes alerts."""

import json
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import JsonValue

from analysis.alert_making import Naming
from analysis.alertmanager_alerts import from_alertmanager
from analysis.generic_alerts import from_generic
from analysis.grafana_alerts import from_grafana
from analysis.opsgenie_alerts import from_opsgenie
from analysis.own_alerts import from_own
from analysis.pagerduty_alerts import from_pagerduty
from analysis.sentry_alerts import from_sentry
from models.alert import MOST_ALERTS, Alert, AlertStatus, Normalised
from models.alert_sources import GenericSource
from models.severity import Severity

NAMING = Naming(environment="production")
UPTIME = GenericSource(
    alerts="checks",
    id="id",
    title="name",
    status="state",
    severity="level",
    severities={"bad": Severity.SEV2},
    service="app",
    values="measured",
    labels="tags",
    starts_at="since",
    url="link",
)
FIRED, CLEARED = AlertStatus.FIRED, AlertStatus.CLEARED


def firing(**changes: JsonValue) -> dict[str, JsonValue]:
    return {
        "status": "firing",
        "labels": {"alertname": "HighErrors", "service": "Shop_API", "severity": "critical"},
        "annotations": {"summary": "too many errors", "runbook_url": "https://run.book/errors"},
        "startsAt": "2026-01-01T10:00:00.123456789Z",
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "http://prometheus:9090/graph",
        "fingerprint": "5ef77f1f8a3ecfcd",
        **changes,
    }


def group(*alerts: JsonValue, **more: JsonValue) -> dict[str, JsonValue]:
    return {"version": "4", "groupKey": "{}", "status": "firing", "alerts": list(alerts), **more}


def one(found: Normalised) -> Alert:
    assert found.problems == ()
    (alert,) = found.alerts
    return alert


def test_alertmanagers_alert_is_taken_whole() -> None:
    alert = one(from_alertmanager(group(firing()), NAMING))

    assert (alert.service, alert.environment, alert.severity) == ("shop-api", "production", Severity.SEV1)
    assert (alert.title, alert.status) == ("too many errors", FIRED)
    assert alert.ends_at is None
    assert [link.title for link in alert.links] == ["runbook", "source"]


def test_what_alertmanager_resolves_has_the_key_of_what_fired() -> None:
    fired = one(from_alertmanager(group(firing()), NAMING))
    cleared = one(from_alertmanager(group(firing(status="resolved", endsAt="2026-01-01T11:00:00Z")), NAMING))

    assert (cleared.dedupe_key, cleared.status) == (fired.dedupe_key, CLEARED)


def test_one_bad_alert_of_a_batch_takes_no_other_with_it() -> None:
    bad: list[JsonValue] = [
        {**firing(), "status": "exploded"},
        {**firing(), "labels": {"a": "x" * 1_000_000}},
        {**firing(), "labels": {}},
        {**firing(), "startsAt": "yesterday"},
        "nonsense",
        None,
    ]
    found = from_alertmanager(group(firing(), *bad, firing(fingerprint="another")), NAMING)

    assert len(found.alerts) == 2
    assert [problem.index for problem in found.problems] == [1, 2, 3, 4, 5, 6]
    assert all(problem.field and problem.found and problem.allowed for problem in found.problems)
    assert max(len(str(problem)) for problem in found.problems) < 500
    assert str(found.problems[0]) == "alert 1: alerts[1].status is 'exploded'; allowed is firing or resolved"


def test_alerts_that_alertmanager_left_out_are_told() -> None:
    found = from_alertmanager(group(firing(), truncatedAlerts=7), NAMING)

    assert [ignored.why for ignored in found.ignored] == [
        "the sender left 7 alerts of the group out; raise its max_alerts"
    ]


def test_grafanas_values_are_what_was_measured() -> None:
    body: JsonValue = {"receiver": "holdfast", "alerts": [firing(values={"error_rate": 0.07, "B": 1, "C": None})]}
    alert = one(from_grafana(body, NAMING))

    assert (alert.source, alert.values) == ("grafana", {"error_rate": 0.07, "B": 1.0})


EVENT_ALERT: JsonValue = {
    "action": "triggered",
    "data": {
        "event": {
            "title": "ZeroDivisionError",
            "issue_id": "1170820242",
            "url": "https://sentry.io/api/0/projects/acme/front-end/events/e4874d664c3540c1a32eab185f12c5ab/",
            "web_url": "https://sentry.io/organizations/acme/issues/1170820242/",
            "environment": "staging",
            "level": "error",
            "datetime": "2019-08-19T21:06:17.677000Z",
            "tags": [["browser", "Chrome"], ["service", "not-this"], "odd"],
        },
        "triggered_rule": "Very Important Alert Rule!",
    },
}


def issue(action: str) -> JsonValue:
    described: JsonValue = {
        "id": "1170820242",
        "title": "ZeroDivisionError",
        "level": "error",
        "project": {"slug": "front-end"},
    }
    return {"action": action, "data": {"issue": described}}


LEGACY: JsonValue = {
    "id": "1170820242",
    "project": "front-end",
    "message": "ZeroDivisionError",
    "level": "error",
    "url": "https://sentry.io/organizations/acme/issues/1170820242/",
    "event": {"title": "ZeroDivisionError", "tags": [["browser", "Chrome"]]},
}


def test_sentrys_issue_resolved_closes_what_its_alert_opened_in_every_form() -> None:
    said = [
        from_sentry(EVENT_ALERT, NAMING, "event_alert"),
        from_sentry(EVENT_ALERT, NAMING),
        from_sentry(LEGACY, NAMING),
        from_sentry(issue("created"), NAMING, "issue"),
        from_sentry(issue("resolved"), NAMING, "issue"),
    ]
    alerts = [one(each) for each in said]

    assert {(alert.dedupe_key, alert.service, alert.environment) for alert in alerts} == {
        (alerts[0].dedupe_key, "front-end", "production")
    }
    assert [alert.status for alert in alerts] == [FIRED, FIRED, FIRED, FIRED, CLEARED]
    assert alerts[0].labels["environment"] == "staging"


def test_sentrys_metric_alert_fires_and_clears() -> None:
    def body(action: str) -> JsonValue:
        rule: JsonValue = {"id": "7", "name": "Too many errors", "projects": ["front-end"]}
        return {"action": action, "data": {"metric_alert": {"id": "99", "alert_rule": rule}}}

    critical, resolved = (one(from_sentry(body(action), NAMING, "metric_alert")) for action in ("critical", "resolved"))
    assert (critical.status, critical.severity, resolved.status) == (FIRED, Severity.SEV1, CLEARED)
    assert critical.dedupe_key == resolved.dedupe_key


def test_what_sentry_says_besides_is_ignored_with_why() -> None:
    for said in (from_sentry(issue("assigned"), NAMING, "issue"), from_sentry({}, NAMING, "installation")):
        assert not said.alerts
        assert not said.problems
        assert "neither fire" in said.ignored[0].why.replace("fires", "fire")


def test_pagerdutys_incident_fires_and_clears() -> None:
    def body(kind: str) -> JsonValue:
        incident: JsonValue = {
            "id": "PGR0VU2",
            "number": 2,
            "title": "A little bump in the road",
            "service": {"summary": "API Service"},
            "priority": {"summary": "P1"},
            "html_url": "https://acme.pagerduty.com/incidents/PGR0VU2",
        }
        return {"event": {"event_type": kind, "occurred_at": "2020-10-02T18:45:22Z", "data": incident}}

    fired, cleared = (one(from_pagerduty(body(f"incident.{kind}"), NAMING)) for kind in ("triggered", "resolved"))
    assert (fired.service, fired.severity, fired.dedupe_key) == ("api-service", Severity.SEV1, cleared.dedupe_key)
    assert (fired.status, cleared.status) == (FIRED, CLEARED)
    assert from_pagerduty(body("incident.annotated"), NAMING).ignored


def test_opsgenies_alert_fires_and_clears() -> None:
    def body(action: str, **more: JsonValue) -> JsonValue:
        alert: JsonValue = {
            "alertId": "052652ac-5d1c-464a-812a-7dd18bbfba8c",
            "message": "disk is full",
            "tags": ["service:Shop", "urgent"],
            "priority": "P2",
            "createdAt": 1420452191104,
            **more,
        }
        return {"action": action, "alert": alert, "integrationName": "Holdfast"}

    fired = one(from_opsgenie(body("Create", details={"service": "not-this", "disk": "sda"}), NAMING))
    cleared = one(from_opsgenie(body("Close"), NAMING))
    assert (fired.service, fired.severity) == ("shop", Severity.SEV2)
    assert (fired.dedupe_key, fired.service) == (cleared.dedupe_key, cleared.service)
    assert fired.starts_at
    assert fired.starts_at.year == 2015
    assert from_opsgenie(body("AddNote"), NAMING).ignored


def test_a_sender_of_json_of_its_own_is_read_as_the_catalog_says() -> None:
    def body(state: str) -> JsonValue:
        check: JsonValue = {
            "id": 17,
            "name": "checkout answers slowly",
            "state": state,
            "level": "Bad",
            "app": "shop",
            "measured": {"p95": 2.5},
            "tags": {"team": "payments", "up": True},
            "since": 1767261600,
            "link": "https://uptime.example/17",
        }
        return {"checks": [check, {"id": 18}]}

    found = from_generic(body("DOWN"), NAMING, "uptime", UPTIME)
    (alert,) = found.alerts
    assert (alert.source, alert.severity, alert.values) == ("generic/uptime", Severity.SEV2, {"p95": 2.5})
    assert (alert.labels, alert.service) == ({"team": "payments", "up": "true"}, "shop")
    assert [str(problem) for problem in found.problems] == [
        "alert 1: title (name) is missing; allowed is a text that is not empty"
    ]
    assert from_generic(body("Ok"), NAMING, "uptime", UPTIME).alerts[0].status is CLEARED
    missing = from_generic({}, NAMING, "uptime", UPTIME)
    assert str(missing.problems[0]) == "alerts (checks) is missing; allowed is a list"
    broken = UPTIME.model_copy(update={"alerts": "abs('x')"})
    assert "not to be found" in str(from_generic({}, NAMING, "uptime", broken).problems[0])


def test_our_own_form_refuses_keys_that_it_does_not_know() -> None:
    found = from_own({"alerts": [{"title": "a", "serverity": "SEV1"}, {"title": "b", "severity": "SEV1"}]}, NAMING)

    assert [alert.title for alert in found.alerts] == ["b"]
    assert found.problems[0].field == "alerts[0].serverity"
    assert one(from_own({"title": "c", "id": "7", "status": "cleared"}, NAMING)).status is CLEARED


def test_long_texts_are_cut_and_long_lists_refused() -> None:
    long = firing(annotations={"summary": "s" * 5_000, "description": "d" * 50_000, "other": "o" * 50_000})
    alert = one(from_alertmanager(group(long), NAMING))
    assert (len(alert.title), alert.title[-1]) == (300, "…")
    many = from_alertmanager(group(*[firing()] * (MOST_ALERTS + 1)), NAMING)
    assert many.problems[0].allowed == f"a list of at most {MOST_ALERTS}"


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=20,
)
KEYS = sorted(
    {"alerts", "status", "labels", "annotations", "action", "data", "event", "issue", "metric_alert", "alert", "id",
     "event_type", "alertId", "title", "checks", "name", "version", "startsAt", "values", "project", "tags", "tinyId",
     "service", "measured", "since", "alert_rule", "issue_id"}
)  # fmt: skip
KNOWN_WORDS = st.sampled_from(["4", "firing", "resolved", "Create", "incident.triggered", "triggered", "critical", "7"])
NEARLY = st.recursive(
    ANY_JSON | KNOWN_WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=6),
    max_leaves=25,
)
READERS: list[Callable[[JsonValue], Normalised]] = [
    lambda body: from_alertmanager(body, NAMING),
    lambda body: from_grafana(body, NAMING),
    lambda body: from_sentry(body, NAMING),
    lambda body: from_sentry(body, NAMING, "event_alert"),
    lambda body: from_sentry(body, NAMING, "issue"),
    lambda body: from_sentry(body, NAMING, "metric_alert"),
    lambda body: from_pagerduty(body, NAMING),
    lambda body: from_opsgenie(body, NAMING),
    lambda body: from_generic(body, NAMING, "uptime", UPTIME),
    lambda body: from_own(body, NAMING),
]


@pytest.mark.parametrize("read", READERS)
@given(body=NEARLY)
def test_whatever_is_sent_is_taken_refused_or_ignored(read: Callable[[JsonValue], Normalised], body: JsonValue) -> None:
    found = read(body)

    assert Normalised.model_validate_json(found.model_dump_json()) == found
    for problem in found.problems:
        assert problem.field
        assert problem.found
        assert problem.allowed
        assert len(str(problem)) < 1_500


@given(body=NEARLY, texts=st.lists(st.text(max_size=30), min_size=1, max_size=3))
def test_the_same_body_is_always_the_same_alerts(body: JsonValue, texts: list[str]) -> None:
    again = json.loads(json.dumps(body))
    assert from_grafana(body, NAMING) == from_grafana(again, NAMING)
    labels: dict[str, JsonValue] = {f"label-{index}": text for index, text in enumerate(texts)}
    shuffled = dict(reversed(list(labels.items())))
    keys = {
        alert.dedupe_key
        for order in (labels, shuffled)
        for alert in from_alertmanager(group({"status": "firing", "labels": order}), NAMING).alerts
    }
    assert len(keys) <= 1
