"""Telling Temporal which alert rules are evaluated."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import timedelta

from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from activities.search_attributes import keywords
from models.alert_rules import ReviseRules, RuleSet, RulesState
from models.ids import Name, ServiceRef, parse_rules_id, rules_id
from models.temporal_names import ALERT_RULES_WORKFLOW, RulesSignal, SearchAttribute, TaskQueue
from workflows.alert_rules import AlertRules

PATIENCE = timedelta(seconds=10)


@dataclass(frozen=True)
class Applied:
    """By name: what was said to Temporal about it."""

    evaluated: Mapping[Name, int]
    removed: tuple[Name, ...]


async def apply_rules(client: Client, environment: Name, sets: Mapping[Name, RuleSet], *, by: str) -> Applied:
    """Raises RPCError."""
    for rules in sets.values():
        await begin(client, rules, by=by)
    gone = [ref async for ref in evaluated(client, environment) if ref.service not in sets]
    removed = [ref.service for ref in gone if await remove_rules(client, ref, by=by)]
    return Applied({name: len(rules.rules) for name, rules in sets.items()}, tuple(sorted(removed)))


async def begin(client: Client, rules: RuleSet, *, by: str) -> None:
    """Evaluate a set by these rules from now on, whether it was evaluated before or not. Raises RPCError."""
    ref = rules.ref
    attributes = {SearchAttribute.SERVICE: ref.service, SearchAttribute.ENVIRONMENT: ref.environment}
    await client.start_workflow(
        AlertRules.run,
        RulesState(rules=rules, revised_by=by),
        id=rules_id(ref),
        task_queue=TaskQueue.INCIDENTS,
        start_signal=RulesSignal.REVISE,
        start_signal_args=[ReviseRules(rules=rules, by=by)],
        static_summary=f"alert rules of {ref.service} in {ref.environment}",
        search_attributes=keywords(attributes),
        rpc_timeout=PATIENCE,
    )


async def remove_rules(client: Client, ref: ServiceRef, *, by: str) -> bool:
    """Whether there was something to remove."""
    handle = client.get_workflow_handle(rules_id(ref))
    try:
        await handle.signal(RulesSignal.REVISE, ReviseRules(by=by), rpc_timeout=PATIENCE)
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return False
        raise
    return True


async def evaluated(client: Client, environment: Name) -> AsyncIterator[ServiceRef]:
    query = (
        f"WorkflowType = '{ALERT_RULES_WORKFLOW}' AND ExecutionStatus = 'Running' "
        f"AND {SearchAttribute.ENVIRONMENT} = '{environment}'"
    )
    async for found in client.list_workflows(query, rpc_timeout=PATIENCE):
        yield parse_rules_id(found.id)
