"""Whether what a rule says holds for an alert."""

from collections.abc import Iterable

from models.alert import Alert
from models.matching import Operator, Test, pattern_of, read_number, test_of


def all_hold(texts: Iterable[str], alert: Alert) -> bool:
    return all(holds(text, alert) for text in texts)


def holds(text: str, alert: Alert) -> bool:
    """A comparison of numbers does not hold where there is no such number."""
    return test_holds(test_of(text), alert)


def test_holds(test: Test, alert: Alert) -> bool:
    """The same of a text that was taken apart before."""
    return _matches(test, label_of(alert, test.name)) if test.number is None else _compares(test, alert)


def label_of(alert: Alert, name: str) -> str:
    """A label by its name, and what every alert has: service, environment, source, title, severity, dedupe_key.

    Empty where there is none, as with Alertmanager. `severity` is the sender's label before our word for it.
    """
    match name:
        case "service":
            return alert.service
        case "environment":
            return alert.environment
        case "source":
            return alert.source
        case "title":
            return alert.title
        case "dedupe_key":
            return alert.dedupe_key
        case "severity":
            return alert.labels.get(name) or (alert.severity or "")
        case _:
            return alert.labels.get(name, "")


def measured(alert: Alert, name: str) -> float | None:
    """What was measured under a name: among the values, else in a label or annotation that holds a number."""
    if name in alert.values:
        return alert.values[name]
    said = alert.labels.get(name) or alert.annotations.get(name)
    return read_number(said) if said else None


def _matches(test: Test, label: str) -> bool:
    match test.operator:
        case Operator.IS:
            return label == test.text
        case Operator.IS_NOT:
            return label != test.text
        case Operator.LIKE:
            return pattern_of(test.text).fullmatch(label) is not None
        case Operator.NOT_LIKE:
            return pattern_of(test.text).fullmatch(label) is None
        case _:
            return False


def _compares(test: Test, alert: Alert) -> bool:
    value, bound = measured(alert, test.name), test.number
    if value is None or bound is None:
        return False
    match test.operator:
        case Operator.ABOVE:
            return value > bound
        case Operator.AT_LEAST:
            return value >= bound
        case Operator.BELOW:
            return value < bound
        case Operator.AT_MOST:
            return value <= bound
        case _:
            return value == bound
