"""What workflows count. Their meter is silent while replaying, so each thing is counted once; docs/observability.md
lists the names as Prometheus sees them.
"""

from datetime import timedelta

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from models.rollout import Phase


def rollout_ended(outcome: Phase, strategy: str, took: timedelta) -> None:
    """`took` is from the request to the end, with every wait for a person in it."""
    labels = {"outcome": str(outcome), "strategy": strategy}
    meter = workflow.metric_meter()
    meter.create_counter("holdfast_rollouts_ended", "rollouts that came to their end").add(1, labels)
    _duration("holdfast_rollout_duration", "from the request to the end of a rollout", took, labels)


def rollback_ended(strategy: str, took: timedelta) -> None:
    """`took` is from the decision to go back until the bad version received nothing any more."""
    text = "from the decision to go back until the candidate received no traffic"
    _duration("holdfast_rollback_duration", text, took, {"strategy": strategy})


def refused() -> None:
    """Something that must happen was refused for good by its provider, and will be asked for again."""
    meter = workflow.metric_meter()
    meter.create_counter("holdfast_refusals", "refusals of what must happen, asked for again later").add(1)


def _duration(name: str, text: str, took: timedelta, labels: dict[str, str]) -> None:
    # The unit `duration` is the SDK's word for seconds, told by the name's suffix.
    workflow.metric_meter().create_histogram_timedelta(name, text, "duration").record(took, labels)
