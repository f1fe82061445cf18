"""Which incident an alert belongs to, how grave it is, and why it opens none."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from analysis.dedupe import as_name, dedupe_key
from analysis.flapping import flaps, quiet_at
from analysis.matching import holds
from analysis.placing import Placed, Surroundings, by_incident, place, rules_of
from analysis.silencing import OpenNow, dependencies
from models.alert import Alert, AlertStatus, Suppressed, SuppressedBy
from models.catalog import Catalog
from models.ids import DEDUPE_KEY_RULE, NAME_RULE, IncidentRef, incident_id, parse_incident_id
from models.incident_spec import FlapSpec, IncidentsSpec
from models.severity import Severity
from tests.analysis.incident_factories import an_alert
from tests.factories import WHEN, a_service

NOW = Surroundings(now=WHEN)


def a_catalog(depends_on: dict[str, list[str]] | None = None, **incidents: object) -> Catalog:
    services = {
        name: a_service(listen=f"127.0.0.1:{18080 + index}").model_copy(update={"depends_on": tuple(below)})
        for index, (name, below) in enumerate((depends_on or {"shop": []}).items())
    }
    spec = IncidentsSpec.model_validate(incidents)
    return Catalog(version=1, environment="local", services=services, incidents=spec)


def placed(alert: Alert, catalog: Catalog, around: Surroundings = NOW) -> Placed:
    found = place(alert, catalog, around)
    assert found.suppressed is None, found
    return found


def suppressed(alert: Alert, catalog: Catalog, around: Surroundings = NOW) -> Suppressed:
    found = place(alert, catalog, around).suppressed
    assert found
    return found


def test_without_a_word_each_alert_is_an_incident_of_its_own_and_pages_the_inbox() -> None:
    found = placed(an_alert(), a_catalog())
    rules = rules_of(a_catalog().incidents, found.policy)

    assert incident_id(found.ref) == "incident/local/shop/high-error-rate"
    assert found.severity is Severity.SEV3
    assert [[target.name for target in level.notify] for level in rules.levels] == [["console"]]


@pytest.mark.parametrize(
    ("values", "labels", "severity"),
    [
        ({"error_rate": 0.07}, {}, Severity.SEV1),
        ({"error_rate": 0.05}, {}, Severity.SEV3),
        ({}, {"error_rate": "7%"}, Severity.SEV1),
        ({}, {"team": "payments", "tier": "gold"}, Severity.SEV2),
        ({}, {"team": "payments"}, Severity.SEV3),
        ({}, {}, Severity.SEV3),
    ],
)
def test_rules_say_how_grave_it_is(values: dict[str, float], labels: dict[str, str], severity: Severity) -> None:
    rules = [
        {"when": "error_rate > 5%", "severity": "SEV1"},
        {"when": ["team=payments", "tier=~gold|platinum"], "severity": "SEV2"},
    ]

    assert placed(an_alert(values=values, labels=labels), a_catalog(severity=rules)).severity is severity


def test_a_route_is_gone_into_as_far_as_it_matches() -> None:
    routes = [
        {
            "match": "team=shop",
            "policy": "shop",
            "group_by": ["team"],
            "routes": [{"match": "tier=gold", "severity": "SEV1", "open_after": {"alerts": 3, "within": "5m"}}],
        },
        {"match": [], "policy": "default"},
    ]
    policies = {name: {"levels": [{"notify": ["console"]}]} for name in ("default", "shop")}
    catalog = a_catalog(routes=routes, policies=policies)
    deep = placed(an_alert(labels={"team": "shop", "tier": "gold"}), catalog)
    shallow = placed(an_alert("another", "another", labels={"team": "shop"}), catalog)

    assert (deep.policy, deep.severity, deep.open_after and deep.open_after.alerts) == ("shop", Severity.SEV1, 3)
    assert deep.ref == shallow.ref
    assert placed(an_alert(), catalog).policy == "default"


def test_alerts_of_one_request_are_one_signal_for_each_incident() -> None:
    catalog = a_catalog(group_by=["team"])
    alerts = [
        an_alert("a", "a", labels={"team": "x"}),
        an_alert("b", "b", labels={"team": "x"}, severity=Severity.SEV1),
        an_alert("c", "c", labels={"team": "x"}, status=AlertStatus.CLEARED),
        an_alert("d", "d", labels={"team": "y"}, status=AlertStatus.CLEARED),
    ]
    first, second = by_incident((placed(alert, catalog) for alert in alerts), catalog.incidents, "request-1")

    assert first.fired
    assert first.cleared
    assert [alert.title for alert in first.fired.alerts] == ["a", "b"]
    assert [alert.title for alert in first.cleared.alerts] == ["c"]
    assert (first.request.severity, first.fired.request) == (Severity.SEV1, "request-1")
    assert second.fired is None


def test_very_many_alerts_of_one_incident_are_several_signals_that_temporal_can_carry() -> None:
    labels = {f"label-{number}": "x" * 1_000 for number in range(60)}
    many = [
        an_alert("\U0001f6a2" * 300, f"alert-{number}", labels={**labels, "team": "x"}, description="d" * 8_000)
        for number in range(2_500)
    ]
    catalog = a_catalog(group_by=["team"])
    to_send = list(by_incident((placed(alert, catalog) for alert in many), catalog.incidents, "request-1"))
    signals = [each.fired for each in to_send if each.fired]

    assert [len(signal.alerts) for signal in signals] == [1_000, 1_000, 500]
    assert [signal.request for signal in signals] == ["request-1", "request-1#1000", "request-1#2000"]
    assert max(len(signal.model_dump_json().encode()) for signal in signals) < 2 * 1024 * 1024
    assert to_send[0].alerts[0] == many[0]


def test_what_is_silenced_opens_nothing_and_says_until_when() -> None:
    silence = {"name": "cable", "match": "team=shop", "from": "2025-12-31 00:00", "until": "2026-01-02 00:00"}
    weekly = {"name": "nights", "match": "team=shop", "every": "thu 00:00 – thu 06:00", "comment": "backups"}
    ours = an_alert(labels={"team": "shop"})
    by_silence = suppressed(ours, a_catalog(silences=[weekly, silence]))

    assert by_silence.by is SuppressedBy.SILENCE
    assert by_silence.why == "the silence cable is in force until 2026-01-02 00:00 UTC"
    assert "maintenance window nights (backups)" in suppressed(ours, a_catalog(silences=[weekly])).why
    placed(an_alert(), a_catalog(silences=[silence]))
    placed(ours.model_copy(update={"status": AlertStatus.CLEARED}), a_catalog(silences=[silence]))


def test_a_database_that_is_down_silences_its_clients() -> None:
    catalog = a_catalog({"shop": ["cart"], "cart": ["database"], "database": [], "blog": []})
    down = IncidentRef(environment="local", service="database", key="down")
    around = Surroundings(now=WHEN, open_incidents=OpenNow({down: Severity.SEV3}))
    staging = down.model_copy(update={"environment": "staging"})
    elsewhere = Surroundings(now=WHEN, open_incidents=OpenNow({staging: Severity.SEV1}))

    assert "shop depends on database" in suppressed(an_alert(), catalog, around).why
    placed(an_alert(service="blog"), catalog, around)
    placed(an_alert(service="database"), catalog, around)
    placed(an_alert(), catalog, elsewhere)


@pytest.mark.parametrize(("down", "ours", "opens"), [("SEV4", "SEV1", True), ("SEV2", "SEV2", False)])
def test_only_what_is_as_grave_silences_clients(down: str, ours: str, opens: bool) -> None:
    catalog = a_catalog({"shop": ["database"]})
    ref = IncidentRef(environment="local", service="database", key="down")
    around = Surroundings(now=WHEN, open_incidents=OpenNow({ref: Severity(down)}))

    assert (place(an_alert(severity=Severity(ours)), catalog, around).suppressed is None) is opens


def test_an_incident_that_is_open_already_goes_on_taking_its_alerts() -> None:
    catalog = a_catalog({"shop": ["database"]})
    own = placed(an_alert(), catalog).ref
    down = IncidentRef(environment="local", service="database", key="down")

    around = Surroundings(now=WHEN, open_incidents=OpenNow({down: Severity.SEV1, own: Severity.SEV3}))

    assert placed(an_alert(), catalog, around).ref == own


def test_services_that_depend_on_each_other_do_not_silence_themselves() -> None:
    assert dependencies("a", {"a": ["b"], "b": ["a", "c"]}) == ("b", "c")


def test_a_storm_is_one_umbrella_incident() -> None:
    catalog = a_catalog(storm={"incidents": 3, "within": "1m"})
    opened = [WHEN - timedelta(seconds=second) for second in (50, 20, 10)]
    calm = Surroundings(now=WHEN, opened=opened[1:])
    storm = Surroundings(now=WHEN, opened=opened)

    assert not placed(an_alert(), catalog, calm).umbrella
    found = placed(an_alert(), catalog, storm)
    assert incident_id(found.ref) == "incident/local/storm/storm"
    (to_send,) = by_incident([found], catalog.incidents)
    assert to_send.request.title == "a storm of alerts"


@pytest.mark.parametrize(("policy", "paged"), [(None, "phone"), ("mail", "mail")])
def test_a_storm_pages_by_its_own_policy_or_that_of_the_gravest_alert(policy: str | None, paged: str) -> None:
    targets = {name: {"kind": "webhook", "url": f"https://{name}.example"} for name in ("phone", "mail")}
    policies = {name: {"levels": [{"notify": [name]}]} for name in ("phone", "mail")}
    default = {"levels": [{"notify": ["console"]}]}
    catalog = a_catalog(
        storm={"incidents": 2, "within": "1m", "policy": policy},
        policies={"default": default, **policies},
        targets=targets,
        routes=[{"match": "team=shop", "policy": "phone", "severity": "SEV1"}],
    )
    storm = Surroundings(now=WHEN, opened=[WHEN, WHEN])
    alerts = [an_alert("a", "a"), an_alert("b", "b", labels={"team": "shop"}), an_alert("c", "c")]
    (to_send,) = by_incident([placed(alert, catalog, storm) for alert in alerts], catalog.incidents)

    assert to_send.request.severity is Severity.SEV1
    assert [target.name for target in to_send.request.rules.levels[0].notify] == [paged]


def test_what_fires_again_after_it_cleared_is_told_after_it() -> None:
    catalog = a_catalog(group_by=["team"])
    cleared, fired = AlertStatus.CLEARED, AlertStatus.FIRED
    said = [("a", fired), ("b", cleared), ("c", fired), ("a", cleared), ("b", fired), ("a", fired)]
    alerts = [an_alert(key, key, labels={"team": "x"}, status=status) for key, status in said]
    parts = list(by_incident([placed(alert, catalog) for alert in alerts], catalog.incidents, "r"))
    told = [
        [(alert.title, alert.status) for signal in (part.fired, part.cleared) if signal for alert in signal.alerts]
        for part in parts
    ]

    assert told == [[("a", fired), ("c", fired), ("b", cleared), ("a", cleared)], [("b", fired), ("a", fired)]]
    assert [part.fired and part.fired.request for part in parts] == ["r", "r#4"]


def test_what_cleared_has_no_say_in_how_grave_an_incident_is() -> None:
    policies = {
        name: {"levels": [{"notify": ["console"]}], "repeat": index} for index, name in enumerate(("default", "day"))
    }
    catalog = a_catalog(group_by=["team"], policies=policies, routes=[{"match": "tier=gold", "severity": "SEV1"}])
    alerts = [
        an_alert("worse", "worse", labels={"team": "x", "tier": "gold"}, status=AlertStatus.CLEARED),
        an_alert("fires", "fires", labels={"team": "x"}),
    ]
    (to_send,) = by_incident([placed(alert, catalog) for alert in alerts], catalog.incidents)

    assert (to_send.request.title, to_send.request.severity) == ("fires", Severity.SEV3)
    assert to_send.fired
    assert to_send.fired.severity is Severity.SEV3


def test_of_silences_that_match_the_longest_is_said_however_it_is_found() -> None:
    ours = an_alert(labels={"team": "shop", "tier": "gold"})
    matchers = {
        "named": "team=shop",
        "pattern": "team=~sh.*",
        "both": ["tier!=silver", "tier=gold"],
        "other": "team=blog",
    }
    ends = {"named": 3, "pattern": 4, "both": 2, "other": 9}
    for last in ("pattern", "named", "both"):
        silences = [
            {"name": name, "match": match, "from": "2025-12-31 00:00", "until": f"2026-01-0{ends[name]} 00:00"}
            for name, match in matchers.items()
        ]
        assert f"the silence {last} is" in suppressed(ours, a_catalog(silences=silences)).why
        del matchers[last]


@given(st.lists(st.integers(0, 3_600), min_size=1, max_size=30))
def test_what_flaps_is_quiet_exactly_when_it_was_told(seconds: list[int]) -> None:
    changes = [WHEN + timedelta(seconds=second) for second in sorted(seconds)]
    spec = FlapSpec(changes=4, within=timedelta(minutes=10))
    until = quiet_at(changes, spec)
    if until:
        assert flaps(changes, spec, until - timedelta(microseconds=1))
        assert not flaps(changes, spec, until)


@given(st.text(max_size=200), st.text(max_size=50), st.text(max_size=100))
def test_every_key_and_name_fits_a_workflows_id(identity: str, source: str, hint: str) -> None:
    import re

    key = dedupe_key(source, identity, hint)
    assert re.fullmatch(DEDUPE_KEY_RULE, key)
    name = as_name(identity)
    assert name is None or re.fullmatch(NAME_RULE, name)
    ref = IncidentRef(environment="local", service=name or "unrouted", key=key)
    assert parse_incident_id(incident_id(ref)) == ref


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("team=shop", True),
        ("team!=shop", False),
        ("team=~sh.*", True),
        ("team=~s", False),
        ("team!~blog|cart", True),
        ('team="shop"', True),
        ("none=", True),
        ("none!=x", True),
        ("p95 >= 2.5", True),
        ("p95 < 2.5", False),
        ("nothing > 1", False),
        ("service=shop", True),
    ],
)
def test_matchers_hold_or_not(text: str, expected: bool) -> None:
    assert holds(text, an_alert(labels={"team": "shop"}, values={"p95": 2.5})) is expected


@pytest.mark.parametrize("text", ["", "team", "=x", "team=~(", "error_rate > many", "a b=c", "x" * 600 + "=1"])
def test_a_rule_that_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(ValidationError, match=r"is not a comparison|holds no regular"):
        IncidentsSpec.model_validate({"severity": [{"when": text, "severity": "SEV1"}]})


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ({"routes": [{"policy": "night"}]}, "there is no policy night; there is default"),
        ({"policies": {"default": {"levels": [{"notify": ["pager"]}]}}}, "there is no target pager"),
        ({"storm": {"policy": "night"}}, "there is no policy night; there is default"),
        ({"policies": {"other": {"levels": [{"notify": ["console"]}]}}}, "no policy named default"),
    ],
)
def test_names_that_lead_nowhere_are_refused(written: dict[str, object], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        IncidentsSpec.model_validate(written)
