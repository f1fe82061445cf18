"""`holdfast rules check` and `test`: what they print, and how they end."""

import json
import shutil
import subprocess
from pathlib import Path
from textwrap import dedent

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from starters.exits import Exit
from starters.main import app
from starters.rule_tests import run_tests

RULES = """
groups:
  - name: shop
    interval: 1m
    rules:
      - alert: InstanceDown
        expr: up == 0
        for: 5m
        keep_firing_for: 2m
        labels: {severity: page}
        annotations:
          summary: "{{ $labels.instance }} is down"
      - alert: NoShop
        expr: absent(up{job="shop"})
      - alert: Slow
        expr: histogram_quantile(0.99, sum by (le) (rate(seconds_bucket[5m]))) > 0.8
        annotations: {summary: "p99 is {{ $value | humanizeDuration }}"}
"""

CATALOG = """
version: 1
services:
  shop:
    deploy: {command: ["shop", "{port}"]}
    traffic: {listen: 127.0.0.1:18080}
    metrics:
      provider: prometheus
      url: http://127.0.0.1:9090
      requests: http_requests_total
      errors: http_errors_total
    rollout: {steps: [{weight: 10%, bake: 1m}]}
    alerts:
      interval: 30s
      rules:
        - {alert: errors, expr: error_rate > 5% for 2m, severity: SEV1}
        - {alert: slow, expr: p99 > 800ms, for: 1m, keep_firing_for: 1m}
        - alert: queue
          query: queue_length{version="{{version}}"}
          expr: query > 500
          annotations: {summary: "{{ $labels.queue }} holds {{ $value }}"}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "rules.yml").write_text(RULES)
    (tmp_path / "holdfast.yaml").write_text(CATALOG)
    return tmp_path


def a_test(folder: Path, text: str, name: str = "test.yml") -> Path:
    path = folder / name
    path.write_text(dedent(text))
    return path


def holdfast(*args: object) -> tuple[int, str, str]:
    run = CliRunner().invoke(app, ["rules", *map(str, args)])
    return run.exit_code, run.stdout, run.stderr


SOME_TEST = "tests: [{alert_rule_test: [{eval_time: 1m, alertname: X}]}]"

FILE_TEST = """
    rule_files: [rules.yml]
    evaluation_interval: 1m
    tests:
      - interval: 1m
        input_series:
          - series: up{job="shop", instance="a"}
            values: 1x4 0x9 1x10
          - series: query{alertname="Slow"}
            values: _x3 1.5x5
        alert_rule_test:
          - {eval_time: 9m, alertname: InstanceDown}
          - eval_time: 10m
            alertname: InstanceDown
            exp_alerts:
              - exp_labels: {severity: page, job: shop, instance: a}
                exp_annotations: {summary: a is down}
          - eval_time: 16m
            alertname: InstanceDown
            exp_alerts: [{exp_labels: {severity: page, job: shop, instance: a}}]
          - {eval_time: 17m, alertname: InstanceDown}
          - {eval_time: 2m, alertname: Slow}
          - eval_time: 4m
            alertname: Slow
            exp_alerts: [{exp_annotations: {summary: p99 is 1.5s}}]
          - eval_time: 40m
            alertname: NoShop
            exp_alerts: [{exp_labels: {job: shop}}]
