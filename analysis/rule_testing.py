"""Rules over given data: which alerts fire when, held against those that are expected to.

What promtool does for rule files, for those whose expression is a comparison of one series with a number; of every
other rule the data says what its expression, or its query, finds.
https://prometheus.io/docs/prometheus/latest/configuration/unit_testing_rules/
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from analysis.promql_comparison import Simple, read_simple
from analysis.rule_evaluation import Found, Sample, evaluated
from analysis.series_notation import Gap, Value, parse_series, parse_values
from models.alert_expression import Figure
from models.alert_rules import ALERT_NAME, ActiveAlert, AlertRule, AlertState, RuleSet, RuleStanding
from models.base import Payload
from models.mistakes import MistakeError, Path
from models.prometheus_files import AlertExpectation, ExpectedAlert, RuleTest

BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
LOOKBACK = timedelta(minutes=5)
"""How long a series is found after its last value, as by Prometheus."""

MOST_LOOKS = 200_000
QUERY = "query"

Read = TypeVar("Read")


class Failure(Payload):
    """One expectation that was not met: what was to fire at a time, and what did."""

    test: int
    name: str = ""
    at: str
    alertname: str
    expected: tuple[str, ...]
    found: tuple[str, ...]

    def __str__(self) -> str:
        where = f"test {self.test}" + (f" ({self.name})" if self.name else "")
        return "\n".join(
            (
                f"{where}, {self.alertname} at {self.at}:",
                *(f"  expected: {line}" for line in self.expected or ("nothing fires",)),
                *(f"  found:    {line}" for line in self.found or ("nothing fires",)),
            )
        )


@dataclass(frozen=True)
class _Series:
    labels: Mapping[str, str]
    values: Sequence[Value]

    def at(self, moment: timedelta, interval: timedelta) -> Value:
        """What stands for a moment, until the next value."""
        position = moment // interval
        return self.values[position] if position < len(self.values) else Gap.MISSING

    def found(self, moment: timedelta, interval: timedelta) -> float | None:
        """The newest value, as Prometheus finds it: unless it is too old, or the series has ended."""
        position = min(moment // interval, len(self.values) - 1)
        while position >= 0 and moment - position * interval < LOOKBACK:
            value = self.values[position]
            if isinstance(value, float):
                return value
            if value is Gap.STALE:
                return None
            position -= 1
        return None


class Bench:
    """One test's data, and the rules that it is for. Raises MistakeError for data that no rule could mean."""

    def __init__(self, rules: RuleSet, test: RuleTest, *, interval: timedelta | None = None) -> None:
        self._rules = rules
        self._interval = test.interval or interval or timedelta(minutes=1)
        if not self._interval:
            raise MistakeError("the interval between two values is above 0", at=("interval",))
        self._figures: dict[str, _Series] = {}
        self._queries: dict[str, list[_Series]] = {}
        self._series: list[_Series] = []
        for position, given in enumerate(test.input_series):
            at = ("input_series", position)
            values = _placed(parse_values, given.values, (*at, "values"))
            self._add(*_named(given.series, (*at, "series")), values, (*at, "series"))
        self._simple = {rule.id: read_simple(rule.query) for rule in rules.rules if rule.comparison is None}

    def _add(self, name: str, labels: dict[str, str], values: Sequence[Value], at: Path) -> None:
        own = {rule.comparison.figure for rule in self._rules.rules if rule.comparison}
        if name == QUERY and ALERT_NAME in labels:
            alert = labels.pop(ALERT_NAME)
            known = sorted({rule.name for rule in self._rules.rules if rule.query})
            if alert not in known:
                raise MistakeError(
                    f"no rule {alert} has a query; those that have are {', '.join(known) or 'none'}", at=at
                )
            self._queries.setdefault(alert, []).append(_Series(labels, values))
        elif self._rules.of_a_service and (name not in set(Figure) - {Figure.QUERY} or labels):
            figures = ", ".join(each for each in Figure if each is not Figure.QUERY)
            raise MistakeError(
                f"is none of the service's figures ({figures}), nor what a query finds, like {_example('...')}",
                at=at,
            )
        elif name in own and self._rules.of_a_service:
            self._figures[name] = _Series(labels, values)
        else:
            self._series.append(_Series({**labels, **({"__name__": name} if name else {})}, values))

    def run(self, expectations: Sequence[AlertExpectation], number: int, name: str) -> list[Failure]:
        known = {rule.name for rule in self._rules.rules}
        for position, each in enumerate(expectations):
            if each.alertname not in known:
                raise MistakeError(
                    f"there is no rule {each.alertname}; there is {', '.join(sorted(known)) or 'none'}",
                    at=("alert_rule_test", position, "alertname"),
                )
            if each.alertname in self._untold():
                raise MistakeError(
                    f"the expression of {each.alertname} is more than a comparison of one series with a number; say "
                    f"what it finds, as the series {_example(each.alertname)}",
                    at=("alert_rule_test", position, "alertname"),
                )
        end = max(each.eval_time for each in expectations)
        step = min((rule.interval for rule in self._rules.rules), default=self._interval)
        if end / step > MOST_LOOKS:
            raise MistakeError(f"that is more than {MOST_LOOKS} looks at the rules", at=("alert_rule_test",))
        due = sorted(enumerate(expectations), key=lambda item: item[1].eval_time)
        failures: dict[int, Failure] = {}
        standing, next_look = RuleStanding(), {rule.id: timedelta(0) for rule in self._rules.rules}
        for position, each in due:
            while (moment := min(next_look.values())) <= each.eval_time:
                looking = [rule for rule in self._rules.rules if next_look[rule.id] == moment]
                found = {rule.id: self._found(rule, moment) for rule in looking}
                standing, _ = evaluated(self._rules, standing, found, BEGINNING + moment)
                next_look |= {rule.id: moment + rule.interval for rule in looking}
            fires = [
                alert
                for alert in standing.alerts.values()
                if alert.state is AlertState.FIRING and alert.labels.get(ALERT_NAME) == each.alertname
            ]
            if not _met(each.exp_alerts, fires):
                failures[position] = _failure(each, fires, number, name)
        return [failures[position] for position in sorted(failures)]

    def _untold(self) -> set[str]:
        """Rules of which only Prometheus knows what they find, and the data does not say."""
        return {
            rule.name
            for rule in self._rules.rules
            if rule.comparison is None and self._simple[rule.id] is None and rule.name not in self._queries
        }

    def _found(self, rule: AlertRule, moment: timedelta) -> Found:
        figure = rule.comparison.figure if rule.comparison else None
        if figure is not None and figure is not Figure.QUERY:
            series = self._figures.get(figure)
            value = series.at(moment, self._interval) if series else Gap.MISSING
            return (Sample({}, value if isinstance(value, float) else None),)
        simple: Simple | None = self._simple.get(rule.id)
        if rule.name in self._queries or simple is None:
            given = [(each.labels, each.at(moment, self._interval)) for each in self._queries.get(rule.name, ())]
            return tuple(Sample(labels, value) for labels, value in given if isinstance(value, float))
        there = [(each.labels, each.found(moment, self._interval)) for each in self._series]
        return simple.find([Sample(labels, value) for labels, value in there if value is not None])


