"""Whether a request was signed by who knows the secret, and not too long ago."""

import hashlib
import hmac
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from models import standard_webhooks as standard
from models.gateway_spec import GenericSignature, GrafanaSignature

OLDEST = timedelta(minutes=5)
"""A request that was signed longer ago, or is to be sent so much later, may be one that somebody has recorded."""

OLDEST_EVENT = timedelta(hours=1)
"""Since an event of PagerDuty happened: it sends one again for some twenty minutes where nobody takes it."""

SENTRY_SIGNATURE, SENTRY_TIME = "Sentry-Hook-Signature", "Sentry-Hook-Timestamp"
PAGERDUTY_SIGNATURE = "X-PagerDuty-Signature"

_MOST_SIGNATURES = 10
_MILLISECONDS_SINCE = 1e11

Headers = Mapping[str, str]
"""Whose keys are found in any case of letters."""


class NotSignedError(Exception):
    """Why a signature does not prove anything, in a sentence that holds no secret."""


@dataclass(frozen=True)
class Claim:
    """What the headers say of a signature, before the body is there. `expected` makes it of a secret and a body."""

    header: str
    given: Sequence[str]
    expected: Callable[[str, bytes], str]

    def check(self, secret: str, body: bytes) -> None:
        """Raises NotSignedError."""
        expected = self.expected(secret, body).encode()
        matches = [hmac.compare_digest(expected, each.encode()) for each in self.given[:_MOST_SIGNATURES]]
        if not any(matches):
            raise NotSignedError(
                f"The signature in {self.header} is not this body's. Check that both sides have the same secret, and "
                "that nothing between them changes the body."
            )


def grafana_claim(spec: GrafanaSignature, headers: Headers, now: datetime) -> Claim:
    """Raises NotSignedError.

    https://grafana.com/docs/grafana/latest/alerting/configure-notifications/manage-contact-points/integrations/webhook-notifier/
    """
    stamp = _header(headers, spec.timestamp_header, "set Timestamp Header to that in the contact point")
    signature = _header(headers, spec.header, "give the contact point an HMAC secret")
    _check_age(stamp, spec.timestamp_header, now)
    return Claim(spec.header, [signature], lambda secret, body: _hmac(secret, stamp.encode() + b":" + body))


def sentry_claim(headers: Headers, now: datetime) -> Claim:
    """Raises NotSignedError. The time is not part of what is signed: it tells of a delivery that is late, nothing of
    one that somebody recorded. Nor does the body, which may be the same when the same happens again.

    https://docs.sentry.io/organization/integrations/integration-platform/webhooks/
    """
    signature = _header(headers, SENTRY_SIGNATURE, "only an integration's webhooks have one")
    _check_age(_header(headers, SENTRY_TIME, "Sentry sends it with each webhook"), SENTRY_TIME, now)
    return Claim(SENTRY_SIGNATURE, [signature], _hmac)


def pagerduty_claim(headers: Headers) -> Claim:
    """Raises NotSignedError. It holds several signatures while a secret is changed, and no time stamp: see
    `check_event_age`.

    https://developer.pagerduty.com/docs/verifying-webhook-signatures
    """
    found = _header(headers, PAGERDUTY_SIGNATURE, "webhooks of version 3 have one").split(",")
    given = [each.strip().removeprefix("v1=") for each in found if each.strip().startswith("v1=")]
    return Claim(PAGERDUTY_SIGNATURE, given, _hmac)


def check_event_age(occurred_at: object, now: datetime) -> None:
    """Of an event of PagerDuty, which is signed as a whole. One that says no time passes: nobody can have recorded one,
    as all that PagerDuty sends do. Raises NotSignedError.
    """
    try:
        at = datetime.fromisoformat(occurred_at) if isinstance(occurred_at, str) else None
    except ValueError:
        at = None
    if at is None:
        return
    age = now - (at if at.tzinfo else at.replace(tzinfo=UTC))
    if age > OLDEST_EVENT or age < -OLDEST:
        raise NotSignedError(
            f"The event's occurred_at is {occurred_at}; those of the last {OLDEST_EVENT.total_seconds() / 60:.0f} "
            "minutes are taken. Check both clocks."
        )


def generic_claim(spec: GenericSignature, headers: Headers, now: datetime) -> Claim:
    """Raises NotSignedError. An HMAC of the body says no time, and the same body may well be news: a monitor that goes
    down, up and down again says the same twice.
    """
    if spec.kind == "standard":
        return _standard_claim(headers, now)
    signature = _header(headers, spec.header, "the sender has to sign what it sends")
    if not signature.startswith(spec.prefix):
        raise NotSignedError(f"The header {spec.header} does not begin with {spec.prefix!r}.")
    return Claim(spec.header, [signature.removeprefix(spec.prefix)], _hmac)


def _standard_claim(headers: Headers, now: datetime) -> Claim:
    advice = "send what standardwebhooks.com says"
    message = _header(headers, standard.ID, advice)
    stamp = _header(headers, standard.TIMESTAMP, advice)
    found = _header(headers, standard.SIGNATURE, advice).split(" ")
    given = [each.removeprefix(standard.VERSION) for each in found if each.startswith(standard.VERSION)]
    _check_age(stamp, standard.TIMESTAMP, now)
    return Claim(standard.SIGNATURE, given, lambda secret, body: standard.digest_of(secret, message, stamp, body))


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


def _hmac(secret: str, signed: bytes) -> str:
    return hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()
