"""What goes on record of a rollout, and that it waits for no database."""

import uuid
from typing import Any

import pytest
from temporalio import workflow
from temporalio.client import WithStartWorkflowOperation
from temporalio.common import WorkflowIDConflictPolicy

from models.ids import ServiceRef, parse_rollout_id, rollout_id
from models.record import RolloutRecord
from models.rollout import Instruction, Phase, Successor
from models.temporal_names import TaskQueue
from tests.factories import a_request, unhealthy
from tests.workflows.harness import ADA, Bench, refused, until, until_phase
from tests.workflows.world import FakeWorld
from workflows import bookkeeping
from workflows.recording import hand_over
from workflows.rollout import Rollout


async def last_picture(world: FakeWorld) -> RolloutRecord:
    """The one that was handed over when the rollout ended."""

    async def written() -> bool:
        return any(entries.rollout and entries.rollout.ended_at for entries in world.recorded)

    await until(written, "the last picture")
    pictures = [entries.rollout for entries in world.recorded if entries.rollout]
    return max(pictures, key=lambda picture: picture.revision)


def audit(world: FakeWorld) -> list[tuple[str, str, str]]:
    """Who did what and what became of it, each entry once."""
    entries = {entry.key: entry for entries in world.recorded for entry in entries.every_audit}
    return [(entry.who, entry.what, entry.outcome) for _, entry in sorted(entries.items())]


def slow_hand_over(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """The hand-over of a last picture waits until what this returns is empty."""

    async def slowly(*given: Any, **named: Any) -> None:
        while held:
            await workflow.sleep(0.1)
        await hand_over(*given, **named)

    held = [True]
    monkeypatch.setattr(bookkeeping, "hand_over", slowly)
    return held


async def test_a_rollout_is_recorded_from_its_beginning_to_its_end(bench: Bench) -> None:
    world = FakeWorld()
    world.verdicts.append(unhealthy())
    handle = await bench.start(world)
    await handle.result()
    last = await last_picture(world)

    assert last.phase is Phase.ROLLED_BACK
    assert last.stable_before == "v1"
    assert last.run_id == handle.result_run_id
    assert last.verdict is not None
    assert last.exposed_at is not None
    assert last.decided_at is not None
    assert last.off_at is not None
    assert last.exposed_at <= last.decided_at <= last.off_at <= (last.ended_at or last.off_at)
    assert audit(world) == [("ada", "deploy", "accepted"), ("ada", "deploy", "rolled_back")]


async def test_every_order_is_on_the_audit_log_with_who_and_from_where(bench: Bench) -> None:
    world = FakeWorld()
    world.endless.add("watch")
    handle = await bench.start(world)
    await world.watching.wait()
    await handle.execute_update(Rollout.pause, Instruction(by="bob", note="lunch", from_where="command@laptop"))
    await until_phase(handle, Phase.PAUSED)
    await handle.execute_update(Rollout.resume, ADA)
    await handle.execute_update(Rollout.promote, ADA)
    await handle.result()
    await last_picture(world)

    assert audit(world) == [
        ("ada", "deploy", "accepted"),
        ("bob", "pause", "accepted"),
        ("ada", "resume", "accepted"),
        ("ada", "promote", "accepted"),
        ("ada", "deploy", "promoted"),
    ]
    entries = [entry for entries in world.recorded for entry in entries.every_audit]
    assert {(entry.from_where, entry.note) for entry in entries if entry.what == "pause"} == {
        ("command@laptop", "lunch")
    }


async def test_a_database_that_is_away_holds_nothing_up_and_loses_nothing(bench: Bench) -> None:
    world = FakeWorld()
    world.endless.add("records")
    handle = await bench.start(world)
    result = await handle.result()
    before = list(world.recorded)
    world.endless.clear()
    last = await last_picture(world)

    assert result.outcome is Phase.PROMOTED
    assert before == []
    assert last.phase is Phase.PROMOTED
    assert audit(world) == [("ada", "deploy", "accepted"), ("ada", "deploy", "promoted")]


async def test_each_of_two_rollouts_in_a_row_has_a_record_of_its_own(real_bench: Bench) -> None:
    world = FakeWorld()
    world.endless.add("watch")
    handle = await real_bench.start(world)
    await world.watching.wait()
    newer = a_request("v3").model_copy(update={"ref": parse_rollout_id(handle.id), "id": "newer"})
    world.endless.clear()
    await handle.execute_update(Rollout.follow, Successor(request=newer, supersede=True))
    await handle.result()

    async def both() -> bool:
        return len({e.rollout.run_id for e in world.recorded if e.rollout and e.rollout.ended_at}) == 2

    await until(both, "both records")
    ended = {e.rollout.version: e.rollout.phase for e in world.recorded if e.rollout and e.rollout.ended_at}
    assert ended == {"v2": Phase.ROLLED_BACK, "v3": Phase.PROMOTED}


async def test_an_order_that_waited_for_workers_together_with_its_rollout_is_on_the_audit_log(bench: Bench) -> None:
    world, ref = FakeWorld(), ServiceRef(environment="local", service=f"shop-{uuid.uuid4().hex[:8]}")
    bench.worlds.by_service[ref.service] = world
    await bench.client.execute_update_with_start_workflow(
        Rollout.abort,
        ADA,
        start_workflow_operation=WithStartWorkflowOperation(
            Rollout.run,
            a_request(ref=ref),
            id=rollout_id(ref),
            task_queue=TaskQueue.ROLLOUTS,
            id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
        ),
    )
    last = await last_picture(world)

    assert last.phase is Phase.FAILED
    assert world.effects == []
    assert audit(world) == [("ada", "deploy", "accepted"), ("ada", "abort", "accepted"), ("ada", "deploy", "failed")]


async def test_what_is_ordered_while_the_last_picture_is_handed_over_is_on_the_audit_log_too(
    real_bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = slow_hand_over(monkeypatch)
    world = FakeWorld()
    handle = await real_bench.start(world)
    await until_phase(handle, Phase.PROMOTED)
    newer = a_request("v3").model_copy(update={"ref": parse_rollout_id(handle.id), "id": "newer"})
    await handle.execute_update(Rollout.follow, Successor(request=newer))
    held.clear()
    await handle.execute_update(Rollout.follow, Successor(request=newer.model_copy(update={"requested_by": "bob"})))
    await handle.result()

    async def heard() -> bool:
        return {("ada", "deploy", "promoted"), ("bob", "deploy", "accepted")} <= set(audit(world))

    await until(heard, "both orders to be recorded")
    orders = [entry for entries in world.recorded for entry in entries.every_audit if "comes next" in entry.why]
    assert {(entry.who, entry.key.partition("/")[0] == handle.result_run_id) for entry in orders} == {
        ("ada", True), ("bob", True),
    }  # fmt: skip


async def test_a_rollout_that_found_nothing_to_do_is_not_told_to_abort(
    real_bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = slow_hand_over(monkeypatch)
    handle = await real_bench.start(FakeWorld(), a_request("v1"))
    await until_phase(handle, Phase.UNCHANGED)
    why = await refused(handle.execute_update(Rollout.abort, ADA))
    held.clear()

    assert "decided already" in why
    assert (await handle.result()).outcome is Phase.UNCHANGED
