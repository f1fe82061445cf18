"""Silences that people keep, as one workflow remembers them."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
import pytest_asyncio
from temporalio.client import WorkflowExecutionStatus

from activities.silence_board import SilenceRefusedError
from analysis.silences import in_force
from models.record import ToRecord
from tests.workflows.harness import Bench, until
from tests.workflows.silences_harness import Quiet, keeping_silences
from workflows.silences import Silences


@pytest_asyncio.fixture
async def quiet(bench: Bench) -> AsyncIterator[Quiet]:
    async with keeping_silences(bench.client) as quiet:
        yield quiet


async def test_what_nobody_ever_asked_for_is_not_there(quiet: Quiet) -> None:
    assert await quiet.read() == ()


async def test_what_is_added_can_be_read_at_once_and_what_is_expired_silences_nothing(quiet: Quiet) -> None:
    kept = await quiet.add("s-1", comment="a move")
    assert await quiet.read() == (kept,)
    assert in_force(await quiet.read(), kept.created_at)
    ended = await quiet.expire("s-1", by="bob")
    assert (ended.expired_by, await quiet.read()) == ("bob", (ended,))
    assert in_force(await quiet.read(), kept.created_at) == ()


async def test_of_many_at_once_none_is_lost_and_the_same_again_is_one(quiet: Quiet) -> None:
    names = [f"s-{number}" for number in range(12)]
    await asyncio.gather(*(quiet.add(name) for name in [*names, *names]))
    assert sorted(await quiet.ids()) == sorted(names)


async def test_what_makes_no_sense_is_refused_with_why(quiet: Quiet) -> None:
    with pytest.raises(SilenceRefusedError, match="it has ended already"):
        await quiet.add("s-1", until="2021-01-01 00:00")
    with pytest.raises(SilenceRefusedError, match="there is no silence s-9"):
        await quiet.expire("s-9")
    assert await quiet.read() == ()


async def test_each_order_is_in_the_audit_log_once(quiet: Quiet) -> None:
    await quiet.add("s-1")
    await quiet.add("s-1")
    await quiet.expire("s-1")
    await quiet.expire("s-1")
    history = await quiet.handle.fetch_history()
    started = [
        event.start_child_workflow_execution_initiated_event_attributes.input.payloads[0].data
        for event in history.events
        if event.HasField("start_child_workflow_execution_initiated_event_attributes")
    ]
    entries = [entry for each in started for entry in ToRecord.model_validate_json(each).audit]
    assert [(entry.what, entry.who, str(entry.ref)) for entry in entries] == [
        ("silence", "ada", f"{quiet.environment}/shop"),
        ("expire silence", "ada", f"{quiet.environment}/shop"),
    ]
    assert "s-1: service=shop, from 2020-01-01 00:00 UTC until 2099-01-01 00:00 UTC" in entries[0].note


async def test_all_of_it_goes_through_continuing_as_new(quiet: Quiet) -> None:
    first = await quiet.begin(updates_per_run=3)
    for number in range(3):
        await quiet.add(f"s-{number}")
    await quiet.until_run_ends(first)
    await quiet.add("s-3")
    assert await quiet.ids() == [f"s-{number}" for number in range(4)]


async def test_what_ended_is_forgotten_after_a_week(fresh_bench: Bench) -> None:
    async with keeping_silences(fresh_bench.client) as quiet:
        await quiet.add("s-1")
        await quiet.expire("s-1")
        await fresh_bench.skip(timedelta(days=8))
        await quiet.add("s-2")
        assert await quiet.ids() == ["s-2"]


async def test_a_cancellation_makes_it_forget_nothing(quiet: Quiet) -> None:
    await quiet.add("s-1")
    await quiet.handle.cancel()

    async def cancelled() -> bool:
        history = await quiet.handle.fetch_history()
        return any(event.HasField("workflow_execution_cancel_requested_event_attributes") for event in history.events)

    await until(cancelled, "the cancellation to be heard")
    await quiet.add("s-2")
    assert await quiet.ids() == ["s-1", "s-2"]
    assert (await quiet.handle.describe()).status is WorkflowExecutionStatus.RUNNING


async def test_it_is_read_whether_a_worker_runs_or_not(bench: Bench) -> None:
    async with keeping_silences(bench.client) as quiet:
        await quiet.add("s-1")
    assert await quiet.ids() == ["s-1"]


async def test_one_that_was_terminated_silences_nothing(quiet: Quiet) -> None:
    await quiet.add("s-1")
    await quiet.handle.terminate()
    assert await quiet.read() == ()
    assert (await quiet.handle.query(Silences.state)).silences  # as it was when it ended, for whoever looks into it
    await quiet.add("s-2")
    assert await quiet.ids() == ["s-2"]
