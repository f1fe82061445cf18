"""A guard's state in words: what the Temporal UI and `holdfast guard show` print."""

from datetime import datetime

from analysis.guarding import clock, freeze_in_force, lease_line
from models.freezes import FreezeWindow
from models.guard import GuardRules, GuardState
from models.quantities import format_duration

DECISIONS_SHOWN = 10


def details_markdown(state: GuardState) -> str:
    """Everything with its end as a time of day, so that the text stays true while nothing happens."""
    lines = [f"**guard of {state.ref.service} in {state.ref.environment}**", ""]
    lines += [f"- {line}" for line in _held(state)] or ["- nobody touches it"]
    if state.freeze:
        lines.append(f"- {freeze_line(state)}")
    lines += [f"- {cooldown.version} cools down until {clock(cooldown.until)}" for cooldown in state.cooldowns]
    if state.restarts:
        lines.append(f"- last remediation at {clock(state.restarts[-1])}")
    lines += ["", "**Last decisions**", ""]
    lines += [f"- {each.at:%Y-%m-%d %H:%M:%S} {each.text}" for each in state.decisions[-DECISIONS_SHOWN:]]
    return "\n".join(lines)


def answer_lines(
    state: GuardState, rules: GuardRules, windows: tuple[FreezeWindow, ...], now: datetime
) -> list[tuple[str, str]]:
    """What may be done with the service now: a word and a sentence for each thing that a person asks about."""
    budget = rules.spec.restarts
    recent = [at for at in state.restarts if now < at + budget.window]
    cooling = [f"{each.version} until {clock(each.until)}" for each in state.cooldowns if now < each.until]
    frozen = [f"by the catalog's {each.name} until {clock(each.ends)}" for each in windows if each.holds(now)]
    if freeze_in_force(state, now):
        frozen.insert(0, freeze_line(state))
    return [
        ("held", "; ".join(_held(state)) or "by nobody"),
        ("frozen", "; ".join(frozen) or "no"),
        ("cooling down", "; ".join(cooling) or "nothing"),
        ("restarts", f"{len(recent)} of {budget.limit} in {format_duration(budget.window)}"),
    ]


def freeze_line(state: GuardState) -> str:
    """Who froze the service and until when; empty without a freeze."""
    freeze = state.freeze
    if freeze is None:
        return ""
    note = f" ({freeze.note})" if freeze.note else ""
    return f"frozen by {freeze.by} until {clock(freeze.until) if freeze.until else 'someone unfreezes it'}{note}"


def _held(state: GuardState) -> list[str]:
    return [f"{lease_line(lease)}, since {clock(lease.since)}" for lease in state.leases]
