"""Asks the front door whether something still keeps the alerts that an incident holds."""

import asyncio
from collections.abc import Callable

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.held_alerts import HeldAlerts
    from analysis.incident_held import question
    from models.held import LookAgain, LookedAgain
    from models.incident import IncidentState
    from workflows.policies import LOOK_AGAIN, on

Report = Callable[[LookedAgain], None]


class Lookout:
    """One question at a time; one that the last run left unanswered is asked again."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._task: asyncio.Task[None] | None = None

    @property
    def busy(self) -> bool:
        return self._task is not None and not self._task.done()

    def tend(self, state: IncidentState) -> None:
        if state.looking and not self.busy:
            asked = question(state, workflow.info().first_execution_run_id)
            self._task = asyncio.create_task(self._ask(asked, state.held_by))

    async def _ask(self, asked: LookAgain, front_door: str) -> None:
        summary = f"does anything still keep {len(asked.alerts)} alerts of {asked.incident.service}?"
        found: LookedAgain = await workflow.execute_activity_method(
            HeldAlerts.look_again, asked, **on(front_door, LOOK_AGAIN, summary)
        )
        self._report(found)
