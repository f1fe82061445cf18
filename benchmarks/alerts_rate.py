"""Alerts per second through the front door, and bare signal-with-start per second, in turns."""

import json
import statistics
import time
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from temporalio.client import Client

from analysis.alert_making import Naming
from analysis.alertmanager_alerts import from_alertmanager
from analysis.placing import Surroundings, ToSend, by_incident, place
from benchmarks.alert_sending import Connection, Times, all_of, body_of
from benchmarks.alert_stage import GATEWAY, Stage
from benchmarks.bare_incident import Filler, signal_with_start
from models.catalog import Catalog
from models.ids import incident_id
from runtime.client import connect
from runtime.settings import Settings
from starters.handles import incident_called
from workflows.incident import Incident

PATH = "/webhooks/alertmanager"
_SAMPLE = 20
Say = Callable[[str], None]


@dataclass(frozen=True)
class Shape:
    """`count` alerts of `keys`, `at_once` requests of one alert each under way: number `n` is of key `n % keys`."""

    count: int
    keys: int
    at_once: int


@dataclass(frozen=True)
class Turn:
    """`settled` is how long it took until workers, too, had nothing left to do; `computed` is per alert, by part."""

    seconds: float
    settled: float
    times: Times
    computed: dict[str, float]
    notified: Times

    def rate(self, count: int) -> float:
        return count / self.seconds


@dataclass(frozen=True)
class Round:
    count: int
    bare: Turn
    ours: Turn

    @property
    def ratio(self) -> float:
        """Alerts per second against bare ones."""
        return self.bare.seconds / self.ours.seconds

    @property
    def settled_ratio(self) -> float:
        """The same, until all that follows is done: incidents counted, paged and recorded."""
        return self.bare.settled / self.ours.settled


@dataclass(frozen=True)
class Rates:
    rounds: tuple[Round, ...]

    @property
    def ratio(self) -> float:
        return statistics.median(each.ratio for each in self.rounds)

    @property
    def settled_ratio(self) -> float:
        return statistics.median(each.settled_ratio for each in self.rounds)


class Senders:
    """Both kinds, with the same alerts."""

    def __init__(self, stage: Stage, client: Client, keys: int) -> None:
        self._stage, self._client, self._keys = stage, client, keys
        self._begins_with, self._said = _sizes(stage)

    async def ours(self, count: int, at_once: int) -> Turn:
        """Raises AssertionError where one is not taken, not counted, or opens no incident that pages."""
        services = [f"shop-{uuid.uuid4().hex[:8]}-{number}" for number in range(self._keys)]
        bodies = [body_of([service]) for service in services]
        began: dict[str, float] = {}

        async def sender() -> Callable[[int], Awaitable[None]]:
            connection = Connection(self._stage.gateway)

            async def send(number: int) -> None:
                key = number % self._keys
                began.setdefault(services[key], time.monotonic())
                status, answer = await connection.post(PATH, bodies[key])
                assert status == 200, (status, answer)  # noqa: PLR2004 - OK

            return send

        turn = await self._turn(count, at_once, sender)
        met = services[:count]
        await self._stage.sink.until(set(met))
        notified = Times([self._stage.sink.first[service] - began[service] for service in met])
        await self._counted(met, count)
        return Turn(turn.seconds, turn.settled, turn.times, turn.computed, notified)

    async def bare(self, count: int, at_once: int) -> Turn:
        mine = uuid.uuid4().hex[:8]

        async def sender() -> Callable[[int], Awaitable[None]]:
            async def send(number: int) -> None:
                await signal_with_start(
                    self._client, f"bare-incident/{mine}/{number % self._keys}", self._begins_with, self._said
                )

            return send

        return await self._turn(count, at_once, sender)

    async def _turn(
        self, count: int, at_once: int, sender: Callable[[], Awaitable[Callable[[int], Awaitable[None]]]]
    ) -> Turn:
        before, began = self._stage.computed(), time.monotonic()
        seconds, times = await all_of(count, at_once, sender)
        settled = max(await self._stage.settled() - began, seconds)
        used = self._stage.computed()
        computed = {name: 1000 * (used[name] - before[name]) / count for name in used}
        return Turn(seconds, settled, times, computed, Times())

    async def _counted(self, services: list[str], count: int) -> None:
        """Some of them have counted what they were sent."""
        step = max(1, len(services) // _SAMPLE)
        for key in range(0, len(services), step):
            ref = placed(self._stage.catalog, services[key]).request.ref
            state = await incident_called(self._client, incident_id(ref)).query(Incident.state)
            expected = len(range(key, count, self._keys))
            assert state.count == expected, (services[key], state.count, expected)


async def measure(stage: Stage, shape: Shape, *, rounds: int, say: Say) -> Rates:
    """Warm up, then measure both in turns, each first every other time."""
    client = await connect(Settings(temporal_address=stage.temporal))
    senders = Senders(stage, client, shape.keys)
    turns = {"bare": senders.bare, "ours": senders.ours}
    for turn in turns.values():
        await turn(max(shape.count // 8, shape.at_once), shape.at_once)
    measured = []
    for number in range(rounds):
        order = ("ours", "bare") if number % 2 else ("bare", "ours")
        done = {name: await turns[name](shape.count, shape.at_once) for name in order}
        one = Round(shape.count, done["bare"], done["ours"])
        say(_in_words(one, stage))
        measured.append(one)
    return Rates(tuple(measured))


def _in_words(one: Round, stage: Stage) -> str:
    ours, bare = one.ours, one.bare
    parts = ", ".join(f"{name} {ms:.1f}" for name, ms in ours.computed.items() if ms >= 0.05)  # noqa: PLR2004 - ms
    return (
        f"  {bare.rate(one.count):6.0f} bare/s  {ours.rate(one.count):6.0f} alerts/s  ratio {one.ratio:.2f}, "
        f"all done {one.settled_ratio:.2f}; 2xx p50 {ours.times.at(0.5):.0f} p99 {ours.times.at(0.99):.0f} ms "
        f"(bare {bare.times.at(0.5):.0f}, {bare.times.at(0.99):.0f}); first page p50 {ours.notified.at(0.5):.0f} "
        f"p99 {ours.notified.at(0.99):.0f} ms; processor ms an alert: {parts}; bare: Temporal "
        f"{bare.computed['temporal']:.1f}; gateway {stage.memory(GATEWAY):.0f} MB"
    )


def _sizes(stage: Stage) -> tuple[Filler, Filler]:
    """As many bytes as an incident begins with, and as it is told of one alert."""
    sent = placed(stage.catalog, "shop-12345678-123")
    assert sent.fired
    return Filler.of(len(sent.request.model_dump_json())), Filler.of(len(sent.fired.model_dump_json()))


def placed(catalog: Catalog, service: str) -> ToSend:
    """What an alert of a service becomes on its way."""
    (alert,) = from_alertmanager(json.loads(body_of([service])), Naming.of(catalog)).alerts
    found = place(alert, catalog, Surroundings(now=datetime.now(UTC)))
    (sent,) = by_incident([found], catalog.incidents, uuid.uuid4().hex)
    return sent
