"""The files that people give to Prometheus and Grafana, checked by the tools that read them."""

import copy
import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from grafana_foundation_sdk.cog import plugins
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

from models import incident
from models.rollout import Phase
from models.temporal_names import TaskQueue
from tests.observability.files import (
    CONFIG,
    FOLDER,
    METRIC,
    ROOT,
    RULE_TESTS,
    RULES,
    Yaml,
    alerts,
    dashboard,
    expressions,
    metrics,
    panels,
    read_yaml,
)
from workers.groups import GROUPS


@pytest.mark.parametrize(
    "check", [("check", "rules", RULES), ("check", "config", CONFIG), ("test", "rules", RULE_TESTS)], ids=str
)
def test_promtool_finds_nothing_wrong(promtool: Path, check: tuple[object, ...]) -> None:
    run = subprocess.run([promtool, *map(str, check)], capture_output=True, text=True, check=False)

    assert run.returncode == 0, run.stdout + run.stderr


def test_no_alert_is_without_its_test() -> None:
    """The tests name an alert, or match it by a pattern as PromQL does; what they expect is seen by promtool."""
    expected = set(re.findall(r'alertname="(\w+)"|alertname: (\w+)', RULE_TESTS.read_text()))

    assert {first or second for first, second in expected} == {alert["alert"] for alert in alerts()}


@pytest.mark.parametrize("alert", alerts(), ids=lambda alert: alert["alert"])
def test_every_alert_says_how_bad_it_is_what_it_means_and_what_to_do(alert: Yaml) -> None:
    assert alert["labels"]["severity"] in {"page", "ticket"}
    for text in ("summary", "meaning", "action"):
        assert alert["annotations"][text].endswith("."), text


@pytest.mark.parametrize("group", GROUPS, ids=lambda group: str(group.queue))
def test_a_queue_without_workers_is_noticed(group: Any) -> None:
    pages = [alert for alert in alerts() if alert["labels"].get("task_queue") == group.queue]

    waits_for_the_morning = group.queue == TaskQueue.RECORDS  # nothing else waits for it, and nothing is lost
    assert [alert["labels"]["severity"] for alert in pages] == ["ticket" if waits_for_the_morning else "page"]
    assert f'task_queue="{group.queue}"' in pages[0]["expr"]


def test_every_phase_that_an_alert_or_a_panel_asks_for_is_one_that_is_counted() -> None:
    counted = {
        "holdfast_rollouts_under_way": {str(phase) for phase in Phase if not phase.final and not phase.passing},
        "holdfast_incidents_open": {str(phase) for phase in incident.Phase if phase.open},
    }
    asked = re.compile(rf"({'|'.join(counted)}){{[^}}]*phase=\"(\w+)\"")
    found = {pair for expression in expressions().values() for pair in asked.findall(expression)}

    assert found
    assert {(metric, phase) for metric, phase in found if phase not in counted[metric]} == set()


def test_the_example_scrapes_every_group_and_the_keeper() -> None:
    workers, keepers = read_yaml(CONFIG)["scrape_configs"]

    assert [target["labels"]["group"] for target in workers["static_configs"]] == [str(group.queue) for group in GROUPS]
    assert keepers["job_name"] == "holdfast-keeper"


def lost(given: Any, kept: Any, path: str = "") -> Iterator[str]:
    """Where Grafana's own model of a dashboard does not keep what was given to it."""
    if isinstance(given, dict) and isinstance(kept, dict):
        for key, value in given.items():
            yield from lost(value, kept[key], f"{path}/{key}") if key in kept else [f"{path}/{key}"]
    elif isinstance(given, list) and isinstance(kept, list) and len(given) == len(kept):
        for index, (one, other) in enumerate(zip(given, kept, strict=True)):
            yield from lost(one, other, f"{path}/{index}")
    elif given != kept:
        yield path


def as_grafana_keeps_it(content: Yaml) -> Any:
    plugins.register_default_plugins()
    return json.loads(json.dumps(Dashboard.from_json(copy.deepcopy(content)), cls=JSONEncoder))


def test_grafanas_own_model_knows_everything_in_the_dashboard() -> None:
    assert list(lost(dashboard(), as_grafana_keeps_it(dashboard()))) == []


@pytest.mark.parametrize("wrong", ["legende", "unitt"])
def test_a_key_that_grafana_does_not_know_is_found(wrong: str) -> None:
    content = dashboard()
    content["panels"][1]["options"][wrong] = {}
    content["panels"][1]["fieldConfig"]["defaults"][wrong] = "s"

    assert len(list(lost(content, as_grafana_keeps_it(content)))) == 2


def test_every_panel_has_an_id_a_place_of_its_own_a_unit_and_a_sentence() -> None:
    every = dashboard()["panels"]
    cells = [
        (x, y)
        for panel in every
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]

    assert len({panel["id"] for panel in every}) == len(every)
    assert len(set(cells)) == len(cells)
    assert max(x for x, _ in cells) == 23
    for panel in panels():
        assert panel["description"].endswith("."), panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        assert all(target["datasource"]["uid"] == "${datasource}" for target in panel["targets"]), panel["title"]


def test_the_page_lists_every_metric_of_ours() -> None:
    page = (ROOT / "docs/observability.md").read_text()
    ours = {re.sub(r"_(bucket|sum|count)$", "", name) for name in metrics() | emitted() if name.startswith("holdfast_")}

    assert ours <= set(METRIC.findall(page))


def emitted() -> set[str]:
    """Names in the code, with the ending that the kind of metric is given: a gauge has none."""
    endings = {"counter": "_total", "histogram_timedelta": "_seconds", "gauge": ""}
    code = "\n".join(path.read_text() for folder in ("workflows", "activities", "workers") for path in files(folder))
    made = re.findall(r'create_(counter|gauge)\(\s*"(holdfast_\w+)"', code)
    durations = [("histogram_timedelta", name) for name in re.findall(r'_duration\(\s*"(holdfast_\w+)"', code)]
    return {name + endings[kind] for kind, name in [*made, *durations]}


def files(folder: str) -> Iterator[Path]:
    return (FOLDER.parent / folder).glob("*.py")
