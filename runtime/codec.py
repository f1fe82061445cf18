"""Encryption of what is sent to Temporal: inputs, results, heartbeats, memos, summaries, failures.

AES-256-GCM with a random nonce for each payload. The id of the key stands in the payload's metadata and is bound as
associated data. Temporal itself, and who reads its database, sees ids, types, search attributes and sizes.
"""

import os
from collections.abc import Mapping, Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from google.protobuf.message import DecodeError
from temporalio.api.common.v1 import Payload
from temporalio.converter import PayloadCodec

from runtime.keyring import KEYS, KEYS_FILE, Keyring

ENCODING = b"binary/encrypted"
KEY_ID = "encryption-key-id"

_SCHEME = b"holdfast/aes-256-gcm/"
_NONCE_BYTES = 12
"""What NIST SP 800-38D asks for; a key may then encrypt 2^32 payloads before it is to be replaced."""


class UnreadablePayloadError(ValueError):
    """A payload cannot be decrypted here; the sentence says why, and what to do."""


class KeyMissingError(UnreadablePayloadError):
    """The key that a payload was encrypted with is not among this process's keys."""


class PayloadDamagedError(UnreadablePayloadError):
    """The key of this id does not open the payload."""


class EncryptionCodec(PayloadCodec):
    """Encrypts with the first key, decrypts with any. What was never encrypted is passed on as it is, so encryption
    can be switched on with workflows in flight; without keys nothing is encrypted, and what another
    process encrypted is refused with a sentence.
    """

    def __init__(self, keyring: Keyring) -> None:
        self._ciphers: Mapping[str, AESGCM] = {key.id: AESGCM(key.secret) for key in keyring.keys}
        self._primary = keyring.ids[0] if keyring.keys else None

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        if self._primary is None:
            return list(payloads)
        return [self._encrypted(payload, self._primary) for payload in payloads]

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Raises UnreadablePayloadError."""
        return [self._decrypted(payload) if is_encrypted(payload) else payload for payload in payloads]

    def _encrypted(self, payload: Payload, key_id: str) -> Payload:
        nonce = os.urandom(_NONCE_BYTES)
        sealed = self._ciphers[key_id].encrypt(nonce, payload.SerializeToString(), _bound(key_id))
        return Payload(metadata={"encoding": ENCODING, KEY_ID: key_id.encode()}, data=nonce + sealed)

    def _decrypted(self, payload: Payload) -> Payload:
        key_id = payload.metadata[KEY_ID].decode(errors="replace")
        if key_id not in self._ciphers:
            raise KeyMissingError(self._missing(key_id))
        nonce, sealed = payload.data[:_NONCE_BYTES], payload.data[_NONCE_BYTES:]
        try:
            return Payload.FromString(self._ciphers[key_id].decrypt(nonce, sealed, _bound(key_id)))
        except (InvalidTag, ValueError, DecodeError):
            raise PayloadDamagedError(
                f"A payload cannot be decrypted with key {key_id!r}: either this process has another key under that "
                f"id than who encrypted it, or the payload was changed. Compare {KEYS} of the two."
            ) from None

    def _missing(self, key_id: str) -> str:
        has = f"has {', '.join(self._ciphers)}" if self._ciphers else "has no keys at all"
        return (
            f"A payload is encrypted with key {key_id!r}, and this process {has}. Add {key_id!r} to {KEYS}, or to the "
            f"file in {KEYS_FILE}, where this process is started, and start it again."
        )


def is_encrypted(payload: Payload) -> bool:
    return payload.metadata.get("encoding") == ENCODING


def _bound(key_id: str) -> bytes:
    return _SCHEME + key_id.encode()
