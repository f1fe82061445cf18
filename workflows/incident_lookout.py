"""Asks the front door whether something still keeps the alerts that an incident holds."""

import asyncio
from collections.abc import Callable

from temporalio import workflow
from temporalio.exceptions import ActivityError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from activities.held_alerts import HeldAlerts
    from models.held import LookAgain, LookedAgain
    from models.incident import IncidentState
    from workflows.policies import LOOK_AGAIN, on

Report = Callable[[LookedAgain], None]


class Lookout:
    """One question at a time; one that the last run left unanswered is asked again."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._task: asyncio.Task[None] | None = None
        self._asked = ""

    @property
    def busy(self) -> bool:
        return self._task is not None and not self._task.done()

    def tend(self, state: IncidentState) -> None:
        """Ask what is to be asked; take back what is not any more, or of somebody who may be gone."""
        if self._task and self.busy and not (state.looking and state.held_by == self._asked):
            self._task.cancel()
            self._task = None
        if state.looking and not self.busy:
            self._asked = state.held_by
            run_id = workflow.info().first_execution_run_id
            asked = LookAgain(incident=state.ref, request=f"{run_id}/held/{state.looks}")
            self._task = asyncio.create_task(self._ask(asked, len(state.held)))

    async def _ask(self, asked: LookAgain, number: int) -> None:
        summary = f"does anything still keep {number} alerts of {asked.incident.service}?"
        found = LookedAgain()
        try:
            found = await workflow.execute_activity_method(
                HeldAlerts.look_again, asked, **on(self._asked, LOOK_AGAIN, summary)
            )
        except ActivityError as error:
            if is_cancelled_exception(error):
                return
            workflow.logger.error("What %s holds was not looked at: %s", asked.incident, error.cause or error)
        self._report(found)
