"""How many rollouts are under way, as Temporal knows it: a count that no worker's restart resets."""

import asyncio
import logging
from datetime import timedelta

from temporalio.client import Client
from temporalio.common import MetricGauge, MetricMeter
from temporalio.service import RPCError

from models.rollout import Phase
from models.temporal_names import ROLLOUT_WORKFLOW, SearchAttribute

EVERY = timedelta(seconds=15)
"""As often as Prometheus usually looks."""

_PATIENCE = timedelta(seconds=5)

logger = logging.getLogger(__name__)


async def keep_census(client: Client, meter: MetricMeter, every: timedelta = EVERY) -> None:
    """Count for ever. While Temporal does not answer, the last count stands."""
    gauge = meter.create_gauge("holdfast_rollouts_under_way", "rollouts that have not ended, by phase")
    while True:
        try:
            await _count(client, gauge)
        except RPCError as error:
            logger.debug("Rollouts could not be counted: %s", error.message)
        await asyncio.sleep(every.total_seconds())


async def _count(client: Client, gauge: MetricGauge) -> None:
    for phase in Phase:
        if not phase.final:
            query = (
                f"WorkflowType = '{ROLLOUT_WORKFLOW}' AND ExecutionStatus = 'Running' "
                f"AND {SearchAttribute.PHASE} = '{phase}'"
            )
            counted = await client.count_workflows(query, rpc_timeout=_PATIENCE)
            gauge.set(counted.count, {"phase": str(phase), "namespace": client.namespace})
