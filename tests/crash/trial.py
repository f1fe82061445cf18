"""One disturbed rollout: what was there before, what is there after, and that it is what an undisturbed one leaves."""

import asyncio
import json
import sqlite3
import uuid
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta

import httpx
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowUpdateFailedError
from temporalio.exceptions import TemporalError
from temporalio.service import RPCError

from models.guard import GuardState
from models.ids import ServiceRef, rollout_id
from models.rollout import Instruction, RolloutRequest, RolloutState
from runtime.catalog_file import load_catalog
from runtime.plugin import holdfast_plugin
from starters.exits import CommandError
from starters.handles import guard_of, rollout_of
from starters.launching import IfBusy, launch
from tests.crash.plan import CrashFolder
from tests.crash.stories import BAD, GOOD, Story
from tests.whole.platform import Json, Platform, Shop, until
from workflows.rollout import Rollout
from workflows.service_guard import ServiceGuard

ENDS_WITHIN = 150.0
PATIENCE = timedelta(seconds=5)
WATCH = "traffic.watch"
RATE = 30
"""Requests a second: half of them are enough to judge within the bake, and cost a busy machine little."""


@dataclass
class Stage:
    """A service on which one story is played again and again; `stable` is the version that serves it.

    `disturbed` stays set when a trial did not end right: nothing more is to be built on it then.
    """

    platform: Platform
    story: Story
    shop: Shop
    stable: str = GOOD
    disturbed: bool = False
    runs: list[str] = field(default_factory=list)

    @classmethod
    def build(cls, platform: Platform, story: Story) -> "Stage":
        shop = story.shop(platform)
        Platform.made.remove((platform, shop))  # it stays for the next trial
        platform.deploy(shop, GOOD)
        return cls(platform, story, shop)

    @property
    def workflow_id(self) -> str:
        return rollout_id(self.ref)

    @property
    def ref(self) -> ServiceRef:
        return ServiceRef(environment="local", service=self.shop.name)

    def play(self, disturb: Callable[[], None] = lambda: None, *, envoy_dies: bool = False) -> None:
        """Give the order, disturb, wait for the end, and hold it against an undisturbed one's.

        `disturb` may also have been planned before; it is called once the order is given.
        """
        self.disturbed = True
        candidate = self.story.candidate(self.stable)
        before, watches = self.platform.starts(self.shop.name), self.taken(WATCH)
        with self.platform.traffic(self.shop, RATE) as report:
            self._begin(candidate)
            with ThreadPoolExecutor(1) as person:  # who promotes while things die: some die of what follows from it
                order = person.submit(self._promote, watches) if self.story.by_order else None
                disturb()
                if order:
                    order.result()
            state = self._ended(candidate)
            users = report()
        self.assert_end(state, candidate, before)
        if not envoy_dies:
            lost = {version: tally for version, tally in users["by_version"].items() if tally["failed"]}
            assert set(lost) <= {BAD}, f"requests were lost: {users['failures']}"
        self.disturbed = False

    def _begin(self, version: str) -> None:
        """As the command does, without its start-up; given again while Temporal is dead from the trial before."""
        catalog = load_catalog(self.shop.catalog)
        request = RolloutRequest(
            id=uuid.uuid4().hex,
            ref=self.ref,
            version=version,
            spec=catalog.services[self.shop.name],
            guard=catalog.guard_rules(self.shop.name),
            requested_by="crash@test",
            at_once=self.story.at_once,
            automatic=self.story.automatic,
        )

        async def begin() -> None:
            try:
                await launch(await _client(self.platform), request, IfBusy.REFUSE)
            except CommandError as refused:
                if f"({version}," not in str(refused):  # else it was taken when it was given before
                    raise

        _patiently(begin, f"the rollout of {version} to begin")

    def _promote(self, watches: int) -> None:
        """Once it is watched; cut off before that, a death at its watch would never come."""

        async def promote() -> None:
            handle = rollout_of(await _client(self.platform), self.ref)
            if (await handle.describe()).status is not WorkflowExecutionStatus.RUNNING:
                return
            state = await handle.query(Rollout.state, rpc_timeout=PATIENCE)
            if self.taken(WATCH) <= watches and not state.phase.settled:
                raise TimeoutError("it is not watched yet")
            with suppress(WorkflowUpdateFailedError):  # it was heard when it was given before, or is decided
                await handle.execute_update(Rollout.promote, Instruction(by="crash@test"), rpc_timeout=PATIENCE)

        _patiently(promote, "the promotion to be ordered")

    def _ended(self, candidate: str) -> RolloutState:
        state = None

        def ended() -> bool:
            nonlocal state
            run_id, found = asyncio.run(_newest(self.platform, self.ref))
            if found and found.version == candidate and run_id not in self.runs:
                state = (run_id, found)
            return state is not None

        until(ended, f"the rollout of {candidate} to end", within=ENDS_WITHIN)
        assert state is not None
        self.runs.append(state[0])
        return state[1]

    def assert_end(self, state: RolloutState, candidate: str, before: dict[str, int]) -> None:
        """The decided end: the right instances, each started once, all traffic where it belongs, and all on record."""
        stays = candidate if self.story.promoted else self.stable
        assert state.phase == ("promoted" if self.story.promoted else "rolled_back"), state.reason
        until(lambda: self.platform.instances(self.shop.name) == {stays: 2}, f"2 of {stays} and no other")
        split = json.loads((self.platform.home / "envoy" / "services" / f"local.{self.shop.name}.json").read_text())
        assert split["split"] == {"stable": stays, "candidate": None, "weight": "0%", "baseline": None}
        assert self._answering() == {stays}
        started = {
            version: count - before.get(version, 0) for version, count in self.platform.starts(self.shop.name).items()
        }
        assert {version: count for version, count in started.items() if count} == self.story.starts(self.stable)
        assert asyncio.run(_guard(self.platform, self.ref)).leases == ()
        until(lambda: self._recorded() == [str(state.phase)], "the record", within=60)
        self.stable = stays

    def _answering(self) -> set[str]:
        """Which versions answer users now, once Envoy is there."""
        with httpx.Client(base_url=self.shop.url, trust_env=False, timeout=5) as users:

            def serves() -> bool:
                try:
                    return users.get("/").status_code < 500
                except httpx.TransportError:
                    return False

            until(serves, "Envoy to serve")
            return {users.get("/").headers["x-holdfast-version"] for _ in range(10)}

    def _recorded(self) -> list[str]:
        with sqlite3.connect(f"file:{self.platform.home / 'records.db'}?mode=ro", uri=True, timeout=10) as database:
            rows = database.execute(
                "select phase from rollouts where workflow_id = ? and run_id = ? and ended_at is not null",
                (self.workflow_id, self.runs[-1]),
            ).fetchall()
        return [row[0] for row in rows]

    def taken(self, activity: str) -> int:
        """How often workers took this activity of any run of the story's rollout."""
        executed = CrashFolder(self.platform.home).journal()
        return sum(each.workflow_id == self.workflow_id and each.activity == activity for each in executed)

    def called(self) -> Json:
        """How often the last run called each activity."""
        folder = CrashFolder(self.platform.home)
        calls: Json = {}
        for executed in folder.executed(self.runs[-1]):
            calls.setdefault(executed.activity, set()).add(executed.activity_id)
        return {activity: len(ids) for activity, ids in calls.items()}


