"""kill -9 of a worker at every activity boundary of every kind of rollout: always the end of an undisturbed one.

`make test` and `make test-full` run a part that touches every story and every activity; `make crash` all of it.
"""

from typing import Any

import pytest

from tests.crash.conftest import FULL, Stages
from tests.crash.plan import CrashFolder, Death, Moment
from tests.crash.stories import STORIES, Story
from tests.whole.platform import until


def deaths() -> list[Any]:
    every = [
        (story, activity, nth, moment)
        for story in STORIES
        for activity, count in story.calls.items()
        for nth in range(1, count + 1)
        for moment in Moment
    ]
    beside = [each for each in every if each[0].baseline and each[1] == "deploy.scale" and each[3] is Moment.AFTER]
    if FULL:
        return every
    some = [*every[:: len(every) // 8], *beside]
    return [pytest.param(*each, marks=pytest.mark.full if number % 2 else ()) for number, each in enumerate(some)]


@pytest.mark.parametrize("story", STORIES if FULL else STORIES[2:7:4], ids=str)
def test_the_boundaries_are_all_of_them(stages: Stages, story: Story) -> None:
    stage = stages.of(story)
    stage.play()

    assert stage.called() == story.calls


@pytest.mark.parametrize(("story", "activity", "nth", "moment"), deaths(), ids=str)
def test_a_worker_that_dies_changes_nothing_of_the_end(
    stages: Stages, story: Story, activity: str, nth: int, moment: Moment
) -> None:
    stage = stages.of(story)
    folder = CrashFolder(stage.platform.home)
    folder.plan(Death(workflow_id=stage.workflow_id, activity=activity, nth=nth, moment=moment))
    stage.play()

    # One that was cancelled hears of it with its next heartbeat, and that may be after the end.
    until(lambda: folder.due is None, "the worker to die where it was told to")
