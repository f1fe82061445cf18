"""A set of alert rules, evaluated for as long as the catalog has it."""

from contextlib import suppress

from temporalio import workflow
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from activities.alert_rules import AlertDelivery, RuleWatch
    from analysis.rule_state import with_revision, with_sent, with_unwatched, with_watched
    from analysis.rule_view import details_markdown
    from models.alert_rules import ReviseRules, RulesState, RulesWatched, WatchRules
    from models.temporal_names import ALERT_RULES_WORKFLOW, RulesSignal, TaskQueue
    from workflows.interruption import undisturbed
    from workflows.policies import EVALUATE, SEND_ALERTS, WATCH_AGAIN, on


@workflow.defn(name=ALERT_RULES_WORKFLOW)
class AlertRules:
    """Watched by one long activity, which comes back only when an alert fires or clears; that is sent before the next
    watch begins. So a day in which nothing happens costs no event.
    """

    @workflow.init
    def __init__(self, state: RulesState) -> None:
        self._state = state
        self._orders: list[ReviseRules] = []

    @workflow.run
    async def run(self, state: RulesState) -> None:
        """Until the rules are removed and all is sent, or the run is full."""
        # Cancelled, it would forget what fires. Who wants it to end removes the rules.
        await undisturbed(self._evaluate())
        if not self._is_over():
            workflow.continue_as_new(self._state)

    async def _evaluate(self) -> None:
        while not self._is_over() and not self._run_is_full():
            self._heed()
            self._show()
            if self._state.outbox:
                await self._send()
            elif not self._state.removed:
                await self._watch()

    def _is_over(self) -> bool:
        return self._state.removed and not self._state.outbox and not self._orders

    def _run_is_full(self) -> bool:
        info = workflow.info()
        events = info.get_current_history_length()
        if self._orders or self._state.outbox:  # with what is to be sent, what stands may be too large for one input
            return False
        return events >= self._state.events_per_run or info.is_continue_as_new_suggested()

    def _heed(self) -> None:
        while self._orders:
            order = self._orders.pop(0)
            self._state = with_revision(self._state, order, self._batch(), workflow.now())

    async def _watch(self) -> None:
        """Until something changed, or there is an order; then the watch is cut off and says what stands."""
        asked = WatchRules(rules=self._state.rules, standing=self._state.standing)
        summary = f"evaluate {len(asked.rules.rules)} alert rules of {asked.rules.ref.service}"
        watching = workflow.start_activity_method(RuleWatch.watch, asked, **on(TaskQueue.TRAFFIC, EVALUATE, summary))
        await workflow.wait_condition(lambda: watching.done() or bool(self._orders))
        cut_off = not watching.done()
        if cut_off:
            watching.cancel()
        try:
            watched: RulesWatched = await watching
        except ActivityError as error:
            # Cut off while its worker was away: what stood before counts, and what fires was said by a watch before.
            if not cut_off:
                await self._say_blind(error)
            return
        self._state = with_watched(self._state, watched, self._batch())

    async def _say_blind(self, error: ActivityError) -> None:
        """It ended for good, which no retry mends: people are told, and it is tried again at a pace that lasts."""
        why = f"the watch of all rules ended: {error.cause or error}"[:500]
        workflow.logger.error("Alert rules of %s are not evaluated: %s", self._state.rules.ref, why)
        self._state = with_unwatched(self._state, why, self._batch(), workflow.now())
        while self._state.outbox:
            await self._send()
        with suppress(TimeoutError):
            await workflow.wait_condition(lambda: bool(self._orders), timeout=WATCH_AGAIN)

    async def _send(self) -> None:
        batch = self._state.outbox[0]
        summary = f"{len(batch.alerts)} alerts of {batch.set.service}"
        sent = await workflow.execute_activity_method(
            AlertDelivery.deliver, batch, **on(TaskQueue.INCIDENTS, SEND_ALERTS, summary)
        )
        self._state = with_sent(self._state, sent, workflow.now())

    def _batch(self) -> str:
        """How names of batches begin; the number that follows goes on from run to run."""
        info = workflow.info()
        return f"{info.workflow_id}/{info.first_execution_run_id}"

    def _show(self) -> None:
        workflow.set_current_details(details_markdown(self._state))

    @workflow.signal(name=RulesSignal.REVISE)
    def revise(self, order: ReviseRules) -> None:
        self._orders.append(order)

    @workflow.query
    def state(self) -> RulesState:
        return self._state
