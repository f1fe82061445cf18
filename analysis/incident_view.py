"""An incident's state in words: what the Temporal UI and `holdfast incident show` print."""

from analysis.guarding import clock
from analysis.incident_list import pending_for
from models.incident import IncidentState, Phase

ENTRIES_SHOWN = 15
ALERTS_SHOWN = 20


def headline(state: IncidentState) -> str:
    """One sentence that says how it stands."""
    if state.merged_into:
        return f"{state.phase}, merged into {state.merged_into}"
    match state.phase:
        case Phase.PENDING:
            return pending_for(state)
        case Phase.TRIGGERED:
            if state.snoozed_until:
                return f"triggered, snoozed until {clock(state.snoozed_until)}"
            if state.escalation is None:
                return "triggered; nobody acknowledged it, and its policy is at its end"
            return f"triggered; level {state.escalation.level + 1} is paged at {clock(state.escalation.due_at)}"
        case Phase.ACKNOWLEDGED:
            snoozed = f", snoozed until {clock(state.snoozed_until)}" if state.snoozed_until else ""
            return f"acknowledged by {state.acknowledged_by}{snoozed}"
        case Phase.RESOLVED:
            by = f" by {state.resolved_by}" if state.resolved_by else ""
            return f"resolved{by}; it reopens if it fires again"
        case Phase.CLOSED:
            return "closed"


def details_markdown(state: IncidentState) -> str:
    """Everything with its instant, so that the text stays true while nothing happens."""
    lines = [f"**{state.severity}: {state.title}**", "", f"- {headline(state)}", f"- {state.count} alerts"]
    if state.commander:
        lines.append(f"- commander {state.commander}")
    if state.responders:
        lines.append(f"- responders {', '.join(state.responders)}")
    lines += [f"- [{'x' if task.done_at else ' '}] task {task.number}: {task.text}" for task in state.tasks]
    lines += [f"- with {part.workflow_id}: {part.title}" for part in state.parts.values()]
    firing = [alert for alert in state.alerts.values() if alert.fires]
    if firing:
        lines += ["", f"**Firing ({len(firing) + state.untracked})**", ""]
        lines += [f"- {alert.title} (×{alert.count}, {alert.source})" for alert in firing[:ALERTS_SHOWN]]
    if state.held:
        lines += ["", f"**Held ({len(state.held)})**", ""]
        lines += [f"- {each.alert.title}: {each.hold.why}" for each in list(state.held.values())[:ALERTS_SHOWN]]
    lines += ["", "**Timeline**", ""]
    for entry in state.timeline[-ENTRIES_SHOWN:]:
        by = f" — {entry.by}" if entry.by else ""
        lines.append(f"- {entry.at:%Y-%m-%d %H:%M:%S} {entry.text}{by}")
    return "\n".join(lines)
