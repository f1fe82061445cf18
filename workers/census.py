"""How many rollouts are under way and incidents open, as Temporal knows it: a count that no worker's restart resets."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import timedelta

from temporalio.client import Client
from temporalio.common import MetricGauge, MetricMeter
from temporalio.service import RPCError

from models import incident
from models.rollout import Phase
from models.severity import Severity
from models.temporal_names import INCIDENT_WORKFLOW, ROLLOUT_WORKFLOW, SearchAttribute

EVERY = timedelta(seconds=15)
"""As often as Prometheus usually looks."""

_PATIENCE = timedelta(seconds=5)

logger = logging.getLogger(__name__)


async def keep_census(client: Client, meter: MetricMeter, every: timedelta = EVERY) -> None:
    """Count rollouts for ever. While Temporal does not answer, the last count stands."""
    gauge = meter.create_gauge("holdfast_rollouts_under_way", "rollouts that have not ended, by phase")
    await _for_ever(lambda: _count(client, gauge), every)


async def keep_incident_census(client: Client, meter: MetricMeter, every: timedelta = EVERY) -> None:
    """Count incidents for ever. While Temporal does not answer, the last count stands."""
    gauge = meter.create_gauge("holdfast_incidents_open", "incidents that are not resolved, by severity and phase")
    await _for_ever(lambda: _count_incidents(client, gauge), every)


async def _for_ever(count: Callable[[], Awaitable[None]], every: timedelta) -> None:
    while True:
        try:
            await count()
        except RPCError as error:
            logger.debug("What is under way could not be counted: %s", error.message)
        await asyncio.sleep(every.total_seconds())


async def _count(client: Client, gauge: MetricGauge) -> None:
    for phase in Phase:
        if not phase.final and not phase.passing:
            counted = await _number(client, ROLLOUT_WORKFLOW, f"{SearchAttribute.PHASE} = '{phase}'")
            gauge.set(counted, {"phase": str(phase), "namespace": client.namespace})


async def _count_incidents(client: Client, gauge: MetricGauge) -> None:
    for phase in incident.Phase:
        for severity in Severity:
            if phase.open:
                such = f"{SearchAttribute.PHASE} = '{phase}' AND {SearchAttribute.SEVERITY} = '{severity}'"
                counted = await _number(client, INCIDENT_WORKFLOW, such)
                labels = {"phase": str(phase), "severity": str(severity), "namespace": client.namespace}
                gauge.set(counted, labels)


async def _number(client: Client, kind: str, such: str) -> int:
    """Raises RPCError."""
    query = f"WorkflowType = '{kind}' AND ExecutionStatus = 'Running' AND {such}"
    return (await client.count_workflows(query, rpc_timeout=_PATIENCE)).count
