from pathlib import Path

import pytest

from runtime.settings import Settings, SettingsError, load_settings

EXAMPLE = Path(__file__).parents[2] / ".env.example"


def test_the_example_names_every_setting_and_no_other() -> None:
    written = {line.removeprefix("#").partition("=")[0] for line in EXAMPLE.read_text().splitlines() if "=" in line}
    fields = {
        str(field.validation_alias or f"HOLDFAST_{name.upper()}") for name, field in Settings.model_fields.items()
    }
    assert written == fields


def test_a_switch_that_is_neither_on_nor_off_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOLDFAST_TEMPORAL_TLS", "perhaps")
    with pytest.raises(SettingsError, match="HOLDFAST_TEMPORAL_TLS is 'perhaps'; allowed is on or off"):
        load_settings()
