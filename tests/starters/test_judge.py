"""`holdfast judge noise`: from the records of rollouts, and from a real Prometheus that remembers a week."""

import asyncio
import json
import math
import os
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from models.evidence_trail import RolloutKey, TrailSample, VersionSample
from models.ids import rollout_id
from models.judge_spec import CompareSpec
from models.record import RolloutRecord, ToRecord
from models.rollout import Phase
from records.store import RecordStore
from runtime.catalog_file import load_catalog
from starters.exits import CommandError, Exit
from starters.main import app
from tests.factories import SHOP
from tests.providers.prometheus_harness import running_prometheus
from tests.providers.prometheus_past import Minutes, openmetrics
from tests.records.factories import a_record

NOW = datetime.now(UTC).replace(second=0, microsecond=0)
LABELS = '{app="{{service}}",version="{{version}}"}'
PHASES = {"v1": Phase.PROMOTED, "v2": Phase.ROLLED_BACK}
STEPS = [{"weight": "25%", "bake": "1h"}]


@pytest.fixture
def home(home: Path, tmp_path: Path) -> Path:
    written(tmp_path)
    return home


def written(folder: Path, metrics: dict[str, object] | None = None, noise: dict[str, object] | None = None) -> None:
    shop = {
        "deploy": {"command": ["run", "{port}"]},
        "traffic": {"listen": "127.0.0.1:18080"},
        "metrics": metrics or {"provider": "envoy"},
        "rollout": {"steps": STEPS, "judge": {"compare": {"noise": noise} if noise else {}}},
    }
    (folder / "holdfast.yaml").write_text(json.dumps({"version": 1, "services": {"shop": shop}}))


def wandering(seed: int, minutes: int, swing: float, rho: float = 0.9) -> list[float]:
    """A rate of 1% whose logarithm is AR(1) from minute to minute."""
    chance = np.random.default_rng(seed)
    log = chance.normal(0, swing)
    rates = []
    for shock in chance.normal(0, swing * math.sqrt(1 - rho**2), minutes):
        log = rho * log + shock
        rates.append(min(1.0, 0.01 * math.exp(log - swing**2 / 2)))
    return rates


def counted(seed: int, minutes: int, requests: int, swing: float) -> Minutes:
    chance = np.random.default_rng([seed, 1])
    return [(requests, int(chance.binomial(requests, rate))) for rate in wandering(seed, minutes, swing)]


def a_rollout(run_id: str, hours_ago: int, version: str, before: str, phase: Phase = Phase.PROMOTED) -> RolloutRecord:
    record = a_record(run_id, phase=phase, started_at=NOW - timedelta(hours=hours_ago))
    return record.model_copy(update={"version": version, "stable_before": before, "workflow_id": rollout_id(SHOP)})


def trail(record: RolloutRecord, one: Minutes, rest: Minutes) -> list[TrailSample]:
    return [
        TrailSample(
            at=record.started_at + timedelta(minutes=minute + 1),
            seconds=60.0,
            weight=25.0,
            candidate=record.version,
            stable=record.stable_before,
            of_candidate=VersionSample(requests=n, bad=x),
            of_stable=VersionSample(requests=m, bad=y),
        )
        for minute, ((n, x), (m, y)) in enumerate(zip(one, rest, strict=True))
    ]


def recorded(home: Path, *rollouts: tuple[RolloutRecord, Sequence[TrailSample]]) -> None:
    async def write() -> None:
        async with RecordStore(None, home) as store:
            for record, samples in rollouts:
                await store.write(ToRecord(rollout=record))
                await store.add_samples(RolloutKey(workflow_id=record.workflow_id, run_id=record.run_id), samples)

    asyncio.run(write())


def a_night(home: Path, run_id: str = "1f0c9a3e-7", swing: float = 0.3, phase: Phase = Phase.PROMOTED) -> None:
    """Of one artefact under two names."""
    minutes = 12 * 60
    record = a_rollout(run_id, 20, "v1-again", "v1", phase)
    recorded(home, (record, trail(record, counted(1, minutes, 2000, swing), counted(2, minutes, 6000, swing))))


def noise(*words: str) -> Result:
    return CliRunner().invoke(app, ["judge", "noise", "shop", *words])


def refused(*words: str) -> CommandError:
    result = noise(*words)
    assert isinstance(result.exception, CommandError), result.output
    return result.exception


def test_noise_is_learnt_from_a_rollout_of_equals_and_its_block_is_for_the_catalog(home: Path) -> None:
    a_night(home, phase=Phase.ROLLED_BACK)

    result = noise("--rollout", "1f0c9a3e")

    assert result.exit_code == 0, result.output
    assert "shop beside itself, by the records of rollouts, 1 pair of groups: 720 minutes" in result.stdout
    block = next(line for line in result.stdout.splitlines() if line.startswith("  noise: "))
    catalog = Path(os.environ["HOLDFAST_CATALOG"])
    catalog.write_text(
        "version: 1\nservices:\n  shop:\n    deploy: {command: [run, '{port}']}\n    traffic: {listen: '127.0.0.1:1'}\n"
        f"    rollout:\n      steps: [{{weight: 25%, bake: 1h}}]\n      judge:\n        compare:\n        {block}\n"
    )
    compare = load_catalog(catalog).services["shop"].rollout.judge.compare
    assert compare.noise
    assert compare.noise.own > 0.8
    assert compare.noise.minutes == 720
    assert compare.noise.rate == pytest.approx(1.0, rel=0.1)
    assert "12 watches are too few to tell whether at most 1% are rolled back; 381 show it" in result.stderr
    assert "Only rollouts that were promoted" not in result.stderr


