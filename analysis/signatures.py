"""Whether a request was signed by who knows the secret, and not too long ago."""

import hashlib
import hmac
from collections.abc import Mapping
from datetime import datetime, timedelta

from models import standard_webhooks as standard
from models.gateway_spec import GenericSignature, GrafanaSignature

OLDEST = timedelta(minutes=5)
"""A request that was signed longer ago, or is to be sent so much later, may be one that somebody has recorded."""

SENTRY_SIGNATURE, SENTRY_TIME = "Sentry-Hook-Signature", "Sentry-Hook-Timestamp"
PAGERDUTY_SIGNATURE = "X-PagerDuty-Signature"

_MOST_SIGNATURES = 10
_MILLISECONDS_SINCE = 1e11

Headers = Mapping[str, str]
"""Whose keys are found in any case of letters."""


class NotSignedError(Exception):
    """Why a signature does not prove anything, in a sentence that holds no secret."""


def check_grafana(spec: GrafanaSignature, secret: str, headers: Headers, body: bytes, now: datetime) -> None:
    """Raises NotSignedError.

    https://grafana.com/docs/grafana/latest/alerting/configure-notifications/manage-contact-points/integrations/webhook-notifier/
    """
    stamp = _header(headers, spec.timestamp_header, "set Timestamp Header to that in the contact point")
    signature = _header(headers, spec.header, "give the contact point an HMAC secret")
    _check_age(stamp, spec.timestamp_header, now)
    _compare(secret.encode(), stamp.encode() + b":" + body, [signature], spec.header)


def check_sentry(secret: str, headers: Headers, body: bytes, now: datetime) -> None:
    """Raises NotSignedError. https://docs.sentry.io/organization/integrations/integration-platform/webhooks/"""
    signature = _header(headers, SENTRY_SIGNATURE, "only an integration's webhooks have one")
    _check_age(_header(headers, SENTRY_TIME, "Sentry sends it with each webhook"), SENTRY_TIME, now)
    _compare(secret.encode(), body, [signature], SENTRY_SIGNATURE)


def check_pagerduty(secret: str, headers: Headers, body: bytes) -> None:
    """Raises NotSignedError. It holds several signatures while a secret is changed, and no time stamp: an event that
    comes again is known by its id.

    https://developer.pagerduty.com/docs/verifying-webhook-signatures
    """
    found = _header(headers, PAGERDUTY_SIGNATURE, "webhooks of version 3 have one").split(",")
    given = [each.strip().removeprefix("v1=") for each in found if each.strip().startswith("v1=")]
    _compare(secret.encode(), body, given, PAGERDUTY_SIGNATURE)


def check_generic(spec: GenericSignature, secret: str, headers: Headers, body: bytes, now: datetime) -> None:
    """Raises NotSignedError."""
    if spec.kind == "standard":
        _check_standard(secret, headers, body, now)
        return
    signature = _header(headers, spec.header, "the sender has to sign what it sends")
    if not signature.startswith(spec.prefix):
        raise NotSignedError(f"The header {spec.header} does not begin with {spec.prefix!r}.")
    _compare(secret.encode(), body, [signature.removeprefix(spec.prefix)], spec.header)


def _check_standard(secret: str, headers: Headers, body: bytes, now: datetime) -> None:
    advice = "send what standardwebhooks.com says"
    message = _header(headers, standard.ID, advice)
    stamp = _header(headers, standard.TIMESTAMP, advice)
    found = _header(headers, standard.SIGNATURE, advice).split(" ")
    given = [each.removeprefix(standard.VERSION) for each in found if each.startswith(standard.VERSION)]
    _check_age(stamp, standard.TIMESTAMP, now)
    _any_is(standard.digest_of(secret, message, stamp, body), given, standard.SIGNATURE)


def _header(headers: Headers, name: str, advice: str) -> str:
    found = headers.get(name, "").strip()
    if not found:
        raise NotSignedError(f"There is no header {name}; {advice}.")
    return found


def _check_age(stamp: str, header: str, now: datetime) -> None:
    seconds = float(stamp) if stamp.isascii() and stamp.isdigit() and len(stamp) <= len("1700000000000") else None
    if seconds is None:
        raise NotSignedError(f"The header {header} is no Unix time.")
    age = now.timestamp() - (seconds / 1000 if seconds > _MILLISECONDS_SINCE else seconds)
    if abs(age) > OLDEST.total_seconds():
        when = f"{age:.0f} seconds ago" if age > 0 else f"in {-age:.0f} seconds"
        raise NotSignedError(
            f"The time in {header} is {when}; at most {OLDEST.total_seconds():.0f} are taken. Send it anew, and check "
            "both clocks."
        )


def _compare(secret: bytes, signed: bytes, given: list[str], header: str) -> None:
    _any_is(hmac.new(secret, signed, hashlib.sha256).hexdigest(), given, header)


def _any_is(expected: str, given: list[str], header: str) -> None:
    matches = [hmac.compare_digest(expected.encode(), each.encode()) for each in given[:_MOST_SIGNATURES]]
    if not any(matches):
        raise NotSignedError(
            f"The signature in {header} is not this body's. Check that both sides have the same secret, and that "
            "nothing between them changes the body."
        )
