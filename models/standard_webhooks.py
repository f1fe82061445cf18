"""How a message is signed: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md"""

import base64
import hashlib
import hmac

ID, TIMESTAMP, SIGNATURE = "webhook-id", "webhook-timestamp", "webhook-signature"
VERSION = "v1,"
"""What a signature begins with."""

_PREFIX = "whsec_"


def digest_of(secret: str, message_id: str, timestamp: str, body: bytes) -> str:
    """In base64, the HMAC-SHA256 of `<id>.<timestamp>.<body>`: what follows the version in a signature."""
    signed = f"{message_id}.{timestamp}.".encode() + body
    return base64.b64encode(hmac.new(_key(secret), signed, hashlib.sha256).digest()).decode()


def _key(secret: str) -> bytes:
    """After `whsec_` the bytes stand in base64; a secret of another form is its own key."""
    if not secret.startswith(_PREFIX):
        return secret.encode()
    try:
        return base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except ValueError:
        return secret.encode()
