from datetime import timedelta

from analysis.rollout_history import merged, unaccounted
from models.rollout import PastRollout, Phase
from tests.factories import WHEN


def past(run: int, phase: Phase = Phase.PROMOTED, *, version: str = "v1") -> PastRollout:
    began = WHEN + timedelta(hours=run)
    ended = began + timedelta(minutes=5) if phase.final else None
    return PastRollout(
        version=version, strategy="canary", phase=phase, started_at=began, ended_at=ended, run_id=str(run)
    )


def test_every_run_stands_there_once_the_newest_first() -> None:
    assert merged([past(3), past(1)], [past(4), past(3), past(2)], 10) == [past(4), past(3), past(2), past(1)]


def test_no_more_than_asked_for() -> None:
    assert merged([past(1)], [past(2), past(3)], 2) == [past(3), past(2)]


def test_who_knows_the_end_is_believed() -> None:
    ended, stale = past(1), past(1, Phase.PROMOTING)

    assert merged([ended], [stale], 10) == merged([stale], [ended], 10) == [ended]


def test_while_it_is_under_way_temporal_is_fresher_than_the_record() -> None:
    assert merged([past(1, Phase.PREPARING)], [past(1, Phase.PROGRESSING)], 10) == [past(1, Phase.PROGRESSING)]


def test_an_end_that_is_recorded_stays_what_temporal_forgets() -> None:
    assert merged([past(1)], [], 10) == [past(1)]


def test_only_what_has_no_end_and_is_not_listed_is_to_be_asked_for() -> None:
    recorded = [past(3, Phase.PROGRESSING), past(2, Phase.PROGRESSING), past(1)]

    assert unaccounted(recorded, [past(3, Phase.PROGRESSING)]) == [recorded[1]]
