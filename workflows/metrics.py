"""What workflows count. Their meter is silent while replaying, so each thing is counted once; docs/observability.md
lists the names as Prometheus sees them.
"""

from datetime import timedelta
from typing import get_args

from temporalio import workflow
from temporalio.common import MetricCounter, MetricMeter

with workflow.unsafe.imports_passed_through():
    from models.catalog import RolloutPlan
    from models.rollout import Phase
    from models.temporal_names import ROLLOUT_WORKFLOW, TaskQueue

_STRATEGIES = tuple(plan.model_fields["strategy"].default for plan in get_args(get_args(RolloutPlan)[0]))


def begin_at_zero(meter: MetricMeter, namespace: str) -> None:
    """Show what nothing was counted in yet, as a worker starts: Prometheus cannot see the step from nothing to one."""
    labels = {"namespace": namespace, "task_queue": str(TaskQueue.ROLLOUTS), "workflow_type": ROLLOUT_WORKFLOW}
    _refusals(meter).add(0, labels)
    for outcome in (phase for phase in Phase if phase.final):
        for strategy in _STRATEGIES:
            _ended(meter).add(0, {**labels, "outcome": str(outcome), "strategy": strategy})


def rollout_ended(outcome: Phase, strategy: str, took: timedelta) -> None:
    """`took` is from the request to the end, with every wait for a person in it."""
    labels = {"outcome": str(outcome), "strategy": strategy}
    _ended(workflow.metric_meter()).add(1, labels)
    _duration("holdfast_rollout_duration", "from the request to the end of a rollout", took, labels)


def rollback_ended(strategy: str, took: timedelta) -> None:
    """`took` is from the decision to go back until the bad version received nothing any more."""
    text = "from the decision to go back until the candidate received no traffic"
    _duration("holdfast_rollback_duration", text, took, {"strategy": strategy})


def refused() -> None:
    """Something that must happen was refused for good by its provider, and will be asked for again."""
    _refusals(workflow.metric_meter()).add(1)


def _ended(meter: MetricMeter) -> MetricCounter:
    return meter.create_counter("holdfast_rollouts_ended", "rollouts that came to their end")


def _refusals(meter: MetricMeter) -> MetricCounter:
    return meter.create_counter("holdfast_refusals", "refusals of what must happen, asked for again later")


def _duration(name: str, text: str, took: timedelta, labels: dict[str, str]) -> None:
    # The unit `duration` is the SDK's word for seconds, told by the name's suffix.
    workflow.metric_meter().create_histogram_timedelta(name, text, "duration").record(took, labels)
