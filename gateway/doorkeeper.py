"""Who calls, what they may do, and whether they call too often."""

import base64
import binascii
import hashlib
import hmac
import math
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from fastapi import HTTPException, Request, Security
from fastapi.security import APIKeyHeader, HTTPBearer

from analysis.rate_limits import Bucket, draw, full
from gateway.rulebook import Rulebook
from models.gateway_spec import Access, RateSpec

LOCAL = "local"
"""Who calls where nobody is asked: somebody on this machine."""

_WAYS = (
    HTTPBearer(auto_error=False, scheme_name="bearer"),
    APIKeyHeader(name="X-API-Key", auto_error=False, scheme_name="header"),
)
WAYS_TO_SHOW_A_KEY = [Security(way) for way in _WAYS]
"""For the OpenAPI; it is `Doorkeeper.known` that looks at keys, passwords too, and has the audit log say so."""

SHOWN_BY: list[dict[str, list[str]]] = [{way.scheme_name: []} for way in _WAYS]
"""The same, for doors that alerts come in by: resolved for each request, it would take a tenth of their time."""

_FAILURES = RateSpec(per_second=1, burst=20)
"""Wrong keys and signatures of one address, before they are answered 429. They are compared all the same: whoever has
the right key may well share the address of one who guesses. What keeps a key from being guessed is its length.
"""

_MOST_REMEMBERED = 10_000


@dataclass(frozen=True)
class Caller:
    name: str
    access: Access


class Limiter:
    """A bucket for each name, the ones used last; one that is forgotten was full again, or is of no use any more."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[RateSpec, Bucket]] = OrderedDict()

    def check(self, name: str, rate: RateSpec) -> None:
        """Raises HTTPException 429 with the seconds until it is worth trying again."""
        now = self._clock()
        known = self._buckets.pop(name, None)
        bucket = known[1] if known and known[0] == rate else full(rate, now)
        drawn = draw(bucket, rate, now)
        self._buckets[name] = (rate, drawn.bucket)
        if len(self._buckets) > _MOST_REMEMBERED:
            self._buckets.popitem(last=False)
        if drawn.wait is not None:
            seconds = max(1, math.ceil(drawn.wait.total_seconds()))
            raise HTTPException(
                429,
                f"Too many requests: {rate.per_second:g} a second are taken, {rate.burst} at once.",
                headers={"Retry-After": str(seconds)},
            )


class Doorkeeper:
    def __init__(self, rulebook: Rulebook, clock: Callable[[], float] = time.monotonic) -> None:
        self._rulebook = rulebook
        self._rates = Limiter(clock)
        self._failures = Limiter(clock)

    def known(self, request: Request) -> Caller:
        """Who shows a key, and calls not too often. Raises HTTPException 401 or 429."""
        rules = self._rulebook.rules
        spec = rules.catalog.gateway
        if not spec.guarded:
            self._rates.check(LOCAL, spec.rate)
            return Caller(LOCAL, Access.ADMIN)
        shown = _shown_key(request)
        if shown is None:
            raise self.refusal(
                request,
                "Show a key: `Authorization: Bearer KEY`, `X-API-Key: KEY`, or as the password of a user. Keys are "
                "those under gateway.keys in the catalog.",
            )
        digest = hashlib.sha256(shown).digest()
        found = None
        for name, (secret, key) in rules.keys.items():  # all of them, so that the time taken tells nothing
            if hmac.compare_digest(digest, hashlib.sha256(secret.get_secret_value().encode()).digest()):
                found = (name, key)
        if found is None:
            raise self.refusal(request, "This key is not known here.")
        name, key = found
        self._rates.check(name, key.rate or spec.rate)
        return Caller(name, key.role)

    def signed(self, sender: str) -> Caller:
        """A sender whose signature was right. Raises HTTPException 429."""
        self._rates.check(f"signed {sender}", self._rulebook.rules.catalog.gateway.rate)
        return Caller(sender, Access.RESPONDER)

    def require(self, caller: Caller, wanted: Access) -> None:
        """Raises HTTPException 403."""
        if not caller.access.includes(wanted):
            raise HTTPException(403, f"The key {caller.name} is a {caller.access}'s; this takes a {wanted}'s.")

    def refusal(self, request: Request, why: str) -> HTTPException:
        """What to raise for a key or signature that proves nothing: 401, or 429 where an address keeps trying."""
        try:
            self._failures.check(address_of(request), _FAILURES)
        except HTTPException as error:
            return error
        return HTTPException(401, why, headers={"WWW-Authenticate": "Bearer"})


def address_of(request: Request) -> str:
    return request.client.host if request.client else "unknown"


def _shown_key(request: Request) -> bytes | None:
    own = request.headers.get("x-api-key")
    if own:
        return own.encode()
    scheme, _, shown = request.headers.get("authorization", "").partition(" ")
    shown = shown.strip()
    if scheme.lower() == "bearer" and shown:
        return shown.encode()
    if scheme.lower() == "basic" and shown:
        try:
            return base64.b64decode(shown, validate=True).partition(b":")[2] or None
        except (binascii.Error, ValueError):
            return None
    return None
