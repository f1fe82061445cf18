"""What workflows count. Their meter is silent while replaying, so each thing is counted once; docs/observability.md
lists the names as Prometheus sees them.
"""

from datetime import timedelta
from typing import get_args

from temporalio import workflow
from temporalio.common import MetricCounter, MetricMeter

with workflow.unsafe.imports_passed_through():
    from models.catalog import RolloutPlan
    from models.notification import NotificationKind, TargetSpec
    from models.rollout import Phase
    from models.severity import Severity
    from models.temporal_names import INCIDENT_WORKFLOW, ROLLOUT_WORKFLOW, TaskQueue

_STRATEGIES = tuple(plan.model_fields["strategy"].default for plan in get_args(get_args(RolloutPlan)[0]))
_TARGETS = tuple(get_args(target.model_fields["kind"].annotation)[0] for target in get_args(get_args(TargetSpec)[0]))


def begin_at_zero(meter: MetricMeter, namespace: str) -> None:
    """Show what nothing was counted in yet, as a worker starts: Prometheus cannot see the step from nothing to one."""
    labels = {"namespace": namespace, "task_queue": str(TaskQueue.ROLLOUTS), "workflow_type": ROLLOUT_WORKFLOW}
    _refusals(meter).add(0, labels)
    for outcome in (phase for phase in Phase if phase.final):
        for strategy in _STRATEGIES:
            _ended(meter).add(0, {**labels, "outcome": str(outcome), "strategy": strategy})


def incidents_begin_at_zero(meter: MetricMeter, namespace: str) -> None:
    """The same for what is counted of incidents."""
    labels = {"namespace": namespace, "task_queue": str(TaskQueue.INCIDENTS), "workflow_type": INCIDENT_WORKFLOW}
    for severity in Severity:
        _opened(meter).add(0, {**labels, "severity": str(severity)})
    for kind in NotificationKind:
        for target in _TARGETS:
            for result in ("sent", "failed"):
                _notifications(meter).add(0, {**labels, "kind": str(kind), "target": target, "result": result})


def incident_opened(severity: Severity) -> None:
    """Somebody is to act: by alerts, or by a person."""
    _opened(workflow.metric_meter()).add(1, {"severity": str(severity)})


def incident_acknowledged(severity: Severity, took: timedelta) -> None:
    """`took` is since it last began to wait for somebody."""
    text = "from when an incident waits for somebody until it is acknowledged"
    _duration("holdfast_incident_acknowledge_duration", text, took, {"severity": str(severity)})


def incident_resolved(severity: Severity, took: timedelta) -> None:
    """`took` is since it was opened; of one that was reopened, since its first opening."""
    text = "from the opening of an incident until it is resolved"
    _duration("holdfast_incident_resolve_duration", text, took, {"severity": str(severity)})


def notified(kind: NotificationKind, target: str, *, sent: bool) -> None:
    """A message was brought to a target of this kind, or never will be."""
    labels = {"kind": str(kind), "target": target, "result": "sent" if sent else "failed"}
    _notifications(workflow.metric_meter()).add(1, labels)


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


def _opened(meter: MetricMeter) -> MetricCounter:
    return meter.create_counter("holdfast_incidents_opened", "incidents for which somebody is to act")


def _notifications(meter: MetricMeter) -> MetricCounter:
    return meter.create_counter("holdfast_notifications", "messages because of incidents that were sent, or failed")


def _duration(name: str, text: str, took: timedelta, labels: dict[str, str]) -> None:
    # The unit `duration` is the SDK's word for seconds, told by the name's suffix.
    workflow.metric_meter().create_histogram_timedelta(name, text, "duration").record(took, labels)
