"""kill -9 of every process of the stack, alone and all at once, at the turning points of every kind of rollout."""

import pytest

from tests.crash.conftest import FULL, Stages
from tests.crash.stories import STORIES, Story
from tests.whole.platform import until

VICTIMS = {
    "the worker that decides": ("worker", "rollouts"),
    "the Temporal server": ("start-dev",),
    "Envoy": ("bootstrap.json",),
    "the keeper": ("-m keeper",),
    "everything": (),
}

TURNS = {
    "as its instances start": "deploy.start",
    "as its traffic is set": "traffic.apply",
    "as what goes is stopped": "deploy.stop",
}


def deaths() -> list[tuple[Story, str, str]]:
    every = [(story, victim, turn) for story in STORIES for victim in VICTIMS for turn in TURNS]
    return every if FULL else every[:: len(every) // 4]


@pytest.mark.parametrize(("story", "victim", "turn"), deaths(), ids=str)
def test_a_process_that_dies_changes_nothing_of_the_end(stages: Stages, story: Story, victim: str, turn: str) -> None:
    stage = stages.of(story)
    before = stage.taken(TURNS[turn])

    def kill() -> None:
        until(lambda: stage.taken(TURNS[turn]) > before, f"{TURNS[turn]} to be called", within=90)
        if victim == "everything":
            stage.platform.kill_everything()
            stage.platform.start()
        else:
            stage.platform.kill(*VICTIMS[victim])

    stage.play(kill, envoy_dies=victim in {"Envoy", "everything"})
