"""What a rollout tells people while it runs: its state, in the UI, in search and by query."""

import asyncio

from temporalio import workflow
from temporalio.common import SearchAttributeKey

with workflow.unsafe.imports_passed_through():
    from analysis.rollout_view import details_markdown
    from models.rollout import (
        Phase,
        RolloutRequest,
        RolloutState,
        Step,
        StepState,
        StepStatus,
        TimelineEntry,
    )
    from models.temporal_names import SearchAttribute
    from workflows.rollout_steadfast import is_steadfast

PHASE = SearchAttributeKey.for_keyword(SearchAttribute.PHASE)
TIMELINE_LIMIT = 200


class Journal:
    """Keeps one immutable state and publishes each change of it."""

    def __init__(self, request: RolloutRequest) -> None:
        self.state = RolloutState(
            ref=request.ref,
            version=request.version,
            strategy=request.spec.rollout.strategy,
            requested_by=request.requested_by,
            request_id=request.id,
            at_once=request.at_once,
            size=request.spec.deploy.instances,
        )
        self._changed = False

    def enter(self, phase: Phase, question: str | None = None) -> None:
        """Go over to a phase, saying what is asked of a person if anything is."""
        if phase is not self.state.phase and not (phase.passing and is_steadfast()):
            workflow.upsert_search_attributes([PHASE.value_set(phase)])
        self.update(phase=phase, question=question)

    def note(self, text: str) -> None:
        entry = TimelineEntry(at=workflow.now(), text=text)
        self.update(timeline=(*self.state.timeline, entry)[-TIMELINE_LIMIT:])

    def plan(self, steps: tuple[Step, ...]) -> None:
        self.update(steps=tuple(StepState(step=step) for step in steps))

    def mark(self, index: int, status: StepStatus) -> None:
        """Set a step's status and the time it was reached."""
        times = {"started_at": workflow.now()} if status is StepStatus.ACTIVE else {"ended_at": workflow.now()}
        steps = list(self.state.steps)
        steps[index] = steps[index].model_copy(update={"status": status, **times})
        self.update(steps=tuple(steps))

    def update(self, **changes: object) -> None:
        self.state = self.state.model_copy(update=changes)
        if not self._changed:
            self._changed = True
            asyncio.get_running_loop().call_soon(self._publish)

    def _publish(self) -> None:
        """Once for all that changes at one moment."""
        self._changed = False
        workflow.set_current_details(details_markdown(self.state))
