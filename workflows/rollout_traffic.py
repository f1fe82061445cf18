"""Who receives what during a rollout. What a candidate receives, it has under a lease that the keeper guards."""

from datetime import datetime, timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError

with workflow.unsafe.imports_passed_through():
    from analysis.rollout_plan import baseline_share
    from models.deployment import Instances
    from models.ids import Group, Version, group_words, weight_lease
    from models.keeper import LEASE_LAPSED, LEASE_LOST, Holder, LeaseKey
    from models.rollout import RolloutRequest
    from models.traffic import TrafficSplit
    from workflows.rollout_decided import is_decided
    from workflows.rollout_journal import Journal
    from workflows.rollout_orders import Orders
    from workflows.rollout_stopping import RolloutStoppedError, stop_if_aborted, unless_aborted
    from workflows.rollout_world import World
    from workflows.undo import UndoStack

LAPSES_AT_MOST, LAPSES_WITHIN = 5, timedelta(hours=1)
"""A control plane that is gone so often in so short a time is not one to trust with a candidate."""


class Traffic:
    """Every method that changes the split pushes its undo first. All raise RolloutStoppedError and ActivityError."""

    def __init__(
        self, request: RolloutRequest, world: World, journal: Journal, orders: Orders, undo: UndoStack
    ) -> None:
        self._request = request
        self._ref = request.ref
        self._size = request.spec.deploy.instances
        self._duration = request.spec.rollout.lease
        self._world = world
        self._journal = journal
        self._orders = orders
        self._undo = undo
        self._epoch = 1
        self._split: TrafficSplit | None = None
        self._left: int | None = None
        self._lapses: tuple[datetime, ...] = ()

    async def split(self, weight: float, *, running: Instances | None = None, left: int | None = None) -> None:
        """Give the candidate this share, and its baseline as much if it has one.

        `running` is what runs, if that was looked at just now. With `left`, only so many instances of the stable
        version have traffic.
        """
        state = self._journal.state
        baseline = baseline_share(weight) if state.baseline else None
        self._split = TrafficSplit(stable=self._stable(), candidate=state.version, weight=weight, baseline=baseline)
        self._left = left
        await self._hold(running)

    async def again(self, why: str) -> None:
        """Put the same split in force anew, as its lease has lapsed and the keeper took it back."""
        self._lapsed(why)
        await self._hold(noted=True)

    async def promote(self, version: Version) -> None:
        """All traffic for good. A lease that lapsed before is no reason to stop: this is decided. Nor is, on a way back
        that is, a version which died since it was started: it is brought back to life.
        """
        split = TrafficSplit(stable=version)
        self._undo.push(self._undo_name(), self.give_back)
        if is_decided(self._request):
            await unless_aborted(self._orders, self._world.give_all_to(version, settle_after=self._next_lease()))
            stop_if_aborted(self._orders)
            return
        running = await unless_aborted(self._orders, self._world.instances())
        _check_lives(running.versions, split)
        try:
            await self._world.split(split, running, settle_first=self._next_lease())
        except ActivityError as error:
            if lapse(error) is None:
                raise
            await self._world.split(split, running, settle_after=self._next_lease())

    async def give_back(self) -> None:
        """All traffic to the stable version, brought back to life should nothing of it live any more."""
        stable = self._journal.state.stable
        if stable:
            await self._world.give_all_to(stable, settle_after=self._next_lease())
        else:
            await self._world.remove_traffic()
        self._journal.update(weight=0.0, off_at=workflow.now())

    async def strengthen(self, stable: Version, size: int) -> None:
        """As many instances of the stable version as there were, all of them with traffic.

        Never fewer than live, as they have traffic, nor none, should all have been dead when they were counted.
        """
        alive = len((await self._world.instances()).of(stable))
        running = await self._world.scale(stable, max(size, alive) or self._size)
        await self._world.give_all(TrafficSplit(stable=stable), running, settle_after=self._next_lease())

    async def _hold(self, running: Instances | None = None, *, noted: bool = False) -> None:
        """`noted` is whether it is known already what became of the lease before."""
        while True:
            self._undo.push(self._undo_name(), self.give_back)
            try:
                before = await self._put_in_force(running)
            except ActivityError as error:
                why = lapse(error)
                if why is None:
                    raise
            else:
                if before and not noted:
                    self._lapsed(before)
                return
            self._lapsed(why)
            running, noted = None, True

    def _lapsed(self, why: str) -> None:
        version = self._journal.state.version
        self._journal.note(f"{version} was off the traffic: {why}")
        now = workflow.now()
        self._lapses = (*(at for at in self._lapses if now - at < LAPSES_WITHIN), now)
        if len(self._lapses) >= LAPSES_AT_MOST:
            raise RolloutStoppedError(f"{version} was off the traffic {len(self._lapses)} times: {why}")

    async def _put_in_force(self, running: Instances | None) -> str:
        """Instances of the candidate that are still starting get nothing of it.

        Returns what had become of the lease before, if that had lapsed.
        """
        assert self._split  # noqa: S101 - set before every call
        state = self._journal.state
        if running is None:
            running = await unless_aborted(self._orders, self._world.instances())
        ready = running.limited(state.version, len(state.instances))
        _check_lives(ready.versions, self._split)
        if self._left is not None:
            ready = ready.limited(self._split.stable, self._left)
        lease = self._next_lease()
        done = await unless_aborted(self._orders, self._world.split(self._split, ready, lease=lease))
        stop_if_aborted(self._orders)
        return done.lapsed_before

    @property
    def lease(self) -> LeaseKey | None:
        """The lease to renew: the one of the split in force."""
        return self._lease() if self._split else None

    def _next_lease(self) -> LeaseKey:
        """Another number for each split, so that a late one is told from the one in force."""
        self._epoch += 1
        return self._lease()

    def _lease(self) -> LeaseKey:
        info = workflow.info()
        holder = Holder(workflow_id=info.workflow_id, run_id=info.run_id)
        return LeaseKey(key=weight_lease(self._ref), holder=holder, epoch=self._epoch, duration=self._duration)

    def _undo_name(self) -> str:
        stable = self._journal.state.stable
        return f"returned all traffic to {stable}" if stable else "removed the route"

    def _stable(self) -> Version:
        stable = self._journal.state.stable
        if stable is None:
            raise ApplicationError("this step needs a stable version", non_retryable=True)
        return stable


def lapse(error: ActivityError) -> str | None:
    """What an activity says of its lease when that is no longer held; None when it failed for something else."""
    cause = error.cause
    if isinstance(cause, ApplicationError) and cause.type in {LEASE_LAPSED, LEASE_LOST}:
        return cause.message
    return None


def _check_lives(alive: frozenset[Group], split: TrafficSplit) -> None:
    dead = [group for group, share in split.weights().items() if share > 0 and group not in alive]
    if dead:
        raise RolloutStoppedError(f"no instance of {group_words(dead[0])} lives any more")
