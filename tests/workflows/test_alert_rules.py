"""A set of alert rules from its first look to its removal."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest_asyncio
from temporalio.client import WorkflowExecutionStatus
from temporalio.testing import WorkflowEnvironment

from models.alert_rules import AlertState
from runtime.plugin import holdfast_plugin
from tests.analysis.rule_factories import a_rule
from tests.factories import SERVER_STARTS_WITHIN
from tests.workflows.harness import until
from tests.workflows.incident_harness import room_on
from tests.workflows.rules_harness import RuledService, ruled_service

FIRED, CLEARED = ("fired", "errors"), ("cleared", "errors")
BAD, GOOD = 0.5, 0.0


@pytest_asyncio.fixture(scope="module")
async def environment(temporal_cli: Path) -> AsyncIterator[WorkflowEnvironment]:
    """A real server: the time-skipping one loses a workflow whose activity ends while it is being cut off, and the time
    of the looks is the fake source's own.
    """
    environment = await WorkflowEnvironment.start_local(
        dev_server_existing_path=str(temporal_cli),
        dev_server_startup_timeout=SERVER_STARTS_WITHIN,
        plugins=[holdfast_plugin()],
    )
    async with room_on(environment) as room:
        await room.rest()
        yield environment


@pytest_asyncio.fixture
async def shop(environment: WorkflowEnvironment) -> AsyncIterator[RuledService]:
    async with ruled_service(environment.client) as shop:
        yield shop
        if await _runs(shop):
            await shop.handle.terminate()


async def _runs(shop: RuledService) -> bool:
    return (await shop.handle.describe()).status is WorkflowExecutionStatus.RUNNING


async def test_what_fires_is_sent_and_what_clears(shop: RuledService) -> None:
    await shop.begin()
    shop.see(errors=GOOD, times=3)
    shop.see(errors=BAD)
    await shop.until_said(FIRED)
    shop.see(errors=BAD, times=5)
    shop.see(errors=GOOD)
    await shop.until_said(FIRED, CLEARED)

    assert [batch.request.rpartition("/")[2] for batch in shop.delivery.batches] == ["1", "2"]


async def test_many_looks_at_which_nothing_changes_cost_no_events(shop: RuledService) -> None:
    await shop.begin()
    shop.see(errors=GOOD, times=500)
    shop.see(errors=BAD)
    await shop.until_said(FIRED)

    assert len([event async for event in shop.handle.fetch_history_events()]) < 40


async def test_a_batch_that_is_not_taken_is_sent_again_under_its_name(shop: RuledService) -> None:
    shop.delivery.failures = 3
    await shop.begin()
    shop.see(errors=BAD)
    await shop.until_said(FIRED)

    assert len(shop.delivery.attempts) == 4
    assert len(set(shop.delivery.attempts)) == 1


async def test_applied_again_without_an_edit_nothing_changes(shop: RuledService) -> None:
    await shop.begin()
    shop.see(errors=BAD)
    await shop.until_said(FIRED)
    await shop.begin()
    shop.see(errors=BAD, times=3)
    shop.see(errors=GOOD)

    await shop.until_said(FIRED, CLEARED)


async def test_an_edit_counts_at_once_and_what_is_pending_goes_on(shop: RuledService) -> None:
    await shop.begin(a_rule("error_rate > 5% for 1h"))
    shop.see(errors=BAD, times=3)

    async def pending() -> bool:
        return not shop.source._queue(shop.ref.service).qsize()

    await until(pending, "the looks to be taken")
    await shop.begin(a_rule("error_rate > 5% for 30s"))
    await shop.until_watched(lambda rules: rules.rules[0].lasting == timedelta(seconds=30), "the edited rule")
    shop.see(errors=BAD)

    await shop.until_said(FIRED)


async def test_what_fires_by_a_rule_that_was_taken_out_is_cleared(shop: RuledService) -> None:
    await shop.begin()
    shop.see(errors=BAD)
    await shop.until_said(FIRED)
    await shop.begin(a_rule("p99 > 1s", name="slow"))

    await shop.until_said(FIRED, CLEARED)
    shop.see(slow=2.0)
    await shop.until_said(FIRED, CLEARED, ("fired", "slow"))


async def test_removed_it_clears_what_fires_and_ends(shop: RuledService) -> None:
    await shop.begin()
    shop.see(errors=BAD)
    await shop.until_said(FIRED)
    await shop.remove()
    await shop.handle.result()

    assert shop.said == [FIRED, CLEARED]


async def test_removed_and_applied_it_begins_anew(shop: RuledService) -> None:
    await shop.begin()
    await shop.remove()
    await shop.handle.result()
    await shop.begin()
    shop.see(errors=BAD)

    await shop.until_said(FIRED)


async def test_a_cancel_is_not_heard_neither_while_it_watches_nor_just_as_something_is_sent(shop: RuledService) -> None:
    await shop.begin()
    for turn in range(8):
        said = [FIRED, CLEARED] * turn
        shop.see(errors=BAD)
        await shop.until_said(*said, FIRED)
        await shop.handle.cancel()
        shop.see(errors=GOOD)
        await shop.until_said(*said, FIRED, CLEARED)


async def test_a_watch_that_ends_for_good_is_said_and_tried_again(shop: RuledService) -> None:
    shop.source.failing.add(shop.ref.service)
    await shop.begin()
    blind = f"alert rules of {shop.ref.service} are not evaluated, or not all: something may fail unheard"
    await shop.until_said(("fired", blind))
    assert "the result is too large" in shop.delivery.batches[-1].alerts[0].description
    shop.source.failing.clear()
    await shop.begin(a_rule("error_rate > 10%"))  # an order is heeded at once
    shop.see(errors=BAD)

    await shop.until_said(("fired", blind), FIRED, ("cleared", blind))


async def test_what_opens_nothing_is_tried_again_soon(shop: RuledService) -> None:
    shop.delivery.suppressing = "the silence nightly is in force"
    await shop.begin()
    shop.see(errors=BAD)
    await shop.until_said(FIRED)
    shop.delivery.suppressing = ""

    async def known() -> bool:
        return bool((await shop.state()).suppressed)

    await until(known, "the suppression to be known")
    shop.see(errors=BAD, times=25)

    await shop.until_said(FIRED, FIRED)
    assert not (await shop.state()).suppressed


async def test_a_full_run_goes_on_in_another_with_all_that_it_knows(shop: RuledService) -> None:
    await shop.begin_with(events_per_run=30)
    first = (await shop.handle.describe()).run_id
    for turn in range(1, 6):
        shop.see(errors=BAD)
        shop.see(errors=GOOD)
        await shop.until_said(*[FIRED, CLEARED] * turn)
    shop.see(errors=BAD)
    await shop.until_said(*[FIRED, CLEARED] * 5, FIRED)

    assert (await shop.handle.describe()).run_id != first
    assert len({batch.request for batch in shop.delivery.batches}) == 11
    (alert,) = (await shop.state()).standing.alerts.values()
    assert alert.state is AlertState.FIRING