def _example(alert: str) -> str:
    return f'{QUERY}{{{ALERT_NAME}="{alert}"}}'


def _named(text: str, at: Path) -> tuple[str, dict[str, str]]:
    read = _placed(parse_series, text, at)
    return read.name, dict(read.labels)


def _placed(read: Callable[[str], Read], text: str, at: Path) -> Read:
    try:
        return read(text)
    except MistakeError as mistake:
        raise MistakeError(str(mistake), found=mistake.found, allowed=mistake.allowed, at=at) from mistake


def _met(expected: Sequence[ExpectedAlert], fires: Sequence[ActiveAlert]) -> bool:
    left = list(fires)
    for each in expected:
        match = next((alert for alert in left if _is(each, alert)), None)
        if match is None:
            return False
        left.remove(match)
    return not left


def _is(expected: ExpectedAlert, alert: ActiveAlert) -> bool:
    labels = {name: text for name, text in alert.labels.items() if name != ALERT_NAME}
    if labels != {name: text for name, text in expected.exp_labels.items() if name != ALERT_NAME}:
        return False
    return expected.exp_annotations is None or expected.exp_annotations == alert.annotations


def _failure(each: AlertExpectation, fires: Sequence[ActiveAlert], number: int, name: str) -> Failure:
    with_annotations = any(expected.exp_annotations is not None for expected in each.exp_alerts)
    return Failure(
        test=number,
        name=name,
        at=_clock(each.eval_time),
        alertname=each.alertname,
        expected=tuple(sorted(_line(one.exp_labels, one.exp_annotations or {}) for one in each.exp_alerts)),
        found=tuple(
            sorted(
                _line(
                    {label: text for label, text in alert.labels.items() if label != ALERT_NAME},
                    alert.annotations if with_annotations else {},
                )
                for alert in fires
            )
        ),
    )


def _line(labels: Mapping[str, str], annotations: Mapping[str, str]) -> str:
    said = ", ".join(f'{name}="{text}"' for name, text in sorted(labels.items()))
    noted = ", ".join(f'{name}="{text}"' for name, text in sorted(annotations.items()))
    return f"{{{said}}}" + (f" with {noted}" if noted else "")


def _clock(moment: timedelta) -> str:
    minutes, seconds = divmod(int(moment.total_seconds()), 60)
    hours, minutes = divmod(minutes, 60)
    return (
        "".join(f"{number}{unit}" for number, unit in ((hours, "h"), (minutes, "m"), (seconds, "s")) if number) or "0s"
    )
