"""How a rollout looks while it is watched."""

import io
import re
from datetime import UTC, datetime, timedelta

import pytest
from rich.console import Console

from analysis.rollout_plan import steps_for
from analysis.rollout_view import PHASE_WORDS, details_markdown, weights_line
from models.judgement import VersionHealth, WatchProgress
from models.rollout import Phase, RolloutState, StepState, StepStatus, TimelineEntry
from starters.live import Lines, picture
from starters.observing import Observation
from tests.factories import SHOP, WHEN, a_service, a_step

BAKING = 2
MARKUP = "[red]loud[/red]"


def a_state(phase: Phase = Phase.PROGRESSING, *, version: str = "v2", stable: str | None = "v1") -> RolloutState:
    """A rollout whose first bake is under way, unless something else is said of it."""
    steps = [StepState(step=step) for step in steps_for(a_service(a_step(approval=True)), version, stable=stable)]
    for index, status in enumerate((StepStatus.DONE, StepStatus.DONE, StepStatus.ACTIVE)[: len(steps)]):
        ended = WHEN + timedelta(seconds=2) if status is StepStatus.DONE else None
        began = WHEN if status is StepStatus.DONE else datetime.now(UTC) - timedelta(seconds=3)
        steps[index] = steps[index].model_copy(update={"status": status, "started_at": began, "ended_at": ended})
    return RolloutState(
        ref=SHOP,
        version=version,
        strategy="canary",
        requested_by="ada",
        size=2,
        phase=phase,
        stable=stable,
        weight=0.0 if phase.final else 10.0,
        steps=tuple(steps),
        timeline=(TimelineEntry(at=WHEN, text=f"{version} receives 10%"),),
    )


def progress(*, requests: int = 30, errors: int = 6, problem: str | None = None, ticks: int = 5) -> WatchProgress:
    return WatchProgress(
        ticks=ticks,
        problem=problem,
        stable=VersionHealth(requests=270, errors=0, requests_per_second=45.0, p95_ms=1.2),
        candidate=VersionHealth(requests=requests, errors=errors, requests_per_second=5.0, p95_ms=31.0),
    )


def shown(seen: Observation, *, width: int = 100) -> str:
    console = Console(record=True, width=width, file=io.StringIO())
    console.print(picture(seen))
    return console.export_text()


@pytest.mark.parametrize("phase", Phase)
def test_every_phase_is_named_with_its_steps_and_its_traffic(phase: Phase) -> None:
    text = shown(Observation(open=not phase.final, state=a_state(phase), progress=progress()))

    assert f"canary shop v2 → local: {PHASE_WORDS[phase]}" in text
    assert ("v1 100% · v2 0%" if phase.final else "v1 90% · v2 10%") in text
    assert "✔ start 2 instances of v2" in text
    assert "▶ watch for 30s" in text
    assert "· wait for approval" in text
    assert "· promote v2 to 100%" in text


@pytest.mark.parametrize("phase", [phase for phase in Phase if not phase.settled])
def test_what_both_versions_do_is_shown_until_the_end(phase: Phase) -> None:
    text = shown(Observation(state=a_state(phase), progress=progress()))

    assert ["v1", "45.0", "0", "(0.0%)", "1", "ms"] in [line.split() for line in text.splitlines()]
    assert ["v2", "5.0", "6", "(20.0%)", "31", "ms"] in [line.split() for line in text.splitlines()]
    assert "45.0" not in shown(Observation(open=False, state=a_state(Phase.PROMOTED), progress=progress()))


@pytest.mark.parametrize(("status", "mark"), [("done", "✔"), ("skipped", "»"), ("failed", "✘"), ("pending", "·")])
def test_each_step_has_a_mark_of_its_own(status: StepStatus, mark: str) -> None:
    state = a_state()
    steps = list(state.steps)
    steps[BAKING] = steps[BAKING].model_copy(update={"status": StepStatus(status)})

    text = shown(Observation(state=state.model_copy(update={"steps": tuple(steps)})))

    assert f"{mark} watch for 30s" in text


def test_a_bake_says_how_far_it_is_and_another_step_how_long_it_took() -> None:
    text = shown(Observation(state=a_state()))

    assert re.search(r"watch for 30s +[3-9] s of 30s", text)
    assert re.search(r"start 2 instances of v2 +2.0 s", text)


def test_a_version_without_requests_or_latency_has_no_figures_rather_than_wrong_ones() -> None:
    nothing = WatchProgress(ticks=5, candidate=VersionHealth(), stable=VersionHealth())
    text = shown(Observation(state=a_state(), progress=nothing))

    assert ["v2", "0.0", "0", "(–)", "–"] in [line.split() for line in text.splitlines()]


def test_a_question_is_shown_with_the_commands_that_answer_it() -> None:
    state = a_state(Phase.AWAITING_APPROVAL).model_copy(update={"question": "go on to 50%?"})

    assert "go on to 50%?  →  holdfast approve shop | abort" in shown(Observation(state=state))


def test_a_first_version_has_nothing_beside_it() -> None:
    text = shown(Observation(state=a_state(stable=None), progress=progress()))

    assert "v2 is the first version" in text
    assert "None" not in text


