"""`holdfast up`: the whole local stack in the foreground."""

import asyncio
import signal
import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import typer
from temporalio.client import Client
from temporalio.service import RPCError

from devstack.errors import AlreadyRunning, StackError
from devstack.stack import GATEWAY_COMMAND, KEEPER_COMMAND, WORKER_COMMAND, Addresses, Stack, StackConfig
from devstack.voice import TerminalConsole, Voice
from gateway.rulebook import Rulebook
from models.quantities import HostPort
from models.secrets import SecretUnavailableError
from models.stack import StackRecord
from providers.errors import ProviderError
from runtime.catalog_file import CatalogError, load_catalog
from runtime.client import TemporalUnreachableError, connect
from runtime.connection_security import TLS, wants_tls
from runtime.keyring import load_keyring
from runtime.settings import Settings, SettingsError, load_settings
from starters.exits import CommandError, Exit
from starters.options import CatalogOption
from starters.rule_applying import apply_rules
from starters.rule_sets import sets_of
from workers.wiring import halt_instances, restore_instances


def up(catalog: CatalogOption = None) -> None:
    """Run Temporal, Envoy and the workers on this machine, until Ctrl-C; what runs is stopped in order."""
    settings = load_settings()
    if catalog:
        settings = settings.model_copy(update={"catalog": catalog})
    raise typer.Exit(run_up(settings))


def run_up(
    settings: Settings,
    *,
    worker_command: Sequence[str] = WORKER_COMMAND,
    keeper_command: Sequence[str] = KEEPER_COMMAND,
    gateway_command: Sequence[str] = GATEWAY_COMMAND,
) -> int:
    """Serve until SIGINT, SIGTERM or SIGHUP; a second one stops without patience. Returns the exit code.

    `worker_command` is given the name of a queue group. Raises CommandError when the stack cannot be started, and
    SettingsError.
    """
    _check(settings)
    console = TerminalConsole(file=sys.stdout)
    voice = Voice(console)
    try:
        config = replace(
            _config(settings, text_logs=console.is_terminal),
            worker_command=worker_command,
            keeper_command=keeper_command,
            gateway_command=gateway_command if gateway_command and _gateway_can_be(settings, voice) else (),
        )
        asyncio.run(_serve(config, settings, voice))
    except AlreadyRunning as running:
        voice.show(_already(running))
    except (StackError, ProviderError, OSError) as error:
        raise CommandError(str(error), Exit.UNREACHABLE) from error
    return Exit.OK


def _check(settings: Settings) -> None:
    """Find out now what every worker would otherwise stumble over."""
    load_keyring(settings)
    secured = [TLS] if settings.temporal_tls else wants_tls(settings)
    if secured and settings.temporal_address is None:
        raise SettingsError(
            f"{', '.join(secured)} mean a server that exists, and HOLDFAST_TEMPORAL_ADDRESS does not name one; what "
            "`holdfast up` starts serves this machine alone, without TLS. Set the address, or unset those."
        )


def _gateway_can_be(settings: Settings, voice: Voice) -> bool:
    """Whether the catalog can be used; the rest of the stack runs without one, too."""
    try:
        Rulebook.open(settings.catalog)
    except (CatalogError, SecretUnavailableError) as error:
        voice.say(f"No alerts are taken, as the front door needs a catalog: {str(error).splitlines()[0]}")
        return False
    return True


async def _connected(settings: Settings, address: HostPort, namespace: str) -> Client:
    try:
        return await connect(settings.model_copy(update={"temporal_address": address, "temporal_namespace": namespace}))
    except TemporalUnreachableError as error:
        raise RuntimeError(str(error).rstrip(".")) from error


async def _serve(config: StackConfig, settings: Settings, voice: Voice) -> None:
    stack = Stack(
        config,
        voice,
        on_started=partial(_restore, settings, voice),
        on_stopping=partial(_halt, settings, voice),
    )
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, _on_signal, stop, stack.supervisor.hurry, voice)
    await stack.run(stop, lambda record: voice.show(_banner(record, settings)))
    voice.say("Everything is stopped; `holdfast up` goes on where this ended.")


