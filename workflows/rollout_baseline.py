"""Fresh instances of the stable version beside a candidate, as many and as old as its own: what it is compared with."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from analysis.rollout_plan import count_instances
    from models.ids import Version, baseline_of, group_words
    from workflows.interruption import shielded
    from workflows.rollout_journal import Journal
    from workflows.rollout_orders import Orders
    from workflows.rollout_stopping import stop_if_aborted, unless_aborted
    from workflows.rollout_world import World
    from workflows.undo import UndoStack, must_happen


class Baseline:
    def __init__(self, world: World, journal: Journal, orders: Orders, undo: UndoStack) -> None:
        self._world = world
        self._journal = journal
        self._orders = orders
        self._undo = undo

    async def start(self, stable: Version) -> None:
        """Pushes its undo first. Raises RolloutStoppedError and ActivityError."""
        group, state = baseline_of(stable), self._journal.state
        self._undo.push(f"stopped {group_words(group)}", lambda: self._world.stop(group))
        started = await unless_aborted(self._orders, self._world.scale(group, state.size))
        stop_if_aborted(self._orders)
        self._journal.update(baseline=group)
        fresh = count_instances(len(started.instances), "fresh")
        self._journal.note(f"{fresh} of {stable} are ready; {state.version} is compared with them")

    async def stop(self) -> None:
        """Once it has no traffic. Done whatever is cancelled meanwhile; then raises CancelledError."""
        group = self._journal.state.baseline
        if group:  # else it was never started, as a person promoted the version before
            name = f"stopped {group_words(group)}"
            await shielded(must_happen(name, lambda: self._world.stop(group), self._journal.note))
