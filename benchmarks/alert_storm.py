"""A storm through the front door: `make bench-storm`. Is an alert lost that was answered 2xx? What memory is taken?

50,000 alerts on 500 keys in five minutes, as a Prometheus sends them whose every rule fires: each request brings one
alert, requests come at a steady rate whether or not those before are answered, and what is not answered 2xx is sent
again under the same Idempotency-Key until it is. Gateway and workers are the product's own processes, with nothing held
back: no storm mode, no rate limit. Afterwards every incident is asked what it has counted. Each request is counted
once, so the counts must be what was sent, exactly; and there must be one open incident of each key, no more.

Memory is the greatest resident memory of the gateway that was seen, looked at twice a second. How long it takes until
every incident has heard everything is said, too.
"""

import argparse
import asyncio
import json
import os
import sys
import time
import uuid
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass

from temporalio.client import Client
from temporalio.service import RPCError

from benchmarks.alert_sending import Connection, Times, body_of
from benchmarks.alert_stage import GATEWAY, Stage, a_stage
from benchmarks.alerts_rate import PATH, placed
from models.ids import incident_id
from runtime.client import connect
from runtime.settings import Settings
from starters.handles import incident_called
from workflows.incident import Incident

MEGABYTES_AT_MOST = 300
_LOOK_SECONDS = 0.5
_PAUSE_SECONDS = 1.0
_HEARD_WITHIN_SECONDS = 1800
_MOST_UNDER_WAY = 2_000


@dataclass(frozen=True)
class Storm:
    """What became of it. `lost` are alerts answered 2xx that no incident counted; `extra` what was counted twice."""

    sent: int
    seconds: float
    heard_seconds: float
    answers: dict[str, int]
    lost: int
    extra: int
    incidents: int
    keys: int
    megabytes: float
    p50: float
    p99: float

    @property
    def fine(self) -> bool:
        return self.lost == self.extra == 0 and self.incidents == self.keys and self.megabytes < MEGABYTES_AT_MOST


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.alert_storm", description="A storm of alerts.")
    parser.add_argument("--alerts", type=int, default=50_000)
    parser.add_argument("--keys", type=int, default=500)
    parser.add_argument("--minutes", type=float, default=5, help="in which they are sent, evenly")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    storm = asyncio.run(rage(options.alerts, options.keys, options.minutes * 60))
    if options.json:
        print(json.dumps(asdict(storm), indent=2))
    else:
        print(
            f"{storm.sent} alerts on {storm.keys} keys in {storm.seconds:.0f} s, answers {storm.answers}: {storm.lost} "
            f"lost, {storm.extra} counted twice, {storm.incidents} open incidents\n"
            f"2xx p50 {storm.p50:.0f} ms, p99 {storm.p99:.0f} ms; all heard {storm.heard_seconds:.0f} s after the "
            f"first was sent; gateway at most {storm.megabytes:.0f} MB; load average {os.getloadavg()[0]:.1f}"
        )
    return 0 if storm.fine else 1


async def rage(alerts: int, keys: int, seconds: float) -> Storm:
    async with a_stage() as stage:
        return await _Storm(stage, keys).run(alerts, seconds)


class _Storm:
    def __init__(self, stage: Stage, keys: int) -> None:
        self._stage, self._keys = stage, keys
        self._mine = uuid.uuid4().hex[:8]
        self._bodies = [body_of([self._service(key)]) for key in range(keys)]
        self._idle: list[Connection] = []
        self._answers: Counter[str] = Counter()
        self._times = Times()
        self._megabytes = 0.0

    async def run(self, alerts: int, seconds: float) -> Storm:
        weighing = asyncio.create_task(self._weigh())
        began, room = time.monotonic(), asyncio.Semaphore(_MOST_UNDER_WAY)
        async with asyncio.TaskGroup() as sending:
            for number in range(alerts):
                await asyncio.sleep(max(0.0, began + number * seconds / alerts - time.monotonic()))
                await room.acquire()
                sending.create_task(self._send(number)).add_done_callback(lambda _: room.release())
        sent_within = time.monotonic() - began
        client = await connect(Settings(temporal_address=self._stage.temporal))
        lost, extra = await self._counted(client, alerts)
        heard_within = time.monotonic() - began
        weighing.cancel()
        return Storm(
            sent=alerts,
            seconds=sent_within,
            heard_seconds=heard_within,
            answers=dict(self._answers),
            lost=lost,
            extra=extra,
            incidents=await _open(client),
            keys=self._keys,
            megabytes=self._megabytes,
            p50=self._times.at(0.5),
            p99=self._times.at(0.99),
        )

    def _service(self, key: int) -> str:
        return f"shop-{self._mine}-{key}"

    async def _send(self, number: int) -> None:
        header = f"Idempotency-Key: {self._mine}-{number}\r\n"
        began = time.monotonic()
        while True:
            connection = self._idle.pop() if self._idle else Connection(self._stage.gateway)
            try:
                status, _ = await connection.post(PATH, self._bodies[number % self._keys], header)
            except (OSError, EOFError) as error:
                self._answers[type(error).__name__] += 1
            else:
                self._idle.append(connection)
                self._answers[str(status)] += 1
                if status == 200:  # noqa: PLR2004 - OK
                    self._times.seconds.append(time.monotonic() - began)
                    return
            await asyncio.sleep(_PAUSE_SECONDS)

    async def _weigh(self) -> None:
        while True:
            self._megabytes = max(self._megabytes, self._stage.memory(GATEWAY))
            await asyncio.sleep(_LOOK_SECONDS)

    async def _counted(self, client: Client, alerts: int) -> tuple[int, int]:
        """How many alerts are lost and how many are counted twice, once the incidents have nothing left to hear."""
        expected = {key: len(range(key, alerts, self._keys)) for key in range(min(self._keys, alerts))}
        counted = dict.fromkeys(expected, 0)
        deadline = time.monotonic() + _HEARD_WITHIN_SECONDS
        ids = {key: incident_id(placed(self._stage.catalog, self._service(key)).request.ref) for key in expected}
        due = list(expected)
        while due and time.monotonic() < deadline:
            for key in due:
                with suppress(RPCError):
                    counted[key] = (await incident_called(client, ids[key]).query(Incident.state)).count
            due = [key for key in due if counted[key] < expected[key]]
            await asyncio.sleep(_PAUSE_SECONDS)
        lost = sum(max(0, expected[key] - counted[key]) for key in expected)
        return lost, sum(max(0, counted[key] - expected[key]) for key in expected)


async def _open(client: Client) -> int:
    """Incidents that run, as Temporal lists them."""
    query = "WorkflowType = 'Incident' AND ExecutionStatus = 'Running'"
    return len([each async for each in client.list_workflows(query)])


if __name__ == "__main__":
    sys.exit(main())
