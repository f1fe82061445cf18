"""Workflow code of today replays what was decided by the code of then."""

import os
import subprocess
import sys

import pytest
from temporalio import workflow
from temporalio.worker import Replayer
from temporalio.workflow import NondeterminismError

from models.rollout import RolloutRequest
from models.temporal_names import ROLLOUT_WORKFLOW
from runtime.plugin import holdfast_plugin
from tests.replay.replay_all import HISTORIES, load
from tests.replay.scenarios import SCENARIOS
from workflows.alert_rules import AlertRules
from workflows.incident import Incident
from workflows.rollout import Rollout
from workflows.service_guard import ServiceGuard
from workflows.silences import Silences

MAX_EVENTS = 2000


@pytest.mark.parametrize("name", sorted(path.stem for path in HISTORIES.glob("*.json")))
async def test_a_recorded_history_replays(name: str) -> None:
    replayer = Replayer(workflows=[Rollout, ServiceGuard, Incident, Silences, AlertRules], plugins=[holdfast_plugin()])

    await replayer.replay_workflow(load(name))


def test_every_path_is_recorded() -> None:
    assert {path.stem for path in HISTORIES.glob("*.json")} >= set(SCENARIOS), "run `make record`"


@pytest.mark.parametrize("seed", ["0", pytest.param("1", marks=pytest.mark.full), "4242"])
def test_it_replays_whatever_the_order_of_sets(seed: str) -> None:
    """Another hash seed is another order of sets; nothing but a new interpreter takes one."""
    run = subprocess.run(
        [sys.executable, "-m", "tests.replay.replay_all"],
        env={**os.environ, "PYTHONHASHSEED": seed},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert run.returncode == 0, run.stderr[-3000:]


@workflow.defn(name=ROLLOUT_WORKFLOW)
class AnotherOrder:
    """Negative control: asks for nothing that the recorded rollouts asked for."""

    @workflow.run
    async def run(self, request: RolloutRequest) -> None:
        await workflow.sleep(1)


async def test_code_that_decides_otherwise_is_found_out() -> None:
    replayer = Replayer(workflows=[AnotherOrder], plugins=[holdfast_plugin()])

    with pytest.raises(NondeterminismError):
        await replayer.replay_workflow(load("promoted"))


@pytest.mark.parametrize("name", sorted(SCENARIOS))
def test_histories_stay_short(name: str) -> None:
    assert len(load(name).events) < MAX_EVENTS
