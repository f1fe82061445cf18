"""In a file of its own, as the sandbox loads what the file imports."""

from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy

with workflow.unsafe.imports_passed_through():
    from activities.traffic import TrafficActivities
    from models.judgement import Verdict, Watch


@workflow.defn
class Watches:
    @workflow.run
    async def run(self, watch: Watch) -> Verdict:
        return await workflow.execute_activity_method(
            TrafficActivities.watch,
            watch,
            start_to_close_timeout=timedelta(minutes=5),
            heartbeat_timeout=timedelta(minutes=1),
            retry_policy=RetryPolicy(maximum_attempts=1),
        )
