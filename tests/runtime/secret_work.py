"""A workflow that says its secret in every way there is; in a module of its own, as the sandbox imports it again."""

import asyncio
from datetime import timedelta

from temporalio import activity, workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError

with workflow.unsafe.imports_passed_through():
    from models.base import Payload


class Secret(Payload):
    """`stays` keeps the activity at work until its worker is stopped."""

    text: str
    stays: bool = False


@activity.defn(name="secret.keep")
async def keep(secret: Secret) -> Secret:
    """Heartbeat the secret; returns what an earlier attempt had heartbeat, if there was one."""
    before = activity.info().heartbeat_details
    activity.heartbeat(f"{secret.text} beats")
    if before:
        return Secret(text=str(before[0]))
    while secret.stays:
        await asyncio.sleep(0.01)
    return secret


@activity.defn(name="secret.spill")
async def spill(secret: Secret) -> None:
    raise ApplicationError(f"{secret.text} failed", secret, non_retryable=True) from ValueError(
        f"{secret.text} as a cause"
    )


@workflow.defn(name="SecretKeeper")
class SecretKeeper:
    """Ends when told to. Every argument, result, message and note of it holds the secret."""

    def __init__(self) -> None:
        self._told: list[str] = []
        self._over = False

    @workflow.run
    async def run(self, secret: Secret) -> Secret:
        workflow.set_current_details(f"{secret.text} in details")
        workflow.upsert_memo({"later": f"{secret.text} in a memo"})
        kept = await workflow.execute_activity(
            keep,
            secret,
            summary=f"{secret.text} in a summary",
            start_to_close_timeout=timedelta(seconds=60),
            heartbeat_timeout=timedelta(seconds=20),
            retry_policy=RetryPolicy(initial_interval=timedelta(milliseconds=100), maximum_attempts=5),
        )
        try:
            await workflow.execute_activity(spill, secret, start_to_close_timeout=timedelta(seconds=20))
        except ActivityError as error:
            self._told.append(str(error.cause))
        await workflow.sleep(timedelta(milliseconds=10), summary=f"{secret.text} on a timer")
        await workflow.wait_condition(lambda: self._over)
        await workflow.wait_condition(workflow.all_handlers_finished)
        return kept

    @workflow.signal
    async def tell(self, secret: Secret) -> None:
        self._told.append(secret.text)

    @workflow.query
    def told(self) -> list[str]:
        return self._told

    @workflow.update
    async def end(self, secret: Secret) -> Secret:
        self._over = True
        return secret

    @end.validator
    def _may_end(self, secret: Secret) -> None:
        if secret.stays:
            raise ValueError(f"{secret.text} stays")
