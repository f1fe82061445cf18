"""The least that a workflow with so many activities can be: what rollouts are held against."""

from datetime import timedelta

from temporalio import activity, workflow

with workflow.unsafe.imports_passed_through():
    from models.base import Payload


class Call(Payload):
    """One activity: where it runs, and how many bytes its input and its result take as JSON."""

    queue: str
    asked: int
    answered: int


class Calls(Payload):
    calls: tuple[Call, ...]


class Asked(Payload):
    answered: int
    filler: str


class Answered(Payload):
    filler: str


_OVERHEAD = len(Asked(answered=1000, filler="").model_dump_json()), len(Answered(filler="").model_dump_json())


@activity.defn(name="bare.call")
async def call(asked: Asked) -> Answered:
    return Answered(filler="x" * max(0, asked.answered - _OVERHEAD[1]))


@workflow.defn(name="bare")
class Bare:
    """One activity after another, and nothing else."""

    @workflow.run
    async def run(self, asked: Calls) -> Answered:
        for each in asked.calls:
            await workflow.execute_activity(
                call,
                Asked(answered=each.answered, filler="x" * max(0, each.asked - _OVERHEAD[0])),
                task_queue=each.queue,
                start_to_close_timeout=timedelta(seconds=10),
            )
        return Answered(filler="")
