"""Running a file of tests over the rules that it names."""

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

from analysis.rule_sets import routing_of, rules_of_files, service_rules
from analysis.rule_testing import Bench, Failure
from models.alert_rules import AlertRouting, RuleSet
from models.alert_rules_spec import SHORTEST_INTERVAL
from models.base import Payload
from models.ids import ServiceRef
from models.mistakes import MistakeError
from runtime.catalog_file import load_catalog
from runtime.rule_files import RuleTests, load_rule_file

USUAL_INTERVAL = timedelta(minutes=1)


class TestsRun(Payload):
    """What became of a file of tests."""

    file: str
    tests: int
    expectations: int
    failures: tuple[Failure, ...] = ()


def run_tests(path: Path) -> TestsRun:
    """Raises CatalogError for mistakes in the file, in a rule file or in the catalog that it names."""
    tests = RuleTests(path)
    file, folder = tests.file, path.parent
    interval = max(file.evaluation_interval or USUAL_INTERVAL, SHORTEST_INTERVAL)
    rules = _of_service(tests, folder) if file.catalog else _of_files(file.rule_files, folder, interval)
    failures: list[Failure] = []
    for number, test in enumerate(file.tests):
        try:
            failures += Bench(rules, test).run(test.alert_rule_test, number + 1, test.name)
        except MistakeError as mistake:
            raise tests.mistake(("tests", number), mistake) from mistake
    expectations = sum(len(test.alert_rule_test) for test in file.tests)
    return TestsRun(file=str(path), tests=len(file.tests), expectations=expectations, failures=tuple(failures))


def _of_files(files: Sequence[str], folder: Path, interval: timedelta) -> RuleSet:
    return RuleSet(
        ref=ServiceRef(environment="local", service="files"),
        rules=rules_of_files((load_rule_file(folder / name) for name in files), interval),
        routing=AlertRouting(environment="local"),
        blind_after=None,
    )


def _of_service(tests: RuleTests, folder: Path) -> RuleSet:
    name = tests.file.service or ""
    catalog = load_catalog(folder / tests.file.catalog)
    if name not in catalog.services:
        there = ", ".join(sorted(catalog.services))
        mistake = MistakeError(f"the catalog has no service {name}; it has {there}")
        raise tests.mistake(("service",), mistake)
    found = service_rules(name, catalog.services[name], routing_of(catalog))
    if not found.rules:
        raise tests.mistake(("service",), MistakeError(f"the catalog has no alert rules of {name}"))
    return found.model_copy(update={"blind_after": None})
