"""`holdfast codec-server`: lets the Temporal UI and the `temporal` command show what is encrypted."""

import asyncio
from typing import Annotated

import typer

from models.quantities import HostPort
from models.stack import StackRecord
from runtime.keyring import KEYS, KEYS_FILE, load_keyring
from runtime.logs import configure_logging
from runtime.settings import Settings
from starters.exits import CommandError, Exit
from starters.hosts import own_machine
from starters.session import Session

DEFAULT_PORT = 8081


def codec_server(
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="the port to listen on; 0 takes any free one")
    ] = DEFAULT_PORT,
    host: Annotated[str, typer.Option(help="the address to listen on")] = "127.0.0.1",
) -> None:
    """Serve until SIGTERM or Ctrl-C. It needs the keys that workers have; whoever may call it can read everything.

    Pages may call it from HOLDFAST_CODEC_SERVER_UI_ORIGIN, or from the local stack's UI. With
    HOLDFAST_CODEC_SERVER_TOKEN each call must show that token; where others can reach it, that has to be set.
    """
    session = Session.open()
    settings = session.settings
    keyring = load_keyring(settings)
    if not keyring.keys:
        raise CommandError(
            f"There is no key to decrypt with. Set {KEYS} or {KEYS_FILE} to what the workers have.", Exit.BAD_INPUT
        )
    if settings.codec_server_token is None and not own_machine(host):
        raise CommandError(
            f"Others could read everything at {host}. Set HOLDFAST_CODEC_SERVER_TOKEN, which callers then have to "
            "know, or listen on 127.0.0.1.",
            Exit.BAD_INPUT,
        )
    configure_logging(settings)
    # Here, as every other verb would begin a quarter of a second later.
    from gateway.codec_server import codec_app
    from gateway.serving import serve

    app = codec_app(keyring, origins=_origins(settings, session.stack), token=settings.codec_server_token)
    try:
        asyncio.run(serve(app, host, port, _say))
    except OSError as error:
        raise CommandError(
            f"The codec server cannot listen on {host}:{port}: {error.strerror}. Choose another with --port or --host.",
            Exit.NEGATIVE,
        ) from error


def _origins(settings: Settings, stack: StackRecord | None) -> list[str]:
    if settings.codec_server_ui_origin:
        return [settings.codec_server_ui_origin.rstrip("/")]
    return [f"http://{stack.ui}", f"http://{stack.ui.replace('127.0.0.1', 'localhost')}"] if stack else []


def _say(address: HostPort) -> None:
    typer.echo(f"The codec server listens on http://{address}; Ctrl-C stops it.")
