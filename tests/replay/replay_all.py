"""Replay every recorded history in this interpreter; the exit code tells whether all did."""

import asyncio
import os
import re
import traceback
from collections.abc import AsyncIterator
from pathlib import Path

from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer

from runtime.plugin import holdfast_plugin
from workflows.alert_rules import AlertRules
from workflows.incident import Incident
from workflows.rollout import Rollout
from workflows.service_guard import ServiceGuard
from workflows.silences import Silences

HISTORIES = Path(__file__).parent / "histories"


def load(name: str) -> WorkflowHistory:
    """A history under the id that its workflow had: the ids of its children are made of that."""
    text = (HISTORIES / f"{name}.json").read_text()
    child = re.search(r'"record/(rollout/[^/]+/[^/]+|incident/[^/]+/[^/]+/[^/]+)/', text)
    return WorkflowHistory.from_json(child[1] if child else f"rollout/local/{name}", text)


async def main() -> int:
    replayer = Replayer(workflows=[Rollout, ServiceGuard, Incident, Silences, AlertRules], plugins=[holdfast_plugin()])
    results = await replayer.replay_workflows(_all(), raise_on_replay_failure=False)
    for failure in results.replay_failures.values():
        traceback.print_exception(failure)
    return 1 if results.replay_failures else 0


async def _all() -> AsyncIterator[WorkflowHistory]:
    for path in sorted(HISTORIES.glob("*.json")):
        yield load(path.stem)


if __name__ == "__main__":
    os._exit(asyncio.run(main()))  # the SDK's core may abort an interpreter that shuts down (sdk-python issue 300)