def test_what_takes_long_says_on_a_terminal_what_it_does(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    a_night(home)
    quiet = noise()
    monkeypatch.setenv("FORCE_COLOR", "1")

    told = noise()

    assert "judging with what was learnt" in told.stderr
    assert "judging" not in quiet.stderr
    assert told.stdout == quiet.stdout


def test_rollouts_that_were_promoted_count_as_equals_and_it_says_what_that_hides(home: Path) -> None:
    a_night(home)
    bad = a_rollout("2", 4, "v2", "v1-again", Phase.ROLLED_BACK)
    recorded(home, (bad, trail(bad, [(2000, 400)] * 60, [(6000, 60)] * 60)))

    result = noise("--json")
    report = json.loads(result.stdout)

    assert result.exit_code == 0
    assert report["minutes"] == 720
    assert report["source"] == "the records of rollouts"
    assert len(report["periods"]) == 1
    assert report["periods"][0].startswith("v1-again beside v1 on ")
    assert CompareSpec.model_validate_json(json.dumps({"noise": report["noise"]})).noise
    assert report["as_set"]["watches"] == report["with_noise"]["watches"] == 12
    assert any(doubt.startswith("Only rollouts that were promoted count as equals") for doubt in report["doubts"])


def test_too_little_past_is_said_and_teaches_nothing(home: Path) -> None:
    record = a_rollout("3", 2, "v2", "v1")
    recorded(home, (record, trail(record, [(20, 0)] * 6, [(60, 1)] * 6)))

    result = noise()

    assert result.exit_code == 0
    assert "noise:" not in result.stdout
    assert "by the catalog as it stands  0 of 1, 0%" in result.stdout
    assert "Only 6 requests were bad, and noise is not learnt from fewer than 30" in result.stderr


def test_without_equals_it_says_how_to_come_by_some(home: Path) -> None:
    asyncio.run(_tables(home))
    nothing = refused()
    assert nothing.code == Exit.REFUSED
    assert "deploy what runs already under another version name" in str(nothing)

    unseen = a_rollout("4", 2, "v2", "v1")
    recorded(home, (unseen, []))
    assert "nothing was recorded of both versions" in str(refused())
    assert "is none of the recorded rollouts" in str(refused("--rollout", "9"))
    assert "No rollout" in str(refused("--since", "1h"))


async def _tables(home: Path) -> None:
    async with RecordStore(None, home) as store:
        await store.migrate()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--since", "soon"], "--since: 'soon' is not a duration"),
        (["--since", "0s"], "--since: 0s is not above 0s and up to 365d"),
        (["--share", "a lot"], "--share: 'a lot' is not a percentage"),
        (["--share", "0%"], "more than 0%"),
        (["--version", "v1"], "--version names what Prometheus is asked about"),
        (["--from", "prometheus", "--rollout", "1"], "--rollout names what is in the records"),
        (["--from", "prometheus"], "no metrics of the provider prometheus"),
    ],
)
def test_what_cannot_be_meant_is_refused(home: Path, words: list[str], sentence: str) -> None:
    error = refused(*words)

    assert error.code == Exit.BAD_INPUT
    assert sentence in str(error)


async def test_instances_of_a_version_teach_what_prometheus_remembers_of_them(home: Path, tmp_path: Path) -> None:
    instances = {name: counted(seed, 2 * 24 * 60, 1000, 0.3) for seed, name in enumerate("abcd")}
    past = openmetrics("v1", instances, NOW)
    served = [a_rollout(version, 99, version, "v0", phase) for version, phase in PHASES.items()]
    await asyncio.to_thread(recorded, home, *((record, ()) for record in served))
    async with running_prometheus(tmp_path / "prometheus", {}, past) as url:
        queries = {"requests": f"http_requests_total{LABELS}", "errors": f"http_errors_total{LABELS}"}
        written(tmp_path, {"provider": "prometheus", "url": url, **queries})
        options = ("--since", "3d", "--version", "v1", "--json")
        result = await asyncio.to_thread(noise, *options)
        report = json.loads(result.stdout)
        written(tmp_path, {"provider": "prometheus", "url": url, **queries}, report["noise"])
        again = json.loads((await asyncio.to_thread(noise, *options)).stdout)
        other = await asyncio.to_thread(noise, "--version", "v2")
        by_history = await asyncio.to_thread(noise, "--since", "1h", "--share", "50%")
        written(tmp_path, {"provider": "prometheus", "url": url, **queries, "instance_label": "app"})
        together = await asyncio.to_thread(noise, "--version", "v1")

    assert result.exit_code == 0, result.output
    assert report["periods"] == [f"v1: {name}:80 beside the others" for name in "abcd"]
    assert report["minutes"] == pytest.approx(4 * 2 * 24 * 60, abs=20)
    assert report["as_set"]["watches"] >= 185
    assert report["as_set"]["low"] > 0.01
    assert report["with_noise"]["rolled_back"] / report["with_noise"]["watches"] <= 0.01
    assert again["as_set"]["rolled_back"] / again["as_set"]["watches"] <= 0.01
    assert "by Prometheus, 1 pair of groups: " in by_history.stdout  # how long is counted back from now
    assert "minutes are little" in by_history.stderr
    assert "Prometheus remembers nothing of v2" in str(other.exception)
    assert "at no time did two instances of one version answer side by side (seen: shop)" in str(together.exception)
