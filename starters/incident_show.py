"""One incident for people: how it stands, its alerts, its timeline."""

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from analysis.incident_list import in_order
from analysis.incident_view import ALERTS_SHOWN, headline
from models.held import HeldAlert
from models.incident import IncidentRecord, IncidentState, TimelineEntry, TrackedAlert
from starters.local_time import local_clock


def print_incident(found: IncidentState | IncidentRecord, *, every_alert: bool) -> None:
    console = Console()
    how = headline(found) if isinstance(found, IncidentState) else str(found.phase)
    for word, text in (("incident", str(found.ref)), (found.severity, found.title), ("stands", how)):
        console.print(Text.assemble((f"{word:<10}", "dim"), text))
    console.print(Text.assemble((f"{'alerts':<10}", "dim"), str(found.count)))
    for word, people in (("commander", found.commander), ("responders", ", ".join(found.responders))):
        if people:
            console.print(Text.assemble((f"{word:<10} ", "dim"), people))
    for task in found.tasks:
        console.print(f"  task {task.number}{' (done)' if task.done_at else ''}: {task.text}", markup=False)
    _print_alerts(console, found, every=every_alert)
    if isinstance(found, IncidentState) and found.held:
        _print_held(console, list(found.held.values()), every=every_alert)
    for entry in found.timeline:
        console.print(_line(entry), markup=False, highlight=False)


def _print_alerts(console: Console, found: IncidentState | IncidentRecord, *, every: bool) -> None:
    """What fires first, and of that the newest."""
    alerts = in_order(found.alerts.values() if isinstance(found, IncidentState) else found.alerts)
    if not alerts:
        return
    table = Table("alert", "since", "times", "service", "source", "title", box=None, header_style="dim")
    for alert in alerts if every else alerts[:ALERTS_SHOWN]:
        table.add_row(*(Text(cell) for cell in _cells(alert)))
    console.print(table)
    _print_more(console, len(alerts), every=every)
    if isinstance(found, IncidentState) and found.untracked:
        console.print(f"  and {found.untracked} that are counted only", style="dim")


def _print_held(console: Console, held: Sequence[HeldAlert], *, every: bool) -> None:
    table = Table("held", "since", "title", "why", box=None, header_style="dim")
    for each in held if every else held[:ALERTS_SHOWN]:
        table.add_row(*map(Text, ("held", local_clock(each.heard_at), each.alert.title, each.hold.why)))
    console.print(table)
    _print_more(console, len(held), every=every)


def _print_more(console: Console, number: int, *, every: bool) -> None:
    if not every and number > ALERTS_SHOWN:
        console.print(f"  and {number - ALERTS_SHOWN} more; --all lists them", style="dim")


def _cells(alert: TrackedAlert) -> tuple[str, ...]:
    fires = "fires" if alert.fires else "cleared"
    return fires, local_clock(alert.since), str(alert.count), alert.service, alert.source, alert.title


def _line(entry: TimelineEntry) -> str:
    by = f" — {entry.by}" if entry.by else ""
    return f"  {local_clock(entry.at)} {entry.text}{by}"
