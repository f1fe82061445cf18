"""Work that is counted, and workflow code that breaks; in a module of its own, as the sandbox imports it again."""

from datetime import timedelta

from temporalio import activity, workflow
from temporalio.common import RetryPolicy

with workflow.unsafe.imports_passed_through():
    from activities.failures import provider_errors
    from activities.metrics import metrics_read
    from models.rollout import Phase
    from providers.errors import NotReadyError
    from workflows import metrics

ONCE = RetryPolicy(maximum_attempts=1)


@activity.defn(name="sample.look")
async def look() -> None:
    for missed in (False, False, True):
        metrics_read("envoy", missed=missed)


@activity.defn(name="sample.refuse")
async def refuse() -> None:
    with provider_errors("process"):
        raise NotReadyError("never became ready")


@workflow.defn(name="SampleRollout")
class SampleRollout:
    @workflow.run
    async def run(self) -> None:
        limit = timedelta(seconds=5)
        metrics.refused()
        await workflow.execute_activity(look, start_to_close_timeout=limit)
        metrics.rollback_ended("canary", timedelta(seconds=3))
        await workflow.sleep(0.01)
        metrics.rollout_ended(Phase.ROLLED_BACK, "canary", timedelta(minutes=3))
        await workflow.execute_activity(refuse, start_to_close_timeout=limit, retry_policy=ONCE)


@workflow.defn(name="SampleChange")
class SampleBefore:
    @workflow.run
    async def run(self) -> None:
        await workflow.sleep(timedelta(hours=1))


@workflow.defn(name="SampleChange")
class SampleAfter:
    @workflow.run
    async def run(self) -> None:
        await workflow.execute_activity(look, start_to_close_timeout=timedelta(seconds=5))


@workflow.defn(name="SampleBug")
class SampleBug:
    @workflow.run
    async def run(self) -> None:
        raise LookupError("a bug")
