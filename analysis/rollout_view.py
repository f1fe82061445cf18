"""A rollout's state as Markdown: what the Temporal UI shows while it runs."""

from datetime import datetime
from functools import lru_cache

from analysis.rollout_plan import baseline_share, count_instances, describe_step
from models.ids import group_words
from models.quantities import format_percent
from models.rollout import Phase, RolloutState, StepState, StepStatus

MARKS = {
    StepStatus.PENDING: "·",
    StepStatus.ACTIVE: "▶",
    StepStatus.DONE: "✔",
    StepStatus.SKIPPED: "»",
    StepStatus.FAILED: "✘",
}
"""No emoji: a machine without their font shows boxes."""

PHASE_WORDS = {
    Phase.PREPARING: "preparing",
    Phase.PROGRESSING: "progressing",
    Phase.PAUSED: "paused",
    Phase.AWAITING_APPROVAL: "waiting for approval",
    Phase.PROMOTING: "promoting",
    Phase.KEEPING: "promoted, keeping the old version a while",
    Phase.ROLLING_BACK: "rolling back",
    Phase.PROMOTED: "promoted",
    Phase.ROLLED_BACK: "rolled back",
    Phase.FAILED: "failed, nothing was changed",
    Phase.UNCHANGED: "unchanged",
}


def sentence(state: RolloutState) -> str:
    """One line: who goes where, and how far it is."""
    line = f"{state.strategy} {state.ref.service} {state.version} → {state.ref.environment}"
    return f"{line}: {PHASE_WORDS[state.phase]}"


def weights_line(state: RolloutState) -> str:
    if state.stable is None:
        return f"{state.version} is the first version"
    of_candidate = f"{state.version} {format_percent(state.weight)}"
    share = baseline_share(state.weight) if state.baseline else 0.0
    if state.baseline is None or share == 0:
        return f"{state.stable} {format_percent(100 - state.weight)} · {of_candidate}"
    rest = format_percent(100 - state.weight - share)
    return f"{state.stable} {rest} · {group_words(state.baseline)} {format_percent(share)} · {of_candidate}"


def compared_with(state: RolloutState) -> str | None:
    """Whose figures stand beside the candidate's; None in a first deployment."""
    return group_words(state.baseline) if state.baseline else state.stable


def compared_line(state: RolloutState) -> str | None:
    """What the candidate is held against, where that is not simply the stable version."""
    if state.baseline is None:
        return None
    return f"compared with {count_instances(state.size, 'fresh')} of {state.stable}"


def step_line(state: RolloutState, step: StepState) -> str:
    return describe_step(step.step, version=state.version, stable=state.stable, instances=state.size)


def details_markdown(state: RolloutState) -> str:
    """The whole state for a person: phase, weights, question, steps, reason, timeline."""
    lines = [f"**{sentence(state)}**", "", f"Traffic: {weights_line(state)}", ""]
    if compared := compared_line(state):
        lines += [f"{state.version} is {compared}", ""]
    if state.question:
        lines += [f"**Waiting:** {state.question}", ""]
    lines += [f"{nth}. {MARKS[step.status]} {step_line(state, step)}" for nth, step in enumerate(state.steps, 1)]
    if state.next:
        lines += ["", f"**Next:** {state.next.version}, asked for by {state.next.requested_by}"]
    if state.reason:
        lines += ["", f"**Reason:** {state.reason}"]
    lines += ["", "**Timeline**", ""]
    lines += [_timeline_line(entry.at, entry.text) for entry in state.timeline[-20:]]
    return "\n".join(lines)


@lru_cache(maxsize=4096)  # it is shown anew with each change of the state
def _timeline_line(at: datetime, text: str) -> str:
    return f"- {at:%H:%M:%S} {text}"
