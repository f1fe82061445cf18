"""How soon people hear of an alert on an idle machine, and how late an escalation comes."""

import asyncio
import time
import uuid
from dataclasses import dataclass
from datetime import datetime

from benchmarks.alert_sending import Connection, Times, an_alert, body_of
from benchmarks.alert_stage import Stage
from benchmarks.alertmanager import an_alertmanager, find_alertmanager, post
from benchmarks.alerts_rate import PATH
from models.notification import NotificationKind

LEVELS = 4
WAIT_SECONDS = 3
ESCALATES = [{"notify": ["sink"], "wait": f"{WAIT_SECONDS}s"}] * LEVELS
"""A policy of which each level but the last is followed by another."""

_BETWEEN_SECONDS = 0.2
_HEARD_WITHIN_SECONDS = 60


@dataclass(frozen=True)
class Lags:
    """From the POST of one alert to the first webhook about it, of each in turn; Alertmanager's is None without one."""

    taken: Times
    ours: Times
    alertmanagers: Times | None


async def measure_lags(stage: Stage, count: int) -> Lags:
    """One alert at a time, to each in turn."""
    program = find_alertmanager()
    gateway = Connection(stage.gateway)
    lags = Lags(Times(), Times(), Times() if program else None)
    await _ours(stage, gateway, Lags(Times(), Times(), None))
    if program is None or lags.alertmanagers is None:
        for _ in range(count):
            await _ours(stage, gateway, lags)
        return lags
    async with an_alertmanager(program, stage.sink.address) as there:
        connection = Connection(there)
        await _theirs(stage, connection, Times())
        for _ in range(count):
            await _ours(stage, gateway, lags)
            await _theirs(stage, connection, lags.alertmanagers)
    return lags


async def _ours(stage: Stage, gateway: Connection, lags: Lags) -> None:
    service = f"shop-{uuid.uuid4().hex[:8]}"
    body, began = body_of([service]), time.monotonic()
    status, answer = await gateway.post(PATH, body)
    assert status == 200, answer  # noqa: PLR2004 - OK
    lags.taken.seconds.append(time.monotonic() - began)
    await _heard(stage, service, began, lags.ours)


async def _theirs(stage: Stage, connection: Connection, times: Times) -> None:
    service, began = f"shop-{uuid.uuid4().hex[:8]}", time.monotonic()
    await post(connection, an_alert(service))
    await _heard(stage, service, began, times)


async def _heard(stage: Stage, service: str, began: float, times: Times) -> None:
    async with asyncio.timeout(_HEARD_WITHIN_SECONDS):
        await stage.sink.until({service})
    times.seconds.append(stage.sink.first[service] - began)
    await asyncio.sleep(_BETWEEN_SECONDS)


async def measure_lateness(stage: Stage, count: int) -> Times:
    """Of so many incidents that nobody acknowledges, begun evenly: how long after it was due each further level's page
    arrived. The stage has the policy `ESCALATES`.
    """
    gateway, mine = Connection(stage.gateway), f"shop-{uuid.uuid4().hex[:8]}"
    for number in range(count):
        status, answer = await gateway.post(PATH, body_of([f"{mine}-{number}"]))
        assert status == 200, answer  # noqa: PLR2004 - OK
        await asyncio.sleep(_BETWEEN_SECONDS)
    wanted = {(f"{mine}-{number}", level) for number in range(count) for level in range(2, LEVELS + 1)}
    async with asyncio.timeout(LEVELS * WAIT_SECONDS + _HEARD_WITHIN_SECONDS):
        await stage.sink.until_pages(lambda: wanted <= _late(stage).keys())
    late = _late(stage)
    return Times([late[each] for each in wanted])


def _late(stage: Stage) -> dict[tuple[str, int], float]:
    """Seconds after it was due, of each page, by service and level."""
    return {
        (page.service, page.level): page.at - datetime.fromisoformat(page.due_at).timestamp()
        for page in stage.sink.pages
        if page.kind == NotificationKind.PAGE
    }
