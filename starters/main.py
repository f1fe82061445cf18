"""The `holdfast` command."""

import logging
import os
import sys
from importlib.metadata import version
from typing import Annotated, NoReturn

import typer
from rich.console import Console
from temporalio.service import RPCError

from runtime.codec import UnreadablePayloadError
from runtime.settings import SettingsError
from runtime.tracing import end_tracing
from starters import (
    audit,
    catalog,
    codec_server,
    deploy,
    doctor,
    gateway,
    guard,
    history,
    host,
    incident,
    judge,
    keeper,
    keys,
    orders,
    picture,
    records,
    rules,
    setup,
    silence,
    status,
    up,
    worker,
    workers,
)
from starters.exits import CommandError, Exit
from starters.session import VERB

app = typer.Typer(
    name="holdfast",
    help="Deployments that survive whatever crashes: what was decided is carried out.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"holdfast {version('holdfast')}")
        raise typer.Exit


@app.callback()
def _options(
    context: typer.Context,
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="print the version and leave")
    ] = False,
) -> None:
    """Take the options that come before a verb."""
    VERB.set(context.invoked_subcommand or "")


app.add_typer(catalog.app, name="catalog")
app.command("up")(up.up)
app.command("setup")(setup.setup)
app.command("doctor")(doctor.doctor)
app.command("deploy")(deploy.deploy)
app.command("status")(status.status)
for order in (orders.promote, orders.abort, orders.pause, orders.resume, orders.approve):
    app.command(order.__name__)(order)
app.command("rollback")(history.rollback)
app.command("history")(history.history)
app.command("picture")(picture.picture)
app.command("audit")(audit.audit)
app.add_typer(records.app, name="records")
app.add_typer(guard.app, name="guard")
app.add_typer(incident.app, name="incident")
app.add_typer(rules.app, name="rules")
app.add_typer(silence.app, name="silence")
app.add_typer(judge.app, name="judge")
app.command("worker")(worker.worker)
app.add_typer(workers.app, name="workers")
app.command("envoy")(host.envoy)
app.command("restore")(host.restore)
app.command("keeper")(keeper.keeper)
app.command("gateway")(gateway.gateway)
app.add_typer(keys.app, name="keys")
app.command("codec-server")(codec_server.codec_server)


def run() -> int:
    """Run the command line; return its exit code."""
    try:
        app()
    except CommandError as error:
        _complain(error)
        return error.code
    except (SettingsError, UnreadablePayloadError) as error:
        _complain(error)
        return Exit.BAD_INPUT
    except RPCError as error:
        _complain(
            f"Temporal did not answer: {error.message}. What was decided goes on; `holdfast doctor` looks further."
        )
        return Exit.UNREACHABLE
    except KeyboardInterrupt:
        return Exit.INTERRUPTED
    except SystemExit as leaving:
        # Typer and rich both leave so when they find that nobody reads their output any more.
        return Exit.UNREAD if isinstance(leaving.__context__, BrokenPipeError) else _as_code(leaving.code)
    return Exit.OK


def main() -> NoReturn:
    """Run, then leave without the interpreter's shutdown.

    A thread of the Temporal SDK's core may still call into an interpreter that is shutting down, which aborts the
    process (temporalio/sdk-python issue 300): the exit code would then be wrong at random.
    """
    code = run()
    end_tracing(code)
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except BrokenPipeError:
            code = code or Exit.UNREAD
    os._exit(code)


def _complain(error: object) -> None:
    Console(stderr=True, soft_wrap=True).print(f"holdfast: {error}", style="red", markup=False, highlight=False)


def _as_code(code: object) -> int:
    if code is None:
        return Exit.OK
    return code if isinstance(code, int) else Exit.NEGATIVE


if __name__ == "__main__":
    main()
