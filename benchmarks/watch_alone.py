"""A watch without a rollout around it."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.traffic import TrafficActivities
    from models.judgement import Verdict, Watch
    from models.temporal_names import TaskQueue
    from workflows.policies import WATCH, on


@workflow.defn(name="watch-alone")
class WatchAlone:
    """A watch, and nothing else of a rollout."""

    @workflow.run
    async def run(self, watch: Watch) -> Verdict:
        return await workflow.execute_activity_method(
            TrafficActivities.watch, watch, **on(TaskQueue.TRAFFIC, WATCH, "watch")
        )
