"""`holdfast keys`: the keys that payloads are encrypted with."""

from datetime import UTC, datetime

import typer

from runtime.keyring import new_entry

app = typer.Typer(help="Make keys that encrypt what Temporal stores.", no_args_is_help=True)


@app.callback()
def _keys() -> None:
    """Keep `new` a word of its own; Typer would leave out the only one."""


@app.command()
def new() -> None:
    """Print a fresh key, ready for HOLDFAST_ENCRYPTION_KEYS or the file in HOLDFAST_ENCRYPTION_KEYS_FILE."""
    typer.echo(new_entry(datetime.now(UTC).date()))
