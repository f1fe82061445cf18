"""In a file of its own, as the sandbox loads what the file imports."""

from datetime import timedelta

from temporalio import workflow


@workflow.defn
class Waits:
    @workflow.run
    async def run(self, seconds: float) -> float:
        """Returns the seconds that passed by the workflow's clock."""
        began = workflow.now()
        await workflow.sleep(timedelta(seconds=seconds))
        return (workflow.now() - began).total_seconds()
