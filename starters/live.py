"""A rollout as a person watches it: a picture that changes on a terminal, a line per event elsewhere."""

import asyncio
from datetime import UTC, datetime, timedelta

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from analysis.evidence_view import evidence_rows
from analysis.rollout_view import MARKS, PHASE_WORDS, compared_line, compared_with, sentence, step_line, weights_line
from models.judgement import VersionHealth, WatchProgress
from models.quantities import format_duration
from models.rollout import Bake, Phase, RolloutState, StepState, StepStatus
from starters.handles import RolloutHandle
from starters.observing import Observation, observe

EVERY = timedelta(milliseconds=400)
_MARK_STYLES = {
    StepStatus.PENDING: "dim",
    StepStatus.ACTIVE: "bold cyan",
    StepStatus.DONE: "green",
    StepStatus.SKIPPED: "dim",
    StepStatus.FAILED: "bold red",
}
_PHASE_STYLES = {
    Phase.PROMOTED: "bold green",
    Phase.KEEPING: "bold green",
    Phase.UNCHANGED: "green",
    Phase.ROLLED_BACK: "bold red",
    Phase.FAILED: "bold red",
    Phase.ROLLING_BACK: "bold yellow",
    Phase.AWAITING_APPROVAL: "bold yellow",
    Phase.PAUSED: "bold yellow",
}


async def follow(handle: RolloutHandle, console: Console) -> Observation:
    """Show a rollout until it is settled; return the last look at it."""
    if console.is_terminal:
        return await _follow_live(handle, console)
    return await _follow_by_lines(handle, console)


async def _follow_live(handle: RolloutHandle, console: Console) -> Observation:
    seen = await observe(handle)
    with Live(picture(seen), console=console, refresh_per_second=5) as live:
        while not _over(seen):
            await asyncio.sleep(EVERY.total_seconds())
            seen = await observe(handle, seen)
            live.update(picture(seen))
    return seen


async def _follow_by_lines(handle: RolloutHandle, console: Console) -> Observation:
    lines = Lines(console)
    seen = await observe(handle)
    lines.show(seen)
    while not _over(seen):
        await asyncio.sleep(EVERY.total_seconds())
        seen = await observe(handle, seen)
        lines.show(seen)
    return seen


def _over(seen: Observation) -> bool:
    return not seen.open or (seen.state is not None and seen.state.phase.settled)


def picture(seen: Observation) -> RenderableType:
    """The whole of a rollout: phase, weights, steps, what the versions do, what is waited for."""
    if seen.state is None:
        return Text(seen.trouble or "waiting for the rollout to begin ...", "yellow")
    state = seen.state
    parts: list[RenderableType] = [
        Text.assemble((sentence(state), _PHASE_STYLES.get(state.phase, "bold"))),
        Text.assemble("  ", _bar(state), "  ", weights_line(state)),
        *(Text(f"  {line}", "dim") for line in (compared_line(state),) if line),
        _steps(state),
    ]
    if seen.progress and not state.phase.settled:
        parts.append(_health(state, seen.progress))
        if seen.progress.judgement:
            for seen_of_it, evidence in evidence_rows(seen.progress.judgement):
                parts += [Text(f"  {seen_of_it}"), Text(f"    {evidence}", "dim")]
        if seen.progress.problem:
            parts.append(Text(f"  {_blind(seen.progress.problem)}", "yellow"))
    if state.question:
        parts.append(Text(f"  {state.question}  →  holdfast approve {state.ref.service} | abort", "bold yellow"))
    if state.next:
        parts.append(Text(f"  next: {state.next.version}, asked for by {state.next.requested_by}", "cyan"))
    if state.reason:
        parts.append(Text(f"  {state.reason}", _PHASE_STYLES.get(state.phase, "")))
    if seen.trouble and seen.open:
        parts.append(Text(f"  {seen.trouble}", "yellow"))
    return Group(*parts)


def _bar(state: RolloutState, width: int = 30) -> Text:
    filled = round(width * state.weight / 100)
    return Text.assemble(("█" * filled, "cyan"), ("░" * (width - filled), "green" if state.stable else "dim"))


