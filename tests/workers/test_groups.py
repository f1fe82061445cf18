from pathlib import Path

import pytest
from temporalio import activity

from models.temporal_names import TaskQueue
from runtime.envoy_admin import EnvoyUnknownError
from runtime.settings import Settings
from workers.groups import GROUPS, UnknownGroupError, groups_named
from workers.wiring import Adapters


def test_every_queue_has_exactly_one_group() -> None:
    assert sorted(group.queue for group in GROUPS) == sorted(TaskQueue)


async def test_every_group_is_wired_and_activities_have_names_of_their_own(tmp_path: Path) -> None:
    async with Adapters(Settings(home=tmp_path)) as adapters:
        names = [
            activity._Definition.must_from_callable(function).name
            for group in GROUPS
            for function in group.activities(adapters)
        ]
    assert {"deploy.start", "deploy.stop", "traffic.apply", "traffic.watch"} <= set(names)
    assert len(names) == len(set(names))


async def test_only_groups_that_need_envoy_ask_where_it_is(tmp_path: Path) -> None:
    async with Adapters(Settings(home=tmp_path, envoy_admin_port=0)) as adapters:
        for name in ("rollouts", "deploys"):
            (group,) = groups_named([name])
            group.activities(adapters)
        (traffic,) = groups_named(["traffic"])
        with pytest.raises(EnvoyUnknownError, match="HOLDFAST_ENVOY_ADMIN"):
            traffic.activities(adapters)


def test_groups_are_chosen_by_name() -> None:
    assert [group.queue for group in groups_named(["traffic", "rollouts"])] == ["rollouts", "traffic"]
    assert groups_named(["all"]) == GROUPS


def test_an_unknown_group_is_answered_with_those_that_exist() -> None:
    with pytest.raises(UnknownGroupError, match=r"no worker group 'pizza'; name one or more of rollouts, .* or all"):
        groups_named(["rollouts", "pizza"])