def _config(settings: Settings, *, text_logs: bool) -> StackConfig:
    env = {"HOLDFAST_CATALOG": str(settings.catalog.absolute())}
    if text_logs and settings.log_format == "auto":
        env["HOLDFAST_LOG_FORMAT"] = "text"  # a worker sees our pipe, and not the terminal behind it
    return StackConfig(
        home=settings.home,
        temporal_address=settings.temporal_address,
        temporal_namespace=settings.temporal_namespace,
        temporal_connect=partial(_connected, settings),
        temporal_cli=settings.temporal_cli,
        cache_dir=settings.cache_dir,
        temporal_port=settings.temporal_port,
        ui_port=settings.ui_port,
        envoy_admin_port=settings.envoy_admin_port,
        gateway_port=settings.gateway_port,
        worker_env=env,
    )


def _on_signal(stop: asyncio.Event, hurry: asyncio.Event, voice: Voice) -> None:
    if stop.is_set():
        hurry.set()
        voice.say("Stopping at once.")
        return
    voice.say("Stopping; workers finish what they are at. Ctrl-C again stops at once.")
    stop.set()


async def _restore(settings: Settings, voice: Voice, addresses: Addresses) -> None:
    try:
        await restore_instances(_here(settings, addresses.envoy_admin), voice.say)
    except ProviderError as error:  # what runs services must come up even where a service does not
        voice.say(f"Not every service instance was restored: {error}")
    await _apply_rules(settings, voice, addresses)


async def _apply_rules(settings: Settings, voice: Voice, addresses: Addresses) -> None:
    """Evaluate the catalog's alert rules; the rest of the stack runs without them, too."""
    try:
        catalog = load_catalog(settings.catalog)
        sets = sets_of(settings.catalog)
        client = await connect(settings, address=addresses.temporal)
        applied = await apply_rules(client, catalog.environment, sets, by="holdfast up")
    except (CatalogError, TemporalUnreachableError, RPCError) as error:
        voice.say(f"The catalog's alert rules are not evaluated: {str(error).splitlines()[0]}")
        return
    if applied.evaluated:
        voice.say(f"Alert rules of {', '.join(applied.evaluated)} are evaluated.")


async def _halt(settings: Settings, voice: Voice, addresses: Addresses) -> None:
    try:
        await halt_instances(_here(settings, addresses.envoy_admin), voice.say)
    except ProviderError as error:
        voice.say(f"Not every service instance was stopped: {error}")


def _here(settings: Settings, envoy_admin: HostPort) -> Settings:
    """The settings with what this stack chose."""
    return settings.model_copy(update={"envoy_admin": envoy_admin, "home": settings.home.absolute()})


def _banner(record: StackRecord, settings: Settings) -> str:
    return "\n".join(
        (
            "",
            "Holdfast is up.",
            *_addresses(record),
            "",
            "  Next, in another terminal:",
            f"    holdfast catalog check   is {settings.catalog} right?",
            "    holdfast doctor          is everything there?",
            "    holdfast deploy --help   roll a version out",
            "    holdfast status          what runs, and what is under way",
            "",
            "  Ctrl-C stops everything.",
            "",
        )
    )


def _already(running: AlreadyRunning) -> str:
    if running.record is None:
        return f"{running} It is still starting, or stopping."
    return "\n".join((str(running), *_addresses(running.record), "", "  Ctrl-C there stops it."))


def _addresses(record: StackRecord) -> tuple[str, ...]:
    return (
        f"  Temporal UI   http://{record.ui}",
        f"  Temporal      {record.temporal}",
        f"  Envoy admin   http://{record.envoy_admin}",
        *((f"  Alerts        http://{record.gateway}/alerts",) if record.gateway else ()),
    )