"""


def test_rule_files_are_tested(folder: Path) -> None:
    test = a_test(folder, FILE_TEST)

    assert holdfast("test", test) == (Exit.OK, f"{test}: 1 test, 7 of 7 expectations met\n", "")


def test_the_rules_of_a_service_are_tested(folder: Path) -> None:
    test = a_test(
        folder,
        """
        catalog: holdfast.yaml
        service: shop
        tests:
          - name: a bad deployment
            interval: 30s
            input_series:
              - {series: error_rate, values: 1%x2 7%x10}
              - {series: p99, values: 0.2x4 0.9x3 0.2x10}
              - {series: 'query{alertname="queue", queue="mail"}', values: 0+300x4}
            alert_rule_test:
              - {eval_time: 3m, alertname: errors}
              - {eval_time: 3m30s, alertname: errors, exp_alerts: [{}]}
              - {eval_time: 3m29s, alertname: slow}
              - {eval_time: 3m30s, alertname: slow, exp_alerts: [{}]}
              - {eval_time: 5m, alertname: slow, exp_alerts: [{}]}
              - {eval_time: 5m30s, alertname: slow}
              - eval_time: 1m
                alertname: queue
                exp_alerts:
                  - exp_labels: {queue: mail}
                    exp_annotations: {summary: mail holds 600}
        """,
    )

    assert holdfast("test", test)[:2] == (Exit.OK, f"{test}: 1 test, 7 of 7 expectations met\n")


def test_what_fires_otherwise_is_shown_beside_what_was_expected(folder: Path) -> None:
    test = a_test(
        folder,
        """
        rule_files: [rules.yml]
        tests:
          - name: down
            # To YAML 0x20 is 32.
            input_series: [{series: 'up{instance="a"}', values: 0x20}]
            alert_rule_test:
              - {eval_time: 10m, alertname: InstanceDown}
              - {eval_time: 1m, alertname: InstanceDown, exp_alerts: [{exp_labels: {severity: page}}]}
        """,
    )

    code, out, _ = holdfast("test", test)
    assert code == Exit.NEGATIVE
    assert out.splitlines() == [
        f"{test}: test 1 (down), InstanceDown at 10m:",
        "  expected: nothing fires",
        '  found:    {instance="a", severity="page"}',
        f"{test}: test 1 (down), InstanceDown at 1m:",
        '  expected: {severity="page"}',
        "  found:    nothing fires",
        f"{test}: 1 test, 0 of 2 expectations met",
    ]
    code, out, _ = holdfast("test", test, "--json")
    assert code == Exit.NEGATIVE
    said = json.loads(out)
    assert said["ok"] is False
    assert said["files"][0]["failures"][0]["found"] == ['{instance="a", severity="page"}']


@pytest.mark.parametrize(
    ("series", "expectation", "says"),
    [
        (
            "{series: up, values: one}",
            "{eval_time: 1m, alertname: InstanceDown}",
            ":5: tests[0].input_series[0].values",
        ),
        (
            "{series: up, values: 1}",
            "{eval_time: 1m, alertname: Nobody}",
            "there is no rule Nobody; there is InstanceDown",
        ),
        ("{series: up, values: 1}", "{eval_time: 1m, alertname: Slow}", 'as the series query{alertname="Slow"}'),
        ("{series: up, values: 1}", "{eval_time: soon, alertname: Slow}", 'found "soon", allowed: a duration like 30s'),
        ("{series: 'query{alertname=\"X\"}', values: 1}", "{eval_time: 1m, alertname: Slow}", "no rule X has a query"),
    ],
)
def test_mistakes_in_tests_are_pointed_at(folder: Path, series: str, expectation: str, says: str) -> None:
    test = a_test(
        folder,
        f"""\
        rule_files: [rules.yml]
        tests:
          - interval: 1m
            input_series:
              - {series}
            alert_rule_test:
              - {expectation}
        """,
    )
    code, _, error = holdfast("test", test)

    assert code == Exit.BAD_INPUT
    assert error.startswith(f"{test}:")
    assert says in error
    code, out, _ = holdfast("test", test, "--json")
    assert code == Exit.BAD_INPUT
    assert json.loads(out)["problems"][0]["file"] == str(test)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (SOME_TEST, "rule_files, or the rules of a catalog's service"),
        (f"rule_files: [none.yml]\n{SOME_TEST}", "there is no such file"),
        ("rule_files: [rules.yml]\ntests: [{promql_expr_test: []}]", "run it with promtool"),
        (f"catalog: holdfast.yaml\nservice: web\n{SOME_TEST}", ":2: service: the catalog has no service web"),
        ("- 1", "holds no block of keys"),
    ],
)  # fmt: skip
def test_mistakes_in_the_file_are_pointed_at(folder: Path, text: str, says: str) -> None:
    code, _, error = holdfast("test", a_test(folder, text))

    assert code == Exit.BAD_INPUT
    assert says in error


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("      - {record: a, expr: b}", ":6: groups[0].rules[1].record: is a recording rule"),
        ("      - {alert: A, expr: 'up == (0'}", "groups[0].rules[1].expr: is not PromQL: nothing closes the ("),
        ("      - {alert: A, expr: up, for: 5 minutes}", "allowed: a duration like 30s, 5m"),
        ("      - {alert: A, expr: up, labels: {a: '{{ $value }}'}}", "another alert whenever that changes"),
        ("      - {alert: A, expr: up, annotations: {a: '{{ query }}'}}", "allowed: {{ $labels.NAME }}"),
        ("      - {alert: A, expr: up, labels: {'a-b': x}}", "allowed: letters, digits and underscores"),
        ("      - {alert: A, expr: up, fore: 5m}", "unknown key, did you mean for?"),
        ("    query_offset: 5m", "write offset into the expressions"),
        ("  - {name: a}", "two groups are named a"),
    ],
)
def test_mistakes_in_rule_files_are_pointed_at(tmp_path: Path, line: str, says: str) -> None:
    file = tmp_path / "rules.yml"
    file.write_text(f"groups:\n  - name: a\n    rules:\n      - alert: Up\n        expr: up == 1\n{line}\n")

    code, _, error = holdfast("check", file)
    assert code == Exit.BAD_INPUT
    assert says in error


def test_rules_of_the_catalog_are_checked_with_its_rule_files(folder: Path) -> None:
    catalog = folder / "holdfast.yaml"
    catalog.write_text(CATALOG + "alerts:\n  platform: {url: 'http://127.0.0.1:9090', files: [rules.yml]}\n")

    assert holdfast("check", "--catalog", catalog)[:2] == (
        Exit.OK, "shop: 3 rules, no mistakes\nplatform: 3 rules, no mistakes\n"
    )  # fmt: skip
    (folder / "rules.yml").write_text("groups: [{name: a, rules: [{record: a, expr: b}]}]")
    code, _, error = holdfast("check", "--catalog", catalog)
    assert code == Exit.BAD_INPUT
    assert error.startswith(f"{folder / 'rules.yml'}:1: groups[0].rules[0].record: is a recording rule")


@pytest.mark.parametrize(
    ("rule", "says"),
    [
        ("{alert: a, expr: error_rate > 5}", "alerts.rules[0].expr: found 5, allowed: a percentage like 5%"),
        ("{alert: a, expr: query > 5}", "alerts.rules[0].expr: query is compared, and there is none"),
        ("{alert: a, expr: p99 > 1s, query: up}", "alerts.rules[0].query: is never asked"),
        ("{alert: a, expr: query > 5, query: 'up{'}", "alerts.rules[0].query: is not PromQL"),
        ("{alert: a, expr: p99 > 1s for 1m, for: 1m}", "alerts.rules[0].for: stands in expr already"),
        ("{alert: a, expr: p99 > 1s}, {alert: a, expr: p90 > 1s}", "alerts.rules[1].alert: two rules are named a"),
        ("{alert: a}", "alerts.rules[0].expr: missing, allowed: a comparison like error_rate > 5% for 2m"),
    ],
)  # fmt: skip
def test_mistakes_in_the_catalogs_rules_are_pointed_at(folder: Path, rule: str, says: str) -> None:
    catalog = folder / "holdfast.yaml"
    catalog.write_text(CATALOG.split("      rules:\n", maxsplit=1)[0] + f"      rules: [{rule}]\n")

    code, _, error = holdfast("check", "--catalog", catalog)
    assert code == Exit.BAD_INPUT
    assert says in error


def test_promtools_own_verdict_on_the_rules_is_the_same(folder: Path) -> None:
    promtool = _promtool()
    run = subprocess.run([promtool, "check", "rules", str(folder / "rules.yml")], check=False, capture_output=True)

    assert run.returncode == 0, run.stdout + run.stderr
    assert holdfast("check", folder / "rules.yml")[0] == Exit.OK


values = st.lists(
    st.sampled_from(["0", "1", "_", "stale", "0x3", "1x2", "_x4", "0+1x3", "2-1x2"]), min_size=1, max_size=8
).map(" ".join)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(values, values, st.integers(0, 20), st.integers(0, 3))
def test_promtool_sees_the_same_alerts_fire(folder: Path, one: str, other: str, minutes: int, lasting: int) -> None:
    """Whatever promtool finds met, so do we, and the other way round: it is asked about what we say fires."""
    (folder / "rules.yml").write_text(
        f"groups: [{{name: a, rules: [{{alert: Down, expr: 'up == 0', for: {lasting}m, keep_firing_for: 1m,"
        "labels: {severity: page}, annotations: {summary: '{{ $labels.instance }} is at {{ $value }}'}}]}]\n"
    )
    # An odd interval, so that no value is exactly as old as it may be, which versions of Prometheus differ in.
    given_series = (
        f"[{{series: 'up{{instance=\"a\"}}', values: '{one}'}}, {{series: 'up{{instance=\"b\"}}', values: '{other}'}}]"
    )
    head = f"rule_files: [rules.yml]\nevaluation_interval: 1m\ntests: [{{interval: 59s, input_series: {given_series}, "

    def asking(expected: str) -> Path:
        asked = f"alert_rule_test: [{{eval_time: {minutes}m, alertname: Down, exp_alerts: {expected}}}]}}]\n"
        return a_test(folder, head + asked)

    ours = run_tests(asking("[{exp_labels: {x: y}, exp_annotations: {}}]"))
    fires = ours.failures[0].found
    expected = [
        f"{{exp_labels: {{severity: page, instance: {name}}}, exp_annotations: {{summary: {name} is at 0}}}}"
        for name in ("a", "b")
        if any(f'instance="{name}"' in line for line in fires)
    ]
    test = asking(f"[{', '.join(expected)}]")
    theirs = subprocess.run([_promtool(), "test", "rules", str(test)], check=False, capture_output=True, text=True)

    assert len(expected) == len(fires)
    assert not run_tests(test).failures
    assert theirs.returncode == 0, theirs.stdout + theirs.stderr


def _promtool() -> str:
    program = shutil.which("promtool")
    if program is None:
        pytest.skip("promtool is not installed; Debian's package prometheus has it")
    return program
