import base64
from datetime import date
from pathlib import Path

import pytest
from pydantic import SecretStr

from runtime.keyring import load_keyring, new_entry, parse_keyring
from runtime.settings import Settings, SettingsError

ENTRY = new_entry(date(2026, 1, 31))
OTHER = new_entry(date(2026, 2, 28))


def test_a_fresh_entry_names_its_day_and_is_a_key() -> None:
    (key,) = parse_keyring(ENTRY, "here").keys
    assert key.id.startswith("2026-01-31-")
    assert len(key.secret) == 32
    assert new_entry(date(2026, 1, 31)).partition(":")[2] != ENTRY.partition(":")[2]


@pytest.mark.parametrize("text", [f"{ENTRY},{OTHER}", f"# the newest first\n{ENTRY}\n\n  {OTHER}  # old\n"])
def test_keys_stand_in_a_line_or_one_a_line(text: str) -> None:
    keyring = parse_keyring(text, "here")
    assert keyring.ids == (ENTRY.partition(":")[0], OTHER.partition(":")[0])


def test_the_alphabet_for_addresses_is_read_as_well() -> None:
    secret = bytes(range(224, 256))
    keys = parse_keyring(
        f"a:{base64.b64encode(secret).decode()},b:{base64.urlsafe_b64encode(secret).decode()}", ""
    ).keys
    assert [key.secret for key in keys] == [secret, secret]


def test_settings_or_a_file_hold_the_keys(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text(ENTRY)
    given = Settings(encryption_keys=SecretStr(ENTRY))
    named = Settings(encryption_keys_file=file)
    assert load_keyring(given) == load_keyring(named) == parse_keyring(ENTRY, "")
    assert load_keyring(Settings()).keys == ()
    with pytest.raises(SettingsError, match="Both HOLDFAST_ENCRYPTION_KEYS and HOLDFAST_ENCRYPTION_KEYS_FILE"):
        load_keyring(Settings(encryption_keys=SecretStr(ENTRY), encryption_keys_file=file))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "holds no encryption key"),
        ("# later", "holds no encryption key"),
        ("hunter2", "Entry 1 of KEYS does not begin with a key's id and a colon"),
        ("a b:hunter2", "does not begin with a key's id"),
        ("k1:hunter2!", "Entry 1 of KEYS, key k1, is not base64"),
        ("k1:" + "A" * 43 + "=,k2:aHVudGVyMg==", "Entry 2 of KEYS, key k2, has 7 bytes and needs 32"),
        (f"{ENTRY},{ENTRY}", "has two keys with id 2026-01-31-"),
    ],
)
def test_a_mistake_is_named_without_showing_a_key(text: str, said: str) -> None:
    with pytest.raises(SettingsError) as refused:
        parse_keyring(text, "KEYS")
    assert said in str(refused.value)
    assert "hunter2" not in str(refused.value)
    assert ENTRY.partition(":")[2] not in str(refused.value)
    assert refused.value.__cause__ is None


def test_a_file_that_is_missing_or_no_text_is_named(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    with pytest.raises(
        SettingsError, match=rf"{file}, named in HOLDFAST_ENCRYPTION_KEYS_FILE, cannot be read: No such"
    ):
        load_keyring(Settings(encryption_keys_file=file))
    file.write_bytes(b"hunter2\xff")
    with pytest.raises(SettingsError, match="is not text"):
        load_keyring(Settings(encryption_keys_file=file))


def test_neither_settings_nor_keyring_show_a_key() -> None:
    settings = Settings(encryption_keys=SecretStr(ENTRY))
    assert ENTRY.partition(":")[2] not in f"{settings!r} {load_keyring(settings)!r}"
