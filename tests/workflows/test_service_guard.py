"""A service's guard, asked by workflows."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
import pytest_asyncio
from temporalio.client import WorkflowExecutionStatus, WorkflowUpdateFailedError

from analysis.guarding import MAY_NOT_OVERLAP
from models.freezes import FreezeSpec
from models.guard import Grant, LeaseKind, LeaseOutcome
from models.temporal_names import SearchAttribute
from tests.factories import WHEN, an_acquire
from tests.workflows.guard_harness import GuardedService, Holder, answer_of, end, holders, rules, until_ended
from tests.workflows.harness import Bench, until
from tests.workflows.holder import HoldsALease

CHAOS, REMEDIATION, ROLLOUT, SCALING = LeaseKind.CHAOS, LeaseKind.REMEDIATION, LeaseKind.ROLLOUT, LeaseKind.SCALING


@pytest_asyncio.fixture
async def shop(bench: Bench) -> AsyncIterator[GuardedService]:
    async with holders(bench.client):
        yield GuardedService(bench.client)


@pytest_asyncio.fixture
async def fresh_shop(fresh_bench: Bench) -> AsyncIterator[GuardedService]:
    async with holders(fresh_bench.client):
        yield GuardedService(fresh_bench.client)


async def test_who_asks_first_is_granted_and_the_next_once_it_has_ended(shop: GuardedService) -> None:
    first = await shop.granted(version="v2")
    refusal = await shop.refused(version="v3")
    await end(first, LeaseOutcome.PROMOTED)

    assert refusal.why == f"the rollout of v2 by {first.id} is under way, and two versions cannot take over at once"
    await shop.granted(version="v3")
    assert [lease.version for lease in (await shop.state()).leases] == ["v3"]


@pytest.mark.parametrize(("held", "asked"), MAY_NOT_OVERLAP)
async def test_what_may_not_overlap_is_refused_in_either_order(
    shop: GuardedService, held: LeaseKind, asked: LeaseKind
) -> None:
    for first, second in ((held, asked), (asked, held)):
        holder = await shop.granted(first)
        assert MAY_NOT_OVERLAP[held, asked] in (await shop.refused(second)).why
        await end(holder, LeaseOutcome.DONE)


async def test_of_many_that_ask_at_once_exactly_one_is_granted(shop: GuardedService) -> None:
    started = await asyncio.gather(*(shop.start() for _ in range(8)))
    answers = await asyncio.gather(*(answer_of(holder) for holder in started))

    assert [type(answer) for answer in answers].count(Grant) == 1
    assert len((await shop.state()).leases) == 1


async def test_a_holder_that_was_terminated_frees_its_lease_when_the_next_asks(shop: GuardedService) -> None:
    dead = await shop.granted(version="v2")
    await dead.terminate()
    assert len((await shop.state()).leases) == 1, "nobody has asked yet"
    alive = await shop.granted(version="v3")

    state = await shop.state()
    assert [lease.holder.workflow_id for lease in state.leases] == [alive.id]
    assert any("is void: its workflow runs no more" in decision.text for decision in state.decisions)


async def test_a_holder_that_runs_under_the_name_of_a_dead_one_is_another(shop: GuardedService) -> None:
    dead = await shop.granted(name="same", version="v2")
    await dead.terminate()
    await shop.granted(name="same", version="v2")

    assert len((await shop.state()).leases) == 1


async def test_a_holder_that_continued_as_new_still_holds_and_is_granted_the_same(
    fresh_bench: Bench, fresh_shop: GuardedService
) -> None:
    holder = await fresh_shop.granted(version="v2", runs=1)
    by_name = fresh_shop.client.get_workflow_handle(holder.id)
    await fresh_bench.skip(timedelta(minutes=2))

    async def continued() -> bool:
        return (await by_name.describe()).run_id != holder.first_execution_run_id

    await until(continued, "the holder to continue as new")
    newest: Holder = fresh_shop.client.get_workflow_handle_for(HoldsALease.run, holder.id)
    answer = await answer_of(newest)

    assert isinstance(answer, Grant)
    assert answer.lease.holder.run_id == holder.first_execution_run_id
    await fresh_shop.refused()
    assert len((await fresh_shop.state()).leases) == 1


async def test_a_holder_that_is_cancelled_gives_its_lease_back(shop: GuardedService) -> None:
    holder = await shop.granted()
    await holder.cancel()
    await until_ended(holder)

    assert (await shop.state()).leases == ()


async def test_giving_back_what_is_not_held_changes_nothing(shop: GuardedService) -> None:
    held = await shop.granted(version="v2")
    other, _ = await shop.ask(version="v3")
    await until_ended(other)

    assert [lease.holder.workflow_id for lease in (await shop.state()).leases] == [held.id]


async def test_after_a_rollback_its_version_waits_and_so_do_all_others_but_a_fix(
    fresh_bench: Bench, fresh_shop: GuardedService
) -> None:
    shop = fresh_shop
    await shop.took(LeaseOutcome.ROLLED_BACK, version="v2")

    refusal = await shop.refused(version="v2")
    assert "v2 was taken back, and may be rolled out again from" in refusal.why
    for kind in (REMEDIATION, CHAOS, SCALING):
        assert (await shop.refused(kind)).until == refusal.until
    await shop.took(LeaseOutcome.FAILED, version="v3")
    await shop.took(LeaseOutcome.FAILED, version="v2", emergency="the shop is closed without it")

    await fresh_bench.skip(timedelta(minutes=11))
    await shop.took(LeaseOutcome.PROMOTED, version="v2")
    await shop.took(LeaseOutcome.DONE, SCALING)


async def test_remediation_is_refused_once_its_budget_is_spent_and_granted_when_the_window_has_moved_on(
    fresh_bench: Bench, fresh_shop: GuardedService
) -> None:
    allowed = rules(limit=2, window=timedelta(hours=1))
    for _ in range(2):
        await fresh_shop.took(LeaseOutcome.DONE, REMEDIATION, rules=allowed)
    refusal = await fresh_shop.refused(REMEDIATION, rules=allowed)

    assert "2 remediations in 1h are as many as the catalog allows" in refusal.why
    await fresh_shop.took(LeaseOutcome.DONE, SCALING, rules=allowed)
    await fresh_bench.skip(timedelta(minutes=61))
    await fresh_shop.took(LeaseOutcome.DONE, REMEDIATION, rules=allowed)


async def test_a_freeze_of_the_catalog_refuses_what_is_new_and_never_the_way_back(shop: GuardedService) -> None:
    frozen = rules(FreezeSpec(name="the-age", from_="2020-01-01 00:00", until="2090-01-01 00:00"))
    for kind in (ROLLOUT, CHAOS, SCALING):
        refusal = await shop.refused(kind, rules=frozen)
        assert refusal.why == "the catalog's freeze the-age is in force until 2090-01-01 00:00 UTC"

    await shop.took(LeaseOutcome.PROMOTED, rules=frozen, going_back=True)
    await shop.took(LeaseOutcome.PROMOTED, rules=frozen, emergency="it leaks passwords")
    await shop.took(LeaseOutcome.DONE, REMEDIATION, rules=frozen)


async def test_a_freeze_by_hand_lasts_until_its_time_or_until_it_is_ended(
    fresh_bench: Bench, fresh_shop: GuardedService
) -> None:
    shop = fresh_shop
    said = await shop.freeze(note="audit")
    assert said.text == "frozen by ada until someone unfreezes it (audit)"
    assert (await shop.refused()).why == "ada has frozen the service until `holdfast guard unfreeze`: audit"
    assert (await shop.unfreeze()).text == "unfrozen by ada"
    assert (await shop.unfreeze()).text == "nobody had frozen it"
    await shop.took(LeaseOutcome.PROMOTED)

    now = await fresh_bench.now()
    await shop.freeze(now + timedelta(hours=2))
    await shop.refused()
    await fresh_bench.skip(timedelta(hours=3))
    await shop.took(LeaseOutcome.PROMOTED)


async def test_who_freezes_and_who_ends_it_is_on_the_audit_log(shop: GuardedService, bench: Bench) -> None:
    await shop.freeze(note="audit")
    await shop.unfreeze()
    await shop.unfreeze()

    def orders() -> list[tuple[str, str, str, str]]:
        found = {entry.key: entry for entry in bench.worlds.orders if entry.ref == shop.ref}
        return sorted((entry.what, entry.who, entry.note, entry.outcome) for entry in found.values())

    async def both() -> bool:
        return len(orders()) == 2

    await until(both, "the orders to be recorded")
    assert orders() == [("freeze", "ada", "audit", "accepted"), ("unfreeze", "ada", "", "accepted")]


async def test_a_freeze_that_is_over_already_is_refused(shop: GuardedService) -> None:
    with pytest.raises(WorkflowUpdateFailedError) as failure:
        await shop.freeze(WHEN - timedelta(days=3650))

    assert "must end in the future" in str(failure.value.cause)


async def test_continuing_as_new_forgets_nothing(shop: GuardedService) -> None:
    await shop.begin(updates_per_run=4)
    await shop.took(LeaseOutcome.ROLLED_BACK, version="v2")
    await shop.freeze(note="audit")
    before = await shop.state()
    holder = await shop.granted(version="v1", going_back=True)
    await shop.in_a_new_run()
    after = await shop.state()
    assert (after.cooldowns, after.freeze) == (before.cooldowns, before.freeze)
    assert after.decisions[: len(before.decisions)] == before.decisions
    assert [lease.holder.workflow_id for lease in after.leases] == [holder.id]
    await shop.refused(version="v2", going_back=True)
    await end(holder, LeaseOutcome.PROMOTED)
    assert (await shop.state()).leases == ()


async def test_the_same_message_twice_is_one_question_across_runs_too(shop: GuardedService) -> None:
    await shop.begin(updates_per_run=1)
    request = an_acquire(shop.ref, holder=await shop.idle_holder())
    first = await shop.send(request, "the very message")
    await shop.release(request)
    again = await shop.send(request, "the very message")

    assert first == again
    assert isinstance(first, Grant)
    assert (await shop.state()).leases == (), "an answer that is late does not take the lease anew"


@pytest.mark.parametrize("held", [True, False], ids=["of a lease", "of nothing"])
async def test_a_release_that_comes_again_does_not_end_the_lease_of_the_holders_next_run(
    shop: GuardedService, held: bool
) -> None:
    """A rollout that continues as new is the same holder; a worker that was frozen sends again what was answered."""
    await shop.begin(updates_per_run=1)
    request = an_acquire(shop.ref, version="v2", holder=await shop.idle_holder())
    if held:
        await shop.send(request, "the first run's question")
    await shop.release(request, LeaseOutcome.ROLLED_BACK, "the first run's release")
    urgent = request.model_copy(update={"emergency": "the next run goes on"})
    await shop.send(urgent, "the next run's question")
    await shop.in_a_new_run()
    before = await shop.state()
    await shop.release(request, LeaseOutcome.ROLLED_BACK, "the first run's release")

    assert await shop.state() == before
    assert [lease.holder for lease in before.leases] == [request.holder]
    await shop.release(urgent, LeaseOutcome.PROMOTED, "the next run's release")
    assert (await shop.state()).leases == ()


async def test_a_guard_outlives_its_cancellation(shop: GuardedService) -> None:
    holder = await shop.granted()
    await shop.guard.cancel()
    await shop.refused()
    await end(holder, LeaseOutcome.PROMOTED)

    await shop.granted()
    assert (await shop.guard.describe()).status is WorkflowExecutionStatus.RUNNING


async def test_holding_costs_no_events_and_the_guard_is_found_by_its_service(
    fresh_bench: Bench, fresh_shop: GuardedService
) -> None:
    await fresh_shop.granted()
    before = (await fresh_shop.guard.fetch_history()).events[-1].event_id
    await fresh_bench.skip(timedelta(days=30))
    description = await fresh_shop.guard.describe()

    assert description.raw_info.history_length == before
    found = {pair.key.name: pair.value for pair in description.typed_search_attributes}
    assert found[SearchAttribute.SERVICE] == fresh_shop.ref.service
    assert found[SearchAttribute.ENVIRONMENT] == "local"
