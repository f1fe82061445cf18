"""A rollout as a later build might have it: it does something that the released one does not."""

from datetime import timedelta

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from models.rollout import RolloutRequest, RolloutResult, Step
    from models.temporal_names import ROLLOUT_WORKFLOW
from workflows.rollout import Rollout

CHANGE = "think-before-each-step"


@workflow.defn(name=ROLLOUT_WORKFLOW)
class ChangedRollout(Rollout):
    @workflow.init
    def __init__(self, request: RolloutRequest) -> None:
        super().__init__(request)

    @workflow.run
    async def run(self, request: RolloutRequest) -> RolloutResult:
        return await super().run(request)

    async def _carry_out(self, index: int, step: Step) -> None:
        if workflow.patched(CHANGE):
            await workflow.sleep(timedelta(milliseconds=50), summary="think")
        await super()._carry_out(index, step)


@workflow.defn(name=ROLLOUT_WORKFLOW)
class CarelesslyChangedRollout(Rollout):
    """The same, without a thought for those under way."""

    @workflow.init
    def __init__(self, request: RolloutRequest) -> None:
        super().__init__(request)

    @workflow.run
    async def run(self, request: RolloutRequest) -> RolloutResult:
        return await super().run(request)

    async def _carry_out(self, index: int, step: Step) -> None:
        await workflow.sleep(timedelta(milliseconds=50), summary="think")
        await super()._carry_out(index, step)
