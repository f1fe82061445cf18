"""Every strategy is a list of the same few steps; here a plan becomes that list."""

from dataclasses import dataclass
from datetime import timedelta
from typing import assert_never

from models.catalog import BlueGreenPlan, CanaryPlan, CanaryStep, RollingPlan, Service
from models.deployment import Instances
from models.ids import Group, Version
from models.judge_spec import CompareSpec
from models.quantities import format_duration, format_percent
from models.rollout import (
    Bake,
    DeployStep,
    Gate,
    Keep,
    Promote,
    Retire,
    RolloutRequest,
    ScaleDown,
    SetWeight,
    StartBaseline,
    Step,
)
from models.traffic import TrafficSplit


@dataclass(frozen=True)
class StartingPoint:
    """What a rollout finds. `leftovers` run without a purpose: an earlier rollout was ended by force, or was a way back
    that a person ended.
    """

    stable: Version | None
    unchanged: bool
    leftovers: tuple[Group, ...]


def starting_point(version: Version, split: TrafficSplit | None, running: Instances, *, wanted: int) -> StartingPoint:
    """A version is stable when traffic is meant for it and at least one of its instances lives."""
    alive = {instance.version for instance in running.instances}
    stable = split.stable if split and running.of(split.stable) else None
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
    delay = spec.rollout.scale_down_delay
    keep = (Keep(duration=delay),) if delay else ()
    forward = (DeployStep(),) if at_once else _proving(spec.rollout.judge.compare, _forward(spec))
    alone = (Retire(baseline=True),) if StartBaseline() in forward else ()
    return (*forward, Promote(), *alone, *keep, Retire())


def baseline_share(weight: float) -> float:
    """What a baseline has beside a candidate of this weight, in percent: as much, or else what is left."""
    return min(weight, 100.0 - weight)


def _proving(compare: CompareSpec, steps: tuple[Step, ...]) -> tuple[Step, ...]:
    """The last bake in which both versions have traffic is the one that must end with proof, if any must."""
    if not (compare.enabled and compare.proof):
        return steps
    weight, last = 0.0, None
    for index, step in enumerate(steps):
        if isinstance(step, SetWeight):
            weight = step.weight
        elif isinstance(step, Bake) and step.duration and 0 < weight < 100:  # noqa: PLR2004 - a percentage
            last = index
    return tuple(step.model_copy(update={"proof": True}) if index == last else step for index, step in enumerate(steps))


def way_back(request: RolloutRequest, old: Version, reason: str, run_id: str) -> RolloutRequest:
    """The rollout that leads at once from a promoted version back to the one that was kept. The bad one is not."""
    plan = request.spec.rollout.model_copy(update={"scale_down_delay": timedelta(0)})
    return request.model_copy(
        update={
            "id": f"{run_id}/back",
            "version": old,
            "spec": request.spec.model_copy(update={"rollout": plan}),
            "requested_by": "holdfast",
            "from_where": "watch after promotion",
            "reason": reason,
            "emergency": "",
            "at_once": True,
            "automatic": True,
        }
    )


def _forward(spec: Service) -> tuple[Step, ...]:
    plan = spec.rollout
    match plan:
        case CanaryPlan():
            fresh = (StartBaseline(),) if plan.judge.compare.against == "baseline" else ()
            return (DeployStep(), *fresh, *(part for step in plan.steps for part in _canary_step(step)))
        case BlueGreenPlan():
            gate = (Gate(),) if plan.approval else ()
            return (DeployStep(), *gate, SetWeight(weight=100.0), Bake(duration=plan.bake))
        case RollingPlan():
            return _rolling_steps(plan, spec.deploy.instances)
    assert_never(plan)


def _rolling_steps(plan: RollingPlan, instances: int) -> tuple[Step, ...]:
    """Each batch starts before as many of the old version end, so that strength never falls below what was asked."""
    steps: list[Step] = []
    for reached in (*range(plan.batch, instances, plan.batch), instances):
        share = round(100 * reached / instances, 2)
        steps += [DeployStep(instances=reached), SetWeight(weight=share), Bake(duration=plan.bake)]
        if plan.approval and reached == min(plan.batch, instances):
            steps.append(Gate())
        if reached < instances:
            steps.append(ScaleDown(instances=instances - reached))
    return tuple(steps)


def _canary_step(step: CanaryStep) -> tuple[Step, ...]:
    gate = (Gate(),) if step.approval else ()
    return (SetWeight(weight=step.weight), Bake(duration=step.bake), *gate)


def describe_step(step: Step, *, version: Version, stable: Version | None, instances: int) -> str:
    """A step in the words of a person who watches it."""
    match step:
        case DeployStep(instances=reached):
            return f"start {count_instances(reached or instances)} of {version}"
        case StartBaseline():
            return f"start {count_instances(instances, 'fresh')} of {stable} to compare with"
        case SetWeight(weight=weight):
            return f"send {format_percent(weight)} of the traffic to {version}"
        case Bake(duration=duration):
            return f"watch for {format_duration(duration)}"
        case Gate():
            return "wait for approval"
        case ScaleDown(instances=left):
            return f"leave {count_instances(left)} of {stable}"
        case Promote():
            return f"promote {version} to 100%"
        case Keep(duration=duration):
            return f"keep {stable} for {format_duration(duration)}, for a quick way back"
        case Retire(baseline=baseline):
            fresh = f"the {count_instances(instances, 'fresh')} of " if baseline else ""
            return f"stop {fresh}{stable or 'the old version'}"
    assert_never(step)


def count_instances(count: int, kind: str = "") -> str:
    """`2 instances`, `1 fresh instance`."""
    return " ".join(word for word in (str(count), kind, "instance" if count == 1 else "instances") if word)
