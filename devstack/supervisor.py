"""The children of a stack: started one after another or together, and stopped in reverse order."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from pathlib import Path

from devstack.child import Child, ChildSpec
from devstack.errors import NotServingError
from devstack.obtain import seconds
from devstack.voice import Voice

Serving = Callable[[], Awaitable[None]]
"""Returns once the child serves; may take for ever, and may raise."""


class Supervisor:
    """Stops only what it started itself."""

    def __init__(self, logs: Path, voice: Voice) -> None:
        self.hurry = asyncio.Event()
        """Once set, what is stopped is killed without waiting for its grace."""
        self._logs = logs
        self._voice = voice
        self._stages: list[list[Child]] = []

    @property
    def children(self) -> tuple[Child, ...]:
        return tuple(child for stage in self._stages for child in stage)

    async def start(self, starting: Sequence[tuple[ChildSpec, Serving]], *, within: timedelta) -> None:
        """Start these together; return once all serve. They form one stage, to be stopped together.

        From then on one that dies is restarted. Raises NotServingError, with the end of its log, for one that dies
        before it serves, or does not serve in time.
        """
        stage: list[Child] = []
        self._stages.append(stage)
        for spec, _ in starting:
            child = Child(spec, self._logs, self._voice)
            stage.append(child)
            await child.start()
        waiting = [
            asyncio.create_task(_until_serving(child, serving, within))
            for child, (_, serving) in zip(stage, starting, strict=True)
        ]
        try:
            await asyncio.gather(*waiting)
        finally:
            for each in waiting:
                each.cancel()

    @property
    def stages(self) -> int:
        return len(self._stages)

    async def stop(self, down_to: int = 0) -> None:
        """Stop in reverse order of start, each stage together, until only `down_to` stages are left."""
        while len(self._stages) > down_to:
            stage = self._stages[-1]
            for child in stage:
                child.ask_to_end()
            await asyncio.gather(*(self._stop(child) for child in stage))
            self._stages.pop()

    async def _stop(self, child: Child) -> None:
        how = await child.stop(self.hurry)
        self._voice.say(f"{child.spec.name} {how}.")


async def _until_serving(child: Child, serving: Serving, within: timedelta) -> None:
    name, log = child.spec.name, child.log
    probe = asyncio.ensure_future(serving())
    death = asyncio.create_task(child.exited.wait())
    try:
        await asyncio.wait({probe, death}, timeout=within.total_seconds(), return_when=asyncio.FIRST_COMPLETED)
        if probe.done():
            probe.result()
            if not child.exited.is_set():
                child.restarts = True
                return
        what = "ended before it served" if child.exited.is_set() else f"did not serve within {seconds(within)}"
        raise NotServingError(f"{name} {what}. The end of {log.path}:\n{log.tail()}")
    finally:
        probe.cancel()
        death.cancel()
        await asyncio.gather(probe, death, return_exceptions=True)
