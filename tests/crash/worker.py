"""A worker as in production, except that it dies where it is told to: `python -m tests.crash.worker GROUP`."""

import asyncio
import os
import signal
import sys
from typing import Any

from temporalio import activity
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

from runtime.logs import configure_logging
from runtime.settings import Settings
from tests.crash.plan import CrashFolder, Executed, Moment
from workers.groups import groups_named
from workers.run import run_workers


class Mortal(Interceptor):
    """Notes every attempt in the journal, and kills this process at the moment that is planned."""

    def __init__(self, folder: CrashFolder) -> None:
        self._folder = folder

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:  # noqa: A002 - the SDK's name
        return _MortalActivities(next, self._folder)


class _MortalActivities(ActivityInboundInterceptor):
    def __init__(self, following: ActivityInboundInterceptor, folder: CrashFolder) -> None:
        super().__init__(following)
        self._folder = folder

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002 - the SDK's name
        self._folder.note(_executed())
        self._die_if_due(Moment.BEFORE)
        try:
            result = await super().execute_activity(input)
        except asyncio.CancelledError:  # a watch that an order ends
            self._die_if_due(Moment.AFTER)
            raise
        self._die_if_due(Moment.AFTER)
        return result

    def _die_if_due(self, moment: Moment) -> None:
        death, now = self._folder.due, _executed()
        if not death or (death.workflow_id, death.activity, death.moment) != (now.workflow_id, now.activity, moment):
            return
        calls = {e.activity_id: None for e in self._folder.executed(now.run_id) if e.activity == now.activity}
        if list(calls).index(now.activity_id) + 1 == death.nth:
            self._folder.fire()
            os.kill(os.getpid(), signal.SIGKILL)


def _executed() -> Executed:
    info = activity.info()
    return Executed(
        workflow_id=info.workflow_id or "",
        run_id=info.workflow_run_id or "",
        activity=info.activity_type,
        activity_id=info.activity_id,
        attempt=info.attempt,
    )


def main() -> None:
    settings = Settings()
    configure_logging(settings)
    asyncio.run(run_workers(groups_named(sys.argv[1:]), settings, interceptors=[Mortal(CrashFolder(settings.home))]))
    os._exit(0)  # the SDK's core may abort an interpreter that shuts down (temporalio/sdk-python issue 300)


if __name__ == "__main__":
    main()
