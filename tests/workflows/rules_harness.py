"""Sets of alert rules on a server, with a source that finds what a test says."""

import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta

from temporalio.client import Client, WorkflowHandle
from temporalio.worker import Worker

from models.alert_rules import AlertRule, ReviseRules, RuleSet, RulesState
from models.ids import ServiceRef, rules_id
from models.temporal_names import RulesSignal, TaskQueue
from starters.rule_applying import begin
from tests.analysis.rule_factories import a_rule, a_set
from tests.workflows.fake_source import FakeDelivery, FakeWatch
from tests.workflows.harness import until
from workflows.alert_rules import AlertRules

RulesHandle = WorkflowHandle[AlertRules, None]


class RuledService:
    """The rules of a service that no other test uses."""

    def __init__(self, client: Client, source: FakeWatch, delivery: FakeDelivery) -> None:
        self.client, self.source, self.delivery = client, source, delivery
        self.ref = ServiceRef(environment="local", service=f"shop-{uuid.uuid4().hex[:8]}")

    @property
    def handle(self) -> RulesHandle:
        return self.client.get_workflow_handle_for(AlertRules.run, rules_id(self.ref))

    def rules(self, *rules: AlertRule) -> RuleSet:
        return a_set(*(rules or (a_rule("error_rate > 5%"),)), ref=self.ref)

    async def begin(self, *rules: AlertRule) -> None:
        """As `holdfast rules apply` does."""
        await begin(self.client, self.rules(*rules), by="ada")

    async def begin_with(self, **state: object) -> None:
        await self.client.start_workflow(
            AlertRules.run,
            RulesState.model_validate({"rules": self.rules(), **state}),
            id=rules_id(self.ref),
            task_queue=TaskQueue.INCIDENTS,
        )

    async def remove(self) -> None:
        await self.handle.signal(RulesSignal.REVISE, ReviseRules(by="ada"))

    def see(self, times: int = 1, **found: float | None) -> None:
        for _ in range(times):
            self.source.see(self.ref.service, **found)

    @property
    def said(self) -> list[tuple[str, str]]:
        return self.delivery.said(self.ref.service)

    async def until_said(self, *said: tuple[str, str]) -> None:
        async def heard() -> bool:
            return len(self.said) >= len(said)

        await until(heard, f"{said} to be said")
        assert self.said == list(said)

    async def until_watched(self, condition: Callable[[RuleSet], bool], what: str) -> None:
        async def begun() -> bool:
            return any(condition(each.rules) for each in self.source.begun if each.rules.ref == self.ref)

        await until(begun, what)

    async def state(self) -> RulesState:
        return await self.handle.query(AlertRules.state, rpc_timeout=timedelta(seconds=5))


@asynccontextmanager
async def ruled_service(client: Client, served: FakeWatch | None = None) -> AsyncIterator[RuledService]:
    """With workers of its queues, which stop before it is left. `served` is a source that has a worker already."""
    delivery = FakeDelivery()
    async with AsyncExitStack() as workers:
        await workers.enter_async_context(
            Worker(client, task_queue=TaskQueue.INCIDENTS, workflows=[AlertRules], activities=[delivery.deliver])
        )
        source = served or FakeWatch()
        if served is None:
            await workers.enter_async_context(
                Worker(
                    client,
                    task_queue=TaskQueue.TRAFFIC,
                    activities=[source.watch],
                    max_heartbeat_throttle_interval=timedelta(milliseconds=100),
                    default_heartbeat_throttle_interval=timedelta(milliseconds=100),
                )
            )
        yield RuledService(client, source, delivery)
