"""`holdfast envoy` and `holdfast restore`: what a host that serves needs besides workers. `holdfast up` does both."""

import asyncio
import os
import sys

import typer

from devstack.envoy import envoy_child, find_envoy
from devstack.errors import StackError
from providers.envoy_files import write_bootstrap
from providers.errors import ProviderError
from runtime.envoy_admin import EnvoyUnknownError, envoy_admin
from runtime.settings import load_settings
from starters.exits import CommandError, Exit
from workers.wiring import restore_instances


def envoy() -> None:
    """Run Envoy for this host's services until SIGTERM; what it served before, it serves again at once."""
    settings = load_settings()
    try:
        admin = envoy_admin(settings)
        child = envoy_child(find_envoy(), write_bootstrap(settings.home.absolute() / "envoy", admin))
    except (StackError, ProviderError, EnvoyUnknownError) as error:
        raise CommandError(str(error), Exit.UNREACHABLE) from error
    typer.echo(f"Envoy takes this process over; its admin interface is {admin}.")
    sys.stdout.flush()
    os.execv(child.command[0], child.command)  # noqa: S606 - so that signals reach Envoy itself


def restore() -> None:
    """Start again what ran on this host before it went down. To be run before this host's workers are started."""
    try:
        asyncio.run(restore_instances(load_settings(), typer.echo))
    except (ProviderError, EnvoyUnknownError) as error:
        raise CommandError(str(error), Exit.NEGATIVE) from error
