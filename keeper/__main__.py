"""`python -m keeper`: the keeper without the rest of the `holdfast` command, which would cost it memory."""

import asyncio
import sys

from keeper.run import run_keeper
from providers.errors import ProviderError
from runtime.envoy_admin import EnvoyUnknownError
from runtime.log_lines import write_lines
from runtime.settings import SettingsError, load_settings

FAILED, BAD_INPUT = 1, 2


def main() -> int:
    try:
        settings = load_settings()
        write_lines(settings)
        asyncio.run(run_keeper(settings))
    except SettingsError as error:
        return _complain(error, BAD_INPUT)
    except (EnvoyUnknownError, ProviderError, OSError) as error:
        return _complain(error, FAILED)
    return 0


def _complain(error: Exception, code: int) -> int:
    sys.stderr.write(f"holdfast keeper: {error}\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