def _patiently(order: Callable[[], Coroutine[None, None, None]], what: str) -> None:
    """Give an order until it is taken, as a person would while nobody answers."""

    def taken() -> bool:
        try:
            asyncio.run(order())
        except (RPCError, TemporalError, RuntimeError, OSError, TimeoutError):
            return False
        return True

    until(taken, what, within=90)


async def _newest(platform: Platform, ref: ServiceRef) -> tuple[str, RolloutState | None]:
    """The newest run, and its state if it has ended."""
    try:
        client = await _client(platform)
        handle = rollout_of(client, ref)
        described = await handle.describe(rpc_timeout=timedelta(seconds=2))
        if described.status is WorkflowExecutionStatus.RUNNING:
            return described.run_id, None
        return described.run_id, await handle.query(Rollout.state, rpc_timeout=timedelta(seconds=5))
    except (RPCError, TemporalError, RuntimeError, OSError):  # Temporal, or who would answer, is dead at the moment
        return "", None


async def _guard(platform: Platform, ref: ServiceRef) -> GuardState:
    handle = guard_of(await _client(platform), ref)
    return await handle.query(ServiceGuard.state)


async def _client(platform: Platform) -> Client:
    return await Client.connect(platform.record["temporal"], plugins=[holdfast_plugin()])
