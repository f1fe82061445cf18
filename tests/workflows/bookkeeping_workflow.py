"""A workflow that keeps its records as a rollout does; in a module of its own, as the sandbox imports it again."""

from datetime import timedelta

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from models.audit import AuditEntry
    from models.base import Payload
    from models.deployment import Done
    from models.ids import ServiceRef
    from models.record import RolloutRecord, rollout_entries
    from models.rollout import Phase
    from workflows.bookkeeping import Bookkeeping


class Chronicle(Payload):
    """Take `pictures` of what happens, one every `pause`, each with one audit entry more, and a last one."""

    ref: ServiceRef
    pictures: int
    pause: timedelta


@workflow.defn(name="SampleChronicle")
class SampleChronicle:
    @workflow.run
    async def run(self, asked: Chronicle) -> Done:
        books = Bookkeeping(rollout_entries)
        try:
            for number in range(asked.pictures):
                books.update(_picture(asked.ref, number, Phase.PROGRESSING))
                await workflow.sleep(asked.pause)
        finally:
            await books.finish(_picture(asked.ref, asked.pictures, Phase.PROMOTED), "the last picture")
        return Done()


def _picture(ref: ServiceRef, number: int, phase: Phase) -> RolloutRecord:
    info = workflow.info()
    return RolloutRecord(
        workflow_id=info.workflow_id,
        run_id=info.first_execution_run_id,
        ref=ref,
        version="v2",
        strategy="canary",
        requested_by="ada",
        phase=phase,
        reason=f"picture {number}",
        started_at=info.start_time,
        ended_at=workflow.now() if phase.final else None,
        audit=tuple(
            AuditEntry(key=f"{info.run_id}/{each}", at=workflow.now(), who="ada", what="pause", ref=ref)
            for each in range(number)
        ),
    )
