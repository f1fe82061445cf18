"""The paths of workflows that are kept as recorded histories."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta

from temporalio.client import WorkflowHandle

from models.guard import LeaseKind, LeaseOutcome
from models.held import LOOK_AGAIN
from models.incident import AlertSignal, IncidentOutcome, IncidentRules, Snooze
from models.incident import Phase as IncidentPhase
from models.incident_spec import OpenAfter
from models.rollout import Phase, RolloutRequest
from models.severity import Severity
from models.temporal_names import IncidentSignal
from models.traffic import TrafficSplit
from tests.analysis.incident_factories import an_alert
from tests.analysis.rule_factories import a_rule
from tests.factories import (
    a_blue_green_service,
    a_request,
    a_rolling_service,
    a_service,
    a_step,
    an_acquire,
    beside_a_baseline,
    compared,
    healthy,
    inconclusive,
    keeping,
    unhealthy,
)
from tests.workflows.guard_harness import FROZEN, GuardedService, holders
from tests.workflows.harness import ADA, Bench, Handle, until, until_phase
from tests.workflows.incident_harness import MINUTE, THREE_LEVELS, Case, Room
from tests.workflows.rules_harness import RuledService, ruled_service
from tests.workflows.silences_harness import Quiet, keeping_silences
from tests.workflows.world import FakeWorld
from workflows.alert_rules import AlertRules
from workflows.incident import Incident
from workflows.rollout import Rollout
from workflows.service_guard import ServiceGuard
from workflows.silences import Silences

Script = Callable[[FakeWorld, Handle], Awaitable[object]]


async def _nothing(_world: FakeWorld, _handle: Handle) -> None:
    pass


class Scenario:
    """A world, a request, and what people say while the rollout runs."""

    def __init__(
        self,
        prepare: Callable[[FakeWorld], object] = lambda _: None,
        request: RolloutRequest | None = None,
        script: Script = _nothing,
        stable: str | None = "v1",
    ) -> None:
        self._prepare, self._request, self._script, self._stable = prepare, request, script, stable

    async def play(self, bench: Bench) -> Handle:
        world = FakeWorld(stable=self._stable)
        self._prepare(world)
        handle = await bench.start(world, self._request)
        await self._script(world, handle)
        await handle.result()
        return handle


async def _pause_then_promote(world: FakeWorld, handle: Handle) -> None:
    await world.watching.wait()
    await handle.execute_update(Rollout.pause, ADA)
    await until_phase(handle, Phase.PAUSED)
    await handle.execute_update(Rollout.resume, ADA)
    await handle.execute_update(Rollout.promote, ADA)


async def _abort_while_it_starts(world: FakeWorld, handle: Handle) -> None:
    await world.starting.wait()
    await handle.execute_update(Rollout.abort, ADA)


async def _approve(_world: FakeWorld, handle: Handle) -> None:
    await until_phase(handle, Phase.AWAITING_APPROVAL)
    await handle.execute_update(Rollout.approve, ADA)


async def _abort_when_asked(_world: FakeWorld, handle: Handle) -> None:
    await until_phase(handle, Phase.AWAITING_APPROVAL)
    await handle.execute_update(Rollout.abort, ADA)


def _turns_bad_afterwards(world: FakeWorld) -> None:
    world.verdicts.extend([compared(healthy())] * 2)
    world.held_verdicts.append(unhealthy())


def _left_half_way(world: FakeWorld) -> None:
    world.alive = {"v1": 2, "v9": 2}
    world.split = TrafficSplit(stable="v1", candidate="v9", weight=50.0)


def _refused_undo(world: FakeWorld) -> None:
    world.verdicts.append(unhealthy())
    world.fail("traffic v1=100", "the router says no", times=2)


class GuardScenario:
    """What workflows and people say to a guard; the run that heard the first of it is kept, or the last of it."""

    def __init__(
        self, script: Callable[[GuardedService], Awaitable[object]], *, updates_per_run: int = 1500, last: bool = False
    ) -> None:
        self._script, self._updates_per_run, self._last = script, updates_per_run, last

    async def play(self, bench: Bench) -> WorkflowHandle[ServiceGuard, None]:
        shop = GuardedService(bench.client)
        await shop.begin(updates_per_run=self._updates_per_run)
        first = (await shop.guard.describe()).run_id
        async with holders(bench.client):
            await self._script(shop)
        kept = (await shop.guard.describe()).run_id if self._last else first
        return bench.client.get_workflow_handle_for(ServiceGuard.run, shop.guard.id, run_id=kept)


async def _leases(shop: GuardedService) -> None:
    await shop.took(LeaseOutcome.ROLLED_BACK, version="v2")
    await shop.refused(version="v2")
    holder = await shop.granted(version="v3")
    await shop.refused(LeaseKind.ROLLOUT, version="v4")
    await holder.terminate()
    await shop.took(LeaseOutcome.PROMOTED, version="v4")


async def _freezes(shop: GuardedService) -> None:
    await shop.freeze(note="audit")
    await shop.refused(version="v2")
    await shop.took(LeaseOutcome.PROMOTED, version="v1", going_back=True)
    await shop.guard.cancel()
    await shop.unfreeze()
    await shop.took(LeaseOutcome.PROMOTED, version="v2")


async def _a_full_run(shop: GuardedService) -> None:
    for version in ("v2", "v3"):
        await shop.took(LeaseOutcome.PROMOTED, version=version)


async def _a_release_comes_again(shop: GuardedService) -> None:
    request = an_acquire(shop.ref, holder=await shop.idle_holder())
    await shop.send(request, "first")
    await shop.release(request, message_id="given back")
    await shop.send(request, "second")
    await shop.in_a_new_run()
    await shop.release(request, message_id="given back")
    await shop.send(an_acquire(shop.ref, LeaseKind.CHAOS, holder=await shop.idle_holder()), "another's")


def _three(world: FakeWorld) -> None:
    world.alive = {"v1": 3}


def _three_then_bad(world: FakeWorld) -> None:
    _three(world)
    world.verdicts.extend([healthy(), unhealthy()])


def _three_slowly(world: FakeWorld) -> None:
    _three(world)
    world.endless.add("start 2 of v2")


async def _be_done_at_last(world: FakeWorld, _handle: Handle) -> None:
    await world.stuck.wait()
    await world.watching.wait()
    world.endless.clear()


def _refuses_the_way_back(world: FakeWorld) -> None:
    world.fail("start v1", "not ready", times=2)
    world.fail("traffic v1=100", "the router says no", times=2)


async def _abort_when_stuck(world: FakeWorld, handle: Handle) -> None:
    await world.stuck.wait()
    await handle.execute_update(Rollout.abort, ADA)


_A_WAY_BACK = a_request("v1").model_copy(update={"at_once": True, "automatic": True, "requested_by": "holdfast"})
AFTER_TWO = THREE_LEVELS.model_copy(update={"open_after": OpenAfter(alerts=2, within=5 * MINUTE)})


class IncidentScenario:
    """What alerts, people and time do to an incident; the run that heard the first of it is kept."""

    def __init__(
        self,
        script: Callable[[Case], Awaitable[object]],
        rules: IncidentRules = THREE_LEVELS,
        *,
        held: Sequence[str] = (),
        events_per_run: int = 2_000,
    ) -> None:
        self._script, self._rules, self._held = script, rules, held
        self._events_per_run = events_per_run

    async def play(self, bench: Bench) -> WorkflowHandle[Incident, IncidentOutcome]:
        room = Room(bench.client, bench.skip)
        await room.work(records=False)
        try:
            case = await self._begun(room)
            first = (await case.handle.describe()).run_id
            await self._script(case)
        finally:
            await room.rest()
        return bench.client.get_workflow_handle_for(Incident.run, case.id, run_id=first)

    async def _begun(self, room: Room) -> Case:
        if self._held:
            return await room.hold(
                *(an_alert(title, title) for title in self._held), events_per_run=self._events_per_run
            )
        return await room.open(self._rules, events_per_run=self._events_per_run)


async def _escalates_and_is_acknowledged(case: Case) -> None:
    await case.until_paged((1, "first"))
    await case.room.skip(11 * MINUTE)
    await case.until_paged((1, "first"), (2, "second"))
    await case.say(IncidentSignal.ACKNOWLEDGE)
    await case.until_phase(IncidentPhase.ACKNOWLEDGED)
    await case.room.skip(61 * MINUTE)
    await case.until_paged((1, "first"), (2, "second"), (1, "first"))
    await case.say(IncidentSignal.ESCALATE)
    await case.until_paged((1, "first"), (2, "second"), (1, "first"), (2, "second"))
    await case.say(IncidentSignal.RESOLVE)
    await case.result()


async def _is_talked_about(case: Case) -> None:
    await case.until_paged((1, "first"))
    await case.say(IncidentSignal.SNOOZE, Snooze(by="ada", lasting=5 * MINUTE))
    await case.say(IncidentSignal.ASSIGN, {"person": "grace", "role": "commander"})
    await case.say(IncidentSignal.ADD_TASK, {"text": "look"})
    await case.say(IncidentSignal.FINISH_TASK, {"number": 1})
    await case.say(IncidentSignal.NOTE, "it was the cable")
    await case.say(IncidentSignal.UNSNOOZE)
    await case.handle.signal("explode", "now")
    await case.handle.cancel()
    await case.until_paged((1, "first"), (1, "first"))
    await case.clear()
    await case.until_phase(IncidentPhase.RESOLVED)
    await case.fire(severity=Severity.SEV1)
    await case.until_paged((1, "first"), (1, "first"), (1, "first"))
    await case.clear()
    await case.result()


async def _is_merged_and_split(case: Case) -> None:
    await case.until_paged((1, "first"))
    whole = await case.room.open()
    await whole.until_paged((1, "first"))
    await case.say(IncidentSignal.MERGE, whole.id)
    await whole.until_said("is merged into this one")
    await case.say(IncidentSignal.SPLIT)
    await case.until_paged((1, "first"), (1, "first"))
    await case.say(IncidentSignal.MERGE, "incident/local/shop/never-was")
    await case.until_said("no such incident is open")


async def _is_merged_before_it_is_opened(case: Case) -> None:
    """And goes its own way again, is not forgotten by a merge that does not work, and counts a request anew."""
    whole = await case.room.open()
    await whole.until_paged((1, "first"))
    await case.until_phase(IncidentPhase.PENDING)
    await case.say(IncidentSignal.MERGE, whole.id)
    await whole.until_said("is merged into this one")
    await case.fire(request="again", severity=Severity.SEV1)
    await whole.until_said("raised from SEV2 to SEV1")
    await case.say(IncidentSignal.SPLIT)
    await case.until_paged((1, "first"))
    await case.settled()
    await case.say(IncidentSignal.ACKNOWLEDGE)
    await case.until_phase(IncidentPhase.ACKNOWLEDGED)
    await case.say(IncidentSignal.MERGE, "incident/local/shop/never-was")
    await case.until_said("no such incident is open")
    await case.clear(an_alert("strange", "strange"), an_alert("stranger", "stranger"))
    await case.until_said("that strange; stranger cleared changes nothing")
    await case.clear()
    await case.until_phase(IncidentPhase.RESOLVED)
    await case.fire(request="again", severity=Severity.SEV1)
    await case.until_paged((1, "first"), (1, "first"))
    await case.settled()
    await case.say(IncidentSignal.RESOLVE)
    await case.result()


async def _hears_of_several_requests_at_once(case: Case) -> None:
    await case.until_paged((1, "first"))
    said = [AlertSignal(alerts=(an_alert(f"alert {number}", f"alert-{number}"),)) for number in range(3)]
    await case.handle.signal(IncidentSignal.FIRED, args=said)
    await case.until_said("alert 2")
    await _escalates_and_is_acknowledged(case)


class SilencesScenario:
    """What people silence, and end; the first run is kept."""

    def __init__(self, script: Callable[[Quiet], Awaitable[object]], *, updates_per_run: int = 1500) -> None:
        self._script, self._updates_per_run = script, updates_per_run

    async def play(self, bench: Bench) -> WorkflowHandle[Silences, None]:
        async with keeping_silences(bench.client) as quiet:
            first = await quiet.begin(updates_per_run=self._updates_per_run)
            await self._script(quiet)
        return bench.client.get_workflow_handle_for(Silences.run, quiet.handle.id, run_id=first)


async def _silenced_and_expired(quiet: Quiet) -> None:
    await quiet.add("s-1", comment="a move")
    await quiet.add("s-1", comment="a move")
    await quiet.add("s-2", match=["service=database", "env=~prod|stage"])
    await quiet.handle.cancel()
    await quiet.expire("s-1", by="bob")
    await quiet.expire("s-1", by="bob")


async def _a_full_run_of_silences(quiet: Quiet) -> None:
    for number in range(5):
        await quiet.add(f"s-{number}")


async def _holds_until_nothing_keeps_it(case: Case) -> None:
    """One alert clears while it is held, one moves, one opens it; resolved, it holds again, and a person ends that."""
    front_door = case.room.front_door
    front_door.keeps, front_door.moved = {"kept", "clears"}, {"moves"}
    await case.until_phase(IncidentPhase.PENDING)
    await case.room.skip(LOOK_AGAIN)
    await case.until_said("moves went to")
    await case.clear(an_alert("clears", "clears"))
    front_door.keeps = set()
    await case.room.skip(LOOK_AGAIN)
    await case.until_paged((1, "first"))
    await case.clear(an_alert("kept", "kept"))
    await case.until_phase(IncidentPhase.RESOLVED)
    front_door.keeps = {"later"}
    await case.hold(an_alert("later", "later"))
    await case.until_said("held: later")
    await case.say(IncidentSignal.RESOLVE)
    await case.result()


async def _goes_on_in_another_run(case: Case) -> None:
    for number in range(12):
        await case.fire(an_alert(f"alert {number}", f"alert-{number}"))
        await case.until_said(f"alert {number}")


class RulesScenario:
    """What alert rules find, and who edits them; the run that heard the first of it is kept."""

    def __init__(self, script: Callable[[RuledService], Awaitable[object]], *, events_per_run: int = 2_000) -> None:
        self._script, self._events_per_run = script, events_per_run

    async def play(self, bench: Bench) -> WorkflowHandle[AlertRules, None]:
        async with ruled_service(bench.client, bench.rule_source) as shop:
            await shop.begin_with(events_per_run=self._events_per_run)
            first = (await shop.handle.describe()).run_id
            await self._script(shop)
            await shop.remove()
            await shop.handle.result()
        return bench.client.get_workflow_handle_for(AlertRules.run, shop.handle.id, run_id=first)


_FIRED, _CLEARED = ("fired", "errors"), ("cleared", "errors")


async def _fires_and_clears(shop: RuledService) -> None:
    for times in (1, 2):
        shop.see(errors=0.5)
        await shop.until_said(*([_FIRED, _CLEARED] * times)[:-1])
        shop.see(errors=0.0)
        await shop.until_said(*[_FIRED, _CLEARED] * times)


async def _ends_for_good_for_a_while(shop: RuledService) -> None:
    shop.source.failing.add(shop.ref.service)
    shop.see(errors=0.5)  # for the watch that began before, should it have

    async def said() -> bool:
        return any("are not evaluated" in title for _, title in shop.said)

    await until(said, "the end of the watch to be said")
    shop.source.failing.clear()
    await shop.begin(a_rule("error_rate > 10%"))
    shop.see(errors=0.5)
    shop.see(errors=0.0)

    async def cleared() -> bool:
        return _CLEARED in shop.said

    await until(cleared, "the rules to be evaluated again")


async def _is_edited_while_it_fires(shop: RuledService) -> None:
    shop.see(errors=0.5)
    await shop.until_said(_FIRED)
    await shop.begin(a_rule("p99 > 1s", name="slow"))
    await shop.until_said(_FIRED, _CLEARED)
    shop.see(slow=2.0)
    await shop.until_said(_FIRED, _CLEARED, ("fired", "slow"))


_ROLLOUTS = {
    "promoted": Scenario(),
    "first-deployment": Scenario(request=a_request("v1"), stable=None),
    "at-once": Scenario(request=a_request("v0").model_copy(update={"at_once": True})),
    "unchanged": Scenario(request=a_request("v1")),
    "unhealthy": Scenario(lambda world: world.verdicts.append(unhealthy())),
    "never-ready": Scenario(lambda world: world.fail("start v2", "not ready")),
    "undo-refused": Scenario(_refused_undo),
    "left-half-way": Scenario(_left_half_way),
    "paused-then-promoted": Scenario(lambda world: world.endless.add("watch"), script=_pause_then_promote),
    "aborted-while-starting": Scenario(lambda world: world.endless.add("start"), script=_abort_while_it_starts),
    "approved": Scenario(request=a_request(spec=a_service(a_step(10.0, approval=True))), script=_approve),
    "blue-green": Scenario(request=a_request(spec=a_blue_green_service(approval=True)), script=_approve),
    "blue-green-unhealthy": Scenario(
        lambda world: world.verdicts.append(unhealthy()), request=a_request(spec=a_blue_green_service())
    ),
    "inconclusive-aborted": Scenario(lambda world: world.verdicts.append(inconclusive()), script=_abort_when_asked),
}

_GUARDED_ROLLOUTS = {
    "rolling": Scenario(_three, request=a_request(spec=a_rolling_service(3, approval=True)), script=_approve),
    "rolling-unhealthy": Scenario(_three_then_bad, request=a_request(spec=a_rolling_service(3))),
    "lapsed": Scenario(lambda world: world.lapse("watch")),
    "turned-bad-afterwards": Scenario(
        prepare=_turns_bad_afterwards,
        request=a_request(spec=keeping(a_service(), timedelta(days=300), watched=True)),
    ),
    "kept": Scenario(request=a_request(spec=keeping(a_service(), timedelta(seconds=1)))),
    "beside-a-baseline": Scenario(
        request=a_request(spec=beside_a_baseline(keeping(a_service(), timedelta(seconds=1))))
    ),
    "beside-a-baseline-unhealthy": Scenario(
        lambda world: world.verdicts.extend([healthy(), unhealthy()]),
        request=a_request(spec=beside_a_baseline(a_service())),
    ),
    "refused-by-its-guard": Scenario(request=a_request().model_copy(update={"guard": FROZEN})),
}

_STEADFAST_ROLLOUTS = {
    **_ROLLOUTS,
    **_GUARDED_ROLLOUTS,
    "rolling-slowly": Scenario(_three_slowly, request=a_request(spec=a_rolling_service(3)), script=_be_done_at_last),
    "way-back": Scenario(request=_A_WAY_BACK, stable="v2"),
    "way-back-refused": Scenario(_refuses_the_way_back, request=_A_WAY_BACK, stable="v2"),
    "way-back-aborted": Scenario(
        lambda world: world.endless.add("traffic v1=100"), request=_A_WAY_BACK, script=_abort_when_stuck, stable="v2"
    ),
}

SCENARIOS: dict[str, Scenario | GuardScenario | IncidentScenario | RulesScenario | SilencesScenario] = {
    **_ROLLOUTS,
    **{f"guarded-{name}": scenario for name, scenario in _ROLLOUTS.items()},
    **_GUARDED_ROLLOUTS,
    **{f"steadfast-{name}": scenario for name, scenario in _STEADFAST_ROLLOUTS.items()},
    "guard-leases": GuardScenario(_leases),
    "guard-freezes": GuardScenario(_freezes),
    "guard-full-run": GuardScenario(_a_full_run, updates_per_run=3),
    "guard-release-again": GuardScenario(_a_release_comes_again, updates_per_run=3, last=True),
    "incident-escalated": IncidentScenario(_escalates_and_is_acknowledged),
    "incident-talked-about": IncidentScenario(_is_talked_about),
    "incident-merged": IncidentScenario(_is_merged_and_split),
    "incident-paged-first": IncidentScenario(_hears_of_several_requests_at_once),
    "incident-merged-pending": IncidentScenario(_is_merged_before_it_is_opened, AFTER_TWO),
    "incident-held": IncidentScenario(_holds_until_nothing_keeps_it, held=("kept", "clears", "moves")),
    "incident-full-run": IncidentScenario(_goes_on_in_another_run, events_per_run=40),
    "rules-fired": RulesScenario(_fires_and_clears),
    "rules-edited": RulesScenario(_is_edited_while_it_fires),
    "rules-blind": RulesScenario(_ends_for_good_for_a_while),
    "rules-full-run": RulesScenario(_fires_and_clears, events_per_run=30),
    "silences-kept": SilencesScenario(_silenced_and_expired),
    "silences-full-run": SilencesScenario(_a_full_run_of_silences, updates_per_run=3),
}
"""The rollouts that are not `steadfast-` were recorded by older code, the first of them before there were guards; they
are never recorded anew.
"""
