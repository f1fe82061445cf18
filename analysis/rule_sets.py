"""From the catalog, and rule files, to the sets of rules that are evaluated."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta

from models.alert_expression import read_expression
from models.alert_rules import MOST_ALERTS_OF_A_RULE, AlertRouting, AlertRule, PrometheusAddress, RuleSet
from models.alert_rules_spec import AlertFilesSpec, AlertRuleSpec, ServiceAlertsSpec
from models.catalog import Catalog, Service
from models.ids import Name, ServiceRef
from models.prometheus_files import RuleFile


def routing_of(catalog: Catalog) -> AlertRouting:
    return AlertRouting(
        environment=catalog.environment, incidents=catalog.incidents, depends_on=dict(catalog.depends_on)
    )


def rule_sets(catalog: Catalog, files: Mapping[str, Sequence[RuleFile]]) -> dict[Name, RuleSet]:
    """Every set of the catalog that has rules, by its name; `files` are those of each of `alerts`, as it names them."""
    routing = routing_of(catalog)
    sets = [
        *(service_rules(name, service, routing) for name, service in catalog.services.items()),
        *(file_rules(name, spec, files.get(name, ()), routing) for name, spec in catalog.alerts.items()),
    ]
    return {each.ref.service: each for each in sets if each.rules}


def service_rules(name: Name, service: Service, routing: AlertRouting) -> RuleSet:
    spec = service.alerts
    return RuleSet(
        ref=ServiceRef(environment=routing.environment, service=name),
        rules=tuple(_own_rule(rule, spec) for rule in spec.rules),
        metrics=service.metrics,
        traffic=service.traffic,
        window=spec.window,
        min_requests=spec.min_requests,
        blind_after=spec.blind_after,
        again=spec.again,
        routing=routing,
    )


def file_rules(name: Name, spec: AlertFilesSpec, files: Iterable[RuleFile], routing: AlertRouting) -> RuleSet:
    return RuleSet(
        ref=ServiceRef(environment=routing.environment, service=name),
        rules=rules_of_files(files, spec.interval),
        prometheus=PrometheusAddress(url=spec.url, token=spec.token, timeout=spec.timeout),
        blind_after=spec.blind_after,
        again=spec.again,
        routing=routing,
    )


def rules_of_files(files: Iterable[RuleFile], interval: timedelta) -> tuple[AlertRule, ...]:
    """Several rules may have one name, as those of each severity do: the second is called `NAME#2` among ours."""
    found: list[AlertRule] = []
    seen: dict[str, int] = {}
    for file in files:
        for group in file.groups:
            for rule in group.rules:
                seen[rule.alert] = number = seen.get(rule.alert, 0) + 1
                found.append(
                    AlertRule(
                        id=rule.alert if number == 1 else f"{rule.alert}#{number}",
                        name=rule.alert,
                        query=rule.expr,
                        lasting=rule.lasting,
                        keep_firing_for=rule.keep_firing_for,
                        interval=group.interval or interval,
                        limit=min(group.limit or MOST_ALERTS_OF_A_RULE, MOST_ALERTS_OF_A_RULE),
                        labels={**group.labels, **rule.labels},
                        annotations=rule.annotations,
                        group=group.name,
                    )
                )
    return tuple(found)


def _own_rule(rule: AlertRuleSpec, spec: ServiceAlertsSpec) -> AlertRule:
    read = read_expression(rule.expr)
    return AlertRule(
        id=rule.alert,
        name=rule.alert,
        comparison=read.comparison,
        query=rule.query or "",
        lasting=rule.lasting or read.lasting or timedelta(0),
        keep_firing_for=rule.keep_firing_for,
        interval=spec.interval,
        severity=rule.severity,
        labels=rule.labels,
        annotations=rule.annotations,
    )
