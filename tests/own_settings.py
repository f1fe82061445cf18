"""Tests go by their own settings, not by those of whoever runs them."""

import os

import pytest

_KEPT = {"HOLDFAST_TEMPORAL_CLI", "HOLDFAST_CACHE_DIR"}


def strange_settings() -> list[str]:
    """The names of variables of the environment that would change what is tested."""
    return [name for name in os.environ if name.startswith(("HOLDFAST_", "SENTRY_", "OTEL_")) and name not in _KEPT]


@pytest.fixture(autouse=True)
def own_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in strange_settings():
        monkeypatch.delenv(name)
