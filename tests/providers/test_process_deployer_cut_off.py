"""Calls that are cut off while they end processes: what they began does not reach into what others do since."""

import asyncio
import threading
from typing import Any

import psutil
import pytest

from models.deployment import Instances
from providers import process_deployer
from providers.process_control import end_strays
from tests.providers.deployer_contract import SHOP, answers, quiet
from tests.providers.test_process_deployer import Stage, stage, until

__all__ = ["stage"]


async def test_what_is_started_after_a_stop_was_cut_off_is_not_taken_for_its_leftover(
    stage: Stage,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    entered, go_on, ended = threading.Event(), threading.Event(), threading.Event()

    def slow_at_first(*args: Any, **named: Any) -> None:
        first = not entered.is_set()
        entered.set()
        if first:
            go_on.wait(20)
        end_strays(*args, **named)
        if first:
            ended.set()

    spec = stage.spec(instances=1)
    await stage.deployer.start(SHOP, "v1", spec, quiet)
    monkeypatch.setattr(process_deployer, "end_strays", slow_at_first)
    stopping = asyncio.create_task(stage.deployer.stop(SHOP, "v1", spec, quiet))
    await until(entered.is_set)
    stopping.cancel()
    starting = asyncio.create_task(stage.restarted().start(SHOP, "v1", spec, quiet))
    await asyncio.wait([starting], timeout=3)
    go_on.set()
    (started,) = await starting
    await until(ended.is_set)

    assert psutil.pid_exists(started.pid)
    assert answers(started)


async def test_an_instance_that_was_told_to_end_is_listed_and_not_counted_on(
    stage: Stage,
) -> None:
    spec = stage.spec("deaf", instances=2, drain=2)
    first, second = await stage.deployer.start(SHOP, "v1", spec, quiet)
    scaling = asyncio.create_task(stage.deployer.scale(SHOP, "v1", spec, 1, quiet))
    await until(lambda: 'ending": true' in (stage.folder / "local" / "shop" / "v1" / "1.json").read_text())
    found = Instances(instances=await stage.restarted().instances(SHOP, spec))
    await scaling

    assert [instance.pid for instance in found.instances] == [first.pid, second.pid]
    assert [instance.pid for instance in found.of("v1")] == [first.pid]
