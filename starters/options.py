"""Options that many verbs share, spelled once."""

from pathlib import Path
from typing import Annotated

import typer

from starters.launching import IfBusy

ServiceArgument = Annotated[str, typer.Argument(metavar="SERVICE", help="a service of the catalog")]
CatalogOption = Annotated[
    Path | None,
    typer.Option("--catalog", "-c", metavar="FILE", help="the catalog; else HOLDFAST_CATALOG or holdfast.yaml"),
]
JsonOption = Annotated[bool, typer.Option("--json", help="print JSON, for scripts")]
NoteOption = Annotated[str, typer.Option("--note", "-m", help="why; it is kept with the rollout")]
WaitOption = Annotated[bool, typer.Option("--wait", "-w", help="watch until it has ended; the exit code tells how")]
IfBusyOption = Annotated[
    IfBusy, typer.Option("--if-busy", help="when a rollout of the service is under way: refuse, wait, or supersede it")
]