def _steps(state: RolloutState) -> Table:
    table = Table.grid(padding=(0, 1))
    for step in state.steps:
        style = {"pending": "dim", "skipped": "dim", "active": "bold"}.get(step.status, "")
        mark = Text(MARKS[step.status], _MARK_STYLES[step.status])
        table.add_row(" ", mark, Text(step_line(state, step), style), Text(_time(step), "dim"))
    return table


def _time(step: StepState) -> str:
    if step.started_at is None:
        return ""
    spent = ((step.ended_at or datetime.now(UTC)) - step.started_at).total_seconds()
    if step.status is StepStatus.ACTIVE and isinstance(step.step, Bake):
        return f"{spent:.0f} s of {format_duration(step.step.duration)}"
    return f"{spent:.1f} s"


def _health(state: RolloutState, progress: WatchProgress) -> Table:
    table = Table(box=None, padding=(0, 2), header_style="dim")
    for heading in ("  last window", "requests/s", "errors", "p95"):
        table.add_column(heading, justify="left" if heading.startswith(" ") else "right")
    rows = [(compared_with(state), progress.stable), (state.version, progress.candidate)]
    for version, health in rows:
        if version:
            table.add_row(Text(f"  {version}"), *_figures(health))
    return table


def _figures(health: VersionHealth) -> tuple[str, str, str]:
    share = f"{100 * health.errors / health.requests:.1f}%" if health.requests else "–"
    p95 = f"{health.p95_ms:.0f} ms" if health.p95_ms is not None else "–"
    return f"{health.requests_per_second:.1f}", f"{health.errors} ({share})", p95


def _blind(problem: str) -> str:
    return f"no metrics now, and time without does not count: {problem}"


class Lines:
    """Tells what is new since the last look, a line each, so that a log of it reads well."""

    METRICS_EVERY = timedelta(seconds=3)

    def __init__(self, console: Console) -> None:
        self._console = console
        self._told: set[tuple[datetime, str]] = set()
        self._phase: Phase | None = None
        self._trouble: str | None = None
        self._metrics_at: datetime | None = None

    def show(self, seen: Observation) -> None:
        if seen.state:
            self._events(seen.state)
            self._phase_change(seen.state)
        if seen.state and seen.progress and not seen.state.phase.settled:
            self._metrics(seen.state, seen.progress)
        trouble = seen.trouble or (_blind(seen.progress.problem) if seen.progress and seen.progress.problem else None)
        if seen.open and trouble and trouble != self._trouble:
            self._say(datetime.now(UTC), trouble)
        self._trouble = trouble

    def _events(self, state: RolloutState) -> None:
        for entry in state.timeline:
            if (entry.at, entry.text) not in self._told:
                self._told.add((entry.at, entry.text))
                self._say(entry.at, entry.text)

    def _phase_change(self, state: RolloutState) -> None:
        if state.phase is self._phase:
            return
        self._phase = state.phase
        because = f": {state.reason}" if state.phase.settled and state.reason else ""
        self._say(datetime.now(UTC), f"[{PHASE_WORDS[state.phase]}]{because}")

    def _metrics(self, state: RolloutState, progress: WatchProgress) -> None:
        now = datetime.now(UTC)
        nothing_yet = progress.ticks <= 1 or progress.problem  # figures are differences between two readings
        if nothing_yet or (self._metrics_at and now - self._metrics_at < self.METRICS_EVERY):
            return
        self._metrics_at = now
        pairs = [(compared_with(state), progress.stable), (state.version, progress.candidate)]
        told = [
            "{}: {} req/s, errors {}, p95 {}".format(version, *_figures(health)) for version, health in pairs if version
        ]
        self._say(now, "  " + " | ".join(told))
        if progress.judgement:
            for row in evidence_rows(progress.judgement):
                self._say(now, f"  {'; '.join(row)}")

    def _say(self, at: datetime, text: str) -> None:
        self._console.print(f"{at.astimezone():%H:%M:%S} {text}", markup=False, highlight=False, soft_wrap=True)
