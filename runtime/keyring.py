"""The keys that payloads are encrypted with: read from settings, held in memory only."""

import base64
import binascii
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from runtime.settings import Settings, SettingsError

KEYS = "HOLDFAST_ENCRYPTION_KEYS"
KEYS_FILE = "HOLDFAST_ENCRYPTION_KEYS_FILE"

_KEY_BYTES = 32
_KEY_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_ADVICE = "`holdfast keys new` prints a right one"


@dataclass(frozen=True)
class Key:
    """256 bits for AES. The id stands, readable, beside everything that was encrypted with it."""

    id: str
    secret: bytes = field(repr=False)


@dataclass(frozen=True)
class Keyring:
    """The first key encrypts, every one decrypts. Without any, nothing is encrypted."""

    keys: tuple[Key, ...] = ()

    @property
    def ids(self) -> tuple[str, ...]:
        return tuple(key.id for key in self.keys)


def load_keyring(settings: Settings) -> Keyring:
    """Read the keys that settings name. Raises SettingsError, whose sentence holds nothing of a key."""
    given, file = settings.encryption_keys, settings.encryption_keys_file
    if given and file:
        raise SettingsError(f"Both {KEYS} and {KEYS_FILE} are set. Keep one of them, with every key in it.")
    if given:
        return parse_keyring(given.get_secret_value(), KEYS)
    if file:
        return parse_keyring(_content(file), str(file))
    return Keyring()


def parse_keyring(text: str, where: str) -> Keyring:
    """Read entries of the form `id:base64`, parted by commas or lines; what follows a `#` is a comment.

    `where` names the source in errors. Raises SettingsError.
    """
    lines = (line.partition("#")[0] for line in text.splitlines())
    entries = [entry.strip() for line in lines for entry in line.split(",") if entry.strip()]
    if not entries:
        raise SettingsError(f"{where} holds no encryption key. Put one there ({_ADVICE}), or unset it.")
    keys = tuple(_key(entry, f"Entry {number} of {where}") for number, entry in enumerate(entries, start=1))
    _refuse_doubles(keys, where)
    return Keyring(keys)


def new_entry(today: date) -> str:
    """A fresh key as it is written into settings. The id carries the day, so that old keys can be told from new."""
    key_id = f"{today.isoformat()}-{secrets.token_hex(2)}"
    return f"{key_id}:{base64.b64encode(secrets.token_bytes(_KEY_BYTES)).decode()}"


def _key(entry: str, what: str) -> Key:
    key_id, colon, encoded = entry.partition(":")
    if not colon or not _KEY_ID.fullmatch(key_id):
        raise SettingsError(
            f"{what} does not begin with a key's id and a colon; an id has up to 64 letters, digits, dots, dashes and "
            f"underscores. {_ADVICE.capitalize()}."
        )
    try:
        secret = base64.b64decode(encoded.replace("-", "+").replace("_", "/"), validate=True)
    except binascii.Error:
        raise SettingsError(f"{what}, key {key_id}, is not base64 after the colon; {_ADVICE}.") from None
    if len(secret) != _KEY_BYTES:
        raise SettingsError(f"{what}, key {key_id}, has {len(secret)} bytes and needs {_KEY_BYTES}; {_ADVICE}.")
    return Key(key_id, secret)


def _refuse_doubles(keys: Sequence[Key], where: str) -> None:
    seen = set[str]()
    for key in keys:
        if key.id in seen:
            raise SettingsError(f"{where} has two keys with id {key.id}. Give each key an id of its own.")
        seen.add(key.id)


def _content(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except OSError as error:
        raise SettingsError(
            f"The file {file}, named in {KEYS_FILE}, cannot be read: {error.strerror or type(error).__name__}. "
            "Put it there, allow this process to read it, or unset the variable."
        ) from error
    except UnicodeDecodeError:
        # The decoding error carries the bytes it failed on.
        raise SettingsError(
            f"The file {file}, named in {KEYS_FILE}, is not text. Write `id:base64` lines into it; {_ADVICE}."
        ) from None
