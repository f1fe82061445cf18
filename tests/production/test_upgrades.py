"""Workers are upgraded, with changed workflow code, while rollouts are under way."""

import asyncio
import json
import sys
from collections.abc import Iterator

import pytest
from temporalio.client import Client, WorkflowHistory

from tests.production.changed_rollout import CHANGE
from tests.production.platform import Production, Worker
from tests.whole.platform import Json, Shop, until

pytestmark = pytest.mark.slow

TAKEN = {0, 3}
"""Exit codes of an order that is taken now, or was taken already."""

UPGRADED = (sys.executable, "-m", "tests.production.upgraded_worker")


@pytest.fixture
def versioned(production: Production, request: pytest.FixtureRequest) -> Iterator[Production]:
    """A namespace whose workers have builds; `released` is current."""
    platform = production.in_namespace(f"builds-{request.node.name.split('[')[-1].strip(']').replace('_', '-')[:40]}")
    try:
        platform.until_ready([platform.start_worker("all", build_id="released")])
        make_current(platform, "released")
        yield platform
    finally:
        platform.end_workers()


def start_changed(platform: Production, how: str) -> Worker:
    worker = platform.start_worker("all", command=(*UPGRADED, how), build_id=how)
    platform.until_ready([worker])
    return worker


def make_current(platform: Production, build_id: str) -> str:
    run = platform.run("workers", "current", build_id)
    assert run.returncode == 0, run.stderr
    return run.stdout


def waiting_for_approval(platform: Production) -> Shop:
    """A canary of v2 that waits for a person."""
    shop = platform.shop(steps=[{"weight": "50%", "bake": "1s", "approval": True}], min_requests=1)
    platform.deploy(shop, "v1")
    with platform.traffic(shop, 10):
        begun = platform.run("deploy", shop.name, "v2", "--catalog", str(shop.catalog))
        until(lambda: bool(platform.state(shop).get("question")), "the question", within=60)
    assert begun.returncode == 0, begun.stderr
    return shop


def builds(platform: Production) -> dict[str, Json]:
    shown = json.loads(platform.run("workers", "drained", "--json").stdout)
    return {build["build_id"]: build for build in shown["builds"]}


def history(platform: Production, shop: Shop) -> WorkflowHistory:
    async def fetch() -> WorkflowHistory:
        client = await Client.connect(
            platform.env["HOLDFAST_TEMPORAL_ADDRESS"], namespace=platform.env["HOLDFAST_TEMPORAL_NAMESPACE"]
        )
        return await client.get_workflow_handle(f"rollout/local/{shop.name}").fetch_history()

    return asyncio.run(fetch())


def decided_by(found: WorkflowHistory) -> list[str]:
    """The builds that decided, in order."""
    deciders = [
        event.workflow_task_completed_event_attributes.deployment_version.build_id
        for event in found.events
        if event.HasField("workflow_task_completed_event_attributes")
    ]
    return list(dict.fromkeys(deciders))


def is_changed(found: WorkflowHistory) -> bool:
    return any(CHANGE.encode() in event.SerializeToString() for event in found.events)


@pytest.mark.parametrize(
    ("order", "phase", "alive"),
    [("approve", "promoted", "v2"), pytest.param("abort", "rolled_back", "v1", marks=pytest.mark.full)],
)
def test_rollouts_of_before_and_after_an_upgrade_end_right(
    versioned: Production, order: str, phase: str, alive: str
) -> None:
    old = waiting_for_approval(versioned)
    (released,) = versioned.workers
    start_changed(versioned, "carefully")
    before = builds(versioned)
    said = make_current(versioned, "carefully")
    new = waiting_for_approval(versioned)
    released.process.terminate()
    released.process.wait(timeout=60)
    orders = [versioned.order(order, shop) for shop in (old, new)]
    for shop in (old, new):
        until(lambda shop=shop: versioned.state(shop).get("phase") == phase, f"{shop.name} to be {phase}", within=60)  # type: ignore[misc]
    after = builds(versioned)

    assert [each.returncode for each in orders] == [0, 0]
    assert before["released"]["current"]
    assert not before["carefully"]["needed"]
    assert "before it was released" in said
    assert after["carefully"]["current"]
    assert not after["released"]["needed"]
    assert [versioned.instances(shop.name) for shop in (old, new)] == [{alive: 2}, {alive: 2}]
    assert decided_by(history(versioned, old)) == ["released", "carefully"]
    assert not is_changed(history(versioned, old))
    assert decided_by(history(versioned, new)) == ["carefully"]
    assert is_changed(history(versioned, new))


@pytest.mark.full
def test_a_build_that_cannot_go_on_with_rollouts_is_taken_back(versioned: Production) -> None:
    shop = waiting_for_approval(versioned)
    start_changed(versioned, "carelessly")
    make_current(versioned, "carelessly")
    unheard = versioned.order("approve", shop)
    failed = failed_decisions(history(versioned, shop))
    make_current(versioned, "released")
    until(lambda: versioned.order("approve", shop).returncode in TAKEN, "the order to be heard", within=60)
    until(lambda: versioned.state(shop).get("phase") == "promoted", "the rollout to go on", within=60)

    assert unheard.returncode == 4
    assert failed > 0
    assert versioned.instances(shop.name) == {"v2": 2}


def failed_decisions(found: WorkflowHistory) -> int:
    return sum(event.HasField("workflow_task_failed_event_attributes") for event in found.events)


@pytest.mark.full
def test_a_build_without_workers_is_not_made_current(versioned: Production) -> None:
    run = versioned.run("workers", "current", "never-started")

    assert run.returncode == 3
    assert "HOLDFAST_BUILD_ID=never-started" in run.stderr
    assert builds(versioned)["released"]["current"]