def test_trouble_is_shown_while_it_lasts() -> None:
    assert "waiting for the rollout to begin" in shown(Observation())
    assert "no worker answers" in shown(Observation(trouble="no worker answers"))
    assert "no worker answers" in shown(Observation(state=a_state(), trouble="no worker answers"))
    ended = Observation(open=False, state=a_state(Phase.PROMOTED), trouble="no worker answers")
    assert "no worker answers" not in shown(ended)


def test_a_watch_that_sees_nothing_says_why() -> None:
    blind = Observation(state=a_state(), progress=progress(problem="Envoy does not answer"))

    assert "no metrics now, and time without does not count: Envoy does not answer" in shown(blind)
    assert "Envoy does not answer" in told(blind)


@pytest.mark.parametrize("phase", [Phase.ROLLING_BACK, Phase.ROLLED_BACK])
def test_what_people_and_programs_wrote_is_shown_as_it_is(phase: Phase) -> None:
    """A note, a reason or a log line can hold brackets."""
    state = a_state(phase).model_copy(
        update={"reason": MARKUP, "question": MARKUP, "timeline": (TimelineEntry(at=WHEN, text=MARKUP),)}
    )
    state = state.model_copy(update={"version": MARKUP, "stable": MARKUP})
    seen = Observation(state=state, progress=progress(problem=MARKUP), trouble=MARKUP)

    assert shown(seen, width=300).count(MARKUP) == shown(seen, width=300).count("loud")
    assert told(seen).count(MARKUP) == told(seen).count("loud")
    assert told(seen).count(MARKUP) >= 2


@pytest.mark.parametrize("width", [40, 80, 200])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    state = a_state(Phase.ROLLING_BACK).model_copy(update={"reason": "a long reason " * 20})

    assert all(len(line) <= width for line in shown(Observation(state=state), width=width).splitlines())


def told(*looks: Observation) -> str:
    output = io.StringIO()
    lines = Lines(Console(file=output, width=60))
    for seen in looks:
        lines.show(seen)
    return output.getvalue()


def test_each_event_and_phase_is_told_once() -> None:
    first = a_state()
    later = first.model_copy(
        update={
            "phase": Phase.PROMOTED,
            "reason": "v2 serves all traffic",
            "timeline": (*first.timeline, TimelineEntry(at=WHEN + timedelta(seconds=9), text="v2 is promoted")),
        }
    )
    said = told(Observation(state=first), Observation(state=first), Observation(open=False, state=later))

    assert [line.split(" ", 1)[1] for line in said.splitlines()] == [
        "v2 receives 10%",
        "[progressing]",
        "v2 is promoted",
        "[promoted]: v2 serves all traffic",
    ]


def test_figures_are_told_every_few_seconds_once_there_are_any() -> None:
    fresh = Observation(state=a_state(), progress=progress(ticks=1))
    soon = Observation(state=a_state(), progress=progress())
    said = told(fresh, soon, soon)

    assert said.count("v1: 45.0 req/s, errors 0 (0.0%), p95 1 ms | v2: 5.0 req/s, errors 6 (20.0%), p95 31 ms") == 1


def test_trouble_is_told_when_it_begins_and_again_when_it_comes_back() -> None:
    well, ill = Observation(state=a_state()), Observation(state=a_state(), trouble="Temporal does not answer")

    assert told(well, ill, ill, well, ill).count("Temporal does not answer") == 2


def test_a_line_is_one_line_however_narrow_the_terminal() -> None:
    state = a_state(Phase.FAILED).model_copy(update={"reason": "a long reason " * 20})

    assert len(told(Observation(open=False, state=state)).splitlines()) == 2


def beside_baseline(phase: Phase = Phase.PROGRESSING, weight: float = 10.0) -> RolloutState:
    return a_state(phase).model_copy(update={"baseline": "v1~baseline", "weight": weight})


def test_a_baseline_is_named_with_its_share_and_its_figures() -> None:
    text = shown(Observation(state=beside_baseline(), progress=progress()))

    assert "v1 80% · the baseline of v1 10% · v2 10%" in text
    assert "compared with 2 fresh instances of v1" in text
    assert ["the", "baseline", "of", "v1", "45.0", "0", "(0.0%)", "1", "ms"] in [
        line.split() for line in text.splitlines()
    ]
    assert "the baseline of v1: 45.0 req/s" in told(Observation(state=beside_baseline(), progress=progress()))
    assert "~" not in text


@pytest.mark.parametrize(
    ("weight", "line"),
    [
        (0.0, "v1 100% · v2 0%"),
        (50.0, "v1 0% · the baseline of v1 50% · v2 50%"),
        (75.0, "v1 0% · the baseline of v1 25% · v2 75%"),
        (100.0, "v1 0% · v2 100%"),
    ],
)
def test_a_baselines_share_is_the_candidates_or_what_is_left(weight: float, line: str) -> None:
    assert weights_line(beside_baseline(weight=weight)) == line
    assert f"Traffic: {line}" in details_markdown(beside_baseline(weight=weight))


def test_the_page_of_a_rollout_says_what_it_is_compared_with() -> None:
    assert "v2 is compared with 2 fresh instances of v1" in details_markdown(beside_baseline())
    assert "compared with" not in details_markdown(a_state())
