"""`holdfast gateway`: the front door that alerts come in by."""

from typing import Annotated

import typer

from models.quantities import HostPort
from models.secrets import SecretUnavailableError
from runtime.catalog_file import CatalogError
from runtime.client import TemporalUnreachableError
from runtime.logs import configure_logging
from starters.exits import CommandError, Exit
from starters.hosts import own_machine
from starters.options import CatalogOption
from starters.session import Session


def gateway(
    port: Annotated[
        int | None,
        typer.Option(min=0, max=65535, help="the port to listen on, else HOLDFAST_GATEWAY_PORT; 0 takes any free one"),
    ] = None,
    host: Annotated[str | None, typer.Option(help="the address to listen on, else HOLDFAST_GATEWAY_HOST")] = None,
    catalog: CatalogOption = None,
) -> None:
    """Take alerts from Alertmanager, Grafana, Sentry, PagerDuty, Opsgenie and anything else, until SIGTERM or Ctrl-C.

    Who may send them is said under gateway in the catalog; where nothing is, only this machine may. An answer of 2xx
    means that Temporal has the alerts.
    """
    session = Session.open(catalog)
    settings = session.settings
    host = settings.gateway_host if host is None else host
    port = settings.gateway_port if port is None else port
    # Here, as every other verb would begin a quarter of a second later.
    import uvloop

    from gateway.rulebook import Rulebook
    from gateway.running import run_gateway

    try:
        rulebook = Rulebook.open(settings.catalog)
    except (CatalogError, SecretUnavailableError) as error:
        raise CommandError(str(error), Exit.BAD_INPUT) from error
    if not rulebook.rules.catalog.gateway.guarded and not own_machine(host):
        raise CommandError(
            f"Anybody could open incidents at {host}. Give {settings.catalog} a key under gateway.keys, or listen on "
            "127.0.0.1.",
            Exit.BAD_INPUT,
        )
    configure_logging(settings)
    address = session.stack.temporal if session.stack else None
    try:
        uvloop.run(run_gateway(settings, rulebook, host, port, _say, address=address))
    except TemporalUnreachableError as error:
        raise CommandError(str(error), Exit.UNREACHABLE) from error
    except OSError as error:
        raise CommandError(
            f"The gateway cannot listen on {host}:{port}: {error.strerror}. Choose another with --port or --host.",
            Exit.NEGATIVE,
        ) from error


def _say(address: HostPort) -> None:
    typer.echo(f"The gateway listens on http://{address}; Ctrl-C stops it.")
