"""Every strategy is a list of the same few steps; here a plan becomes that list."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import assert_never

from models.catalog import BlueGreenPlan, CanaryPlan, CanaryStep, Service
from models.deployment import Instances
from models.ids import Version
from models.quantities import format_duration, format_percent
from models.rollout import Bake, DeployStep, Gate, PastRollout, Phase, Promote, Retire, RolloutState, SetWeight, Step
from models.traffic import TrafficSplit


@dataclass(frozen=True)
class StartingPoint:
    """What a rollout finds. `leftovers` run without a purpose: an earlier rollout was ended by force."""

    stable: Version | None
    unchanged: bool
    leftovers: tuple[Version, ...]


def starting_point(version: Version, split: TrafficSplit | None, running: Instances, *, wanted: int) -> StartingPoint:
    """A version is stable when traffic is meant for it and at least one of its instances lives."""
    alive = {instance.version for instance in running.instances}
    stable = split.stable if split and split.stable in alive else None
    settled = split is not None and split.weight == 0
    return StartingPoint(
        stable=stable,
        unchanged=stable == version and settled and len(running.of(version)) >= wanted,
        leftovers=tuple(sorted(alive - {stable, version})),
    )


def steps_for(spec: Service, version: Version, *, stable: Version | None, at_once: bool = False) -> tuple[Step, ...]:
    """The steps of a rollout. With no other version stable there is nothing to protect and nothing to retire."""
    if stable is None or stable == version:
        return (DeployStep(), Promote())
    return (DeployStep(), *(() if at_once else _traffic_steps(spec.rollout)), Promote(), Retire())


def stable_now(state: RolloutState) -> Version | None:
    """The version that is stable, by the newest rollout of its service."""
    return state.version if state.phase in {Phase.PROMOTED, Phase.UNCHANGED} else state.stable


def version_before(past: Sequence[PastRollout], stable: Version) -> Version | None:
    """The version promoted last that is not the stable one, given the newest rollout first; None without one."""
    promoted = (rollout.version for rollout in past if rollout.phase is Phase.PROMOTED)
    return next((version for version in promoted if version != stable), None)


def _traffic_steps(plan: CanaryPlan | BlueGreenPlan) -> tuple[Step, ...]:
    match plan:
        case CanaryPlan():
            return tuple(part for step in plan.steps for part in _canary_step(step))
        case BlueGreenPlan():
            gate = (Gate(),) if plan.approval else ()
            return (*gate, SetWeight(weight=100.0), Bake(duration=plan.bake))
    assert_never(plan)


def _canary_step(step: CanaryStep) -> tuple[Step, ...]:
    gate = (Gate(),) if step.approval else ()
    return (SetWeight(weight=step.weight), Bake(duration=step.bake), *gate)


def describe_step(step: Step, *, version: Version, stable: Version | None, instances: int) -> str:
    """A step in the words of a person who watches it."""
    match step:
        case DeployStep():
            return f"start {instances} {'instance' if instances == 1 else 'instances'} of {version}"
        case SetWeight(weight=weight):
            return f"send {format_percent(weight)} of the traffic to {version}"
        case Bake(duration=duration):
            return f"watch for {format_duration(duration)}"
        case Gate():
            return "wait for approval"
        case Promote():
            return f"promote {version} to 100%"
        case Retire():
            return f"stop {stable}" if stable else "stop the old version"
    assert_never(step)
