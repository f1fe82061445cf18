"""`holdfast keeper`: undo what nobody renews, on this host, until told to stop."""

import os
import sys

from devstack.stack import KEEPER_COMMAND, read_record
from runtime.settings import load_settings


def keeper() -> None:
    """Return a canary's traffic when its rollout can no longer do so, until SIGTERM or Ctrl-C.

    One runs beside each Envoy; `holdfast up` runs its own. Needs no Temporal.
    """
    settings = load_settings()
    stack = read_record(settings.home)
    environment = dict(os.environ)
    if stack and settings.envoy_admin is None:
        environment["HOLDFAST_ENVOY_ADMIN"] = stack.envoy_admin
    sys.stdout.flush()
    # In this process's place, without what the command has imported: the keeper is to be small.
    os.execvpe(KEEPER_COMMAND[0], KEEPER_COMMAND, environment)  # noqa: S606 - there is no shell to be had here
