"""Alert rules of the catalog, from `holdfast rules apply` to the incident, and back."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.providers.json_server import Asked, JsonServer, Reply, json_server, of_json
from tests.whole.platform import Json, Platform, until

RULES = """
groups:
  - name: disks
    interval: 1s
    rules:
      - alert: DiskFull
        expr: disk_used > 0.9
        for: 1s
        labels: {severity: warning, service: DISKS}
        annotations: {summary: "{{ $labels.disk }} is {{ $value | humanizePercentage }} full"}
"""


@dataclass
class Disks:
    """A catalog whose rules look at disks, and a Prometheus that knows how full they are."""

    platform: Platform
    server: JsonServer
    catalog: Path
    service: str

    def full(self, **disks: float) -> None:
        """As Prometheus answers to the rule's expression: those above its bound."""
        metrics = [{"metric": {"disk": name}, "value": [0, str(used)]} for name, used in disks.items() if used > 0.9]

        def answer(_: Asked) -> Reply:
            return of_json({"status": "success", "data": {"resultType": "vector", "result": metrics}})

        self.server.answer = answer

    def holdfast(self, *args: str, expect: int = 0) -> Json:
        run = self.platform.run(*args, "--json", "--catalog", str(self.catalog))
        assert run.returncode == expect, run.stdout + run.stderr
        found: Json = json.loads(run.stdout) if run.stdout else {"error": run.stderr}
        return found

    def incidents(self) -> list[Json]:
        found = self.holdfast("incident", "list", self.service)
        incidents: list[Json] = found["incidents"]
        return incidents


@pytest.fixture
def disks(platform: Platform, tmp_path: Path) -> Iterator[Disks]:
    name = f"disks-{tmp_path.name.replace('_', '-')[:40]}"
    with json_server() as server:
        shop = {
            "deploy": {"command": ["shop", "{port}"]},
            "traffic": {"listen": "127.0.0.1:1"},
            "rollout": {"steps": [{"weight": "10%", "bake": "1s"}]},
        }
        incidents = {
            "severity": [{"when": "query > 99%", "severity": "SEV1"}],
            "silences": [
                {"name": "scratch", "match": "disk=scratch", "from": "2020-01-01 00:00", "until": "2099-01-01 00:00"}
            ],
        }
        alerts = {"disks": {"url": server.url, "files": ["rules.yml"]}}
        catalog = tmp_path / "holdfast.yaml"
        environment = f"test-{name}"[:60]
        catalog.write_text(
            json.dumps(
                {
                    "version": 1,
                    "environment": environment,
                    "services": {"shop": shop},
                    "incidents": incidents,
                    "alerts": alerts,
                }
            )
        )
        (tmp_path / "rules.yml").write_text(RULES.replace("DISKS", name))
        disks = Disks(platform, server, catalog, name)
        disks.full()
        yield disks
        platform.run("rules", "remove", "disks", "--catalog", str(catalog))


def test_what_fires_is_an_incident_by_the_catalogs_rules_and_what_clears_resolves_it(disks: Disks) -> None:
    assert disks.holdfast("rules", "apply") == {"rules": {"disks": 1}, "removed": []}
    disks.full(home=0.95, data=0.995, scratch=0.97, spare=0.2)
    until(lambda: len(disks.incidents()) == 2, "an incident of each disk that is not silenced", within=60)

    assert sorted(each["severity"] for each in disks.incidents()) == ["SEV1", "SEV3"]
    (known,) = disks.holdfast("rules", "list")["sets"]
    assert known == {"name": "disks", "rules": 1, "firing": 3, "not_evaluated": []}
    shown = disks.holdfast("rules", "show", "disks")
    assert [why for why in shown["suppressed"].values() if "the silence scratch is in force" in why]
    disks.full(home=0.5)
    until(lambda: {each["phase"] for each in disks.incidents()} == {"resolved"}, "both to be resolved", within=60)


def test_a_source_that_is_away_resolves_nothing_and_is_shown(disks: Disks) -> None:
    disks.full(home=0.95)
    disks.holdfast("rules", "apply")
    until(disks.incidents, "an incident", within=60)
    disks.server.answer = lambda _: Reply(b"gone", 503)
    until(lambda: disks.holdfast("rules", "list")["sets"][0]["not_evaluated"], "the trouble to be known", within=60)

    text = disks.platform.run("rules", "show", "disks", "--catalog", str(disks.catalog)).stdout
    assert "DiskFull is not evaluated since" in text
    assert "answers 503" in text
    assert [each["phase"] for each in disks.incidents()] == ["triggered"]


def test_rules_that_the_catalog_loses_are_evaluated_no_more(disks: Disks) -> None:
    disks.full(home=0.95)
    disks.holdfast("rules", "apply")
    until(disks.incidents, "an incident", within=60)
    catalog = json.loads(disks.catalog.read_text())
    disks.catalog.write_text(json.dumps({**catalog, "alerts": {}}))

    def removed() -> bool:
        """As soon as Temporal's list has it."""
        return bool(disks.holdfast("rules", "apply")["removed"] == ["disks"])

    until(removed, "the set to be removed", within=60)
    until(lambda: [each["phase"] for each in disks.incidents()] == ["resolved"], "it to be resolved", within=60)
    assert "No alert rules of disks" in disks.holdfast("rules", "show", "disks", expect=3)["error"]
