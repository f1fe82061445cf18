"""What the files in observability/ say, as the tests read it."""

import json
import re
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "observability"
RULES = FOLDER / "prometheus-rules.yml"
CONFIG = FOLDER / "prometheus.yml"
DASHBOARD = FOLDER / "grafana-dashboard.json"
RULE_TESTS = Path(__file__).with_name("rules.yml")
METRIC = re.compile(r"\b(?:temporal|holdfast)_[a-z_]+\b")

Yaml = dict[str, Any]


def read_yaml(path: Path) -> Yaml:
    content: Yaml = YAML(typ="safe").load(path)
    return content


def alerts() -> list[Yaml]:
    return [rule for group in read_yaml(RULES)["groups"] for rule in group["rules"]]


def dashboard() -> Yaml:
    content: Yaml = json.loads(DASHBOARD.read_text())
    return content


def panels() -> list[Yaml]:
    return [panel for panel in dashboard()["panels"] if panel["type"] != "row"]


def expressions() -> dict[str, str]:
    """Every PromQL expression by where it stands."""
    found = {f"alert {alert['alert']}": alert["expr"] for alert in alerts()}
    for panel in panels():
        for target in panel["targets"]:
            found[f"panel {panel['title']}, {target['refId']}"] = target["expr"]
    return found


def metrics() -> set[str]:
    """Every metric that a rule, a panel or a variable of the dashboard asks for."""
    variables = [variable["query"] for variable in dashboard()["templating"]["list"]]
    return set(METRIC.findall(json.dumps([*expressions().values(), *variables])))
