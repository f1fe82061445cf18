import os

import pytest

from tests.workers.dev_server import temporal as temporal  # noqa: PLC0414 - re-exported for the tests of this folder


@pytest.fixture(autouse=True)
def _settings_of_whoever_runs_the_tests_do_not_leak_in(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith(("HOLDFAST_", "SENTRY_", "OTEL_")) and name not in {
            "HOLDFAST_TEMPORAL_CLI",
            "HOLDFAST_CACHE_DIR",
        }:
            monkeypatch.delenv(name)
