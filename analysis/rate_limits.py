"""How often somebody may ask: a token bucket, https://en.wikipedia.org/wiki/Token_bucket."""

from datetime import timedelta
from typing import NamedTuple

from models.gateway_spec import RateSpec


class Bucket(NamedTuple):
    """`tokens` as they were at `at`, in seconds of any clock that only goes forward."""

    tokens: float
    at: float


class Draw(NamedTuple):
    """The bucket after a request; `wait` is None if it may go on, else how long until one may."""

    bucket: Bucket
    wait: timedelta | None


def full(rate: RateSpec, now: float) -> Bucket:
    return Bucket(float(rate.burst), now)


def draw(bucket: Bucket, rate: RateSpec, now: float) -> Draw:
    """Take one token, if there is one."""
    gained = max(now - bucket.at, 0.0) * rate.per_second
    tokens = min(bucket.tokens + gained, float(rate.burst))
    at = max(now, bucket.at)
    if tokens >= 1:
        return Draw(Bucket(tokens - 1, at), None)
    return Draw(Bucket(tokens, at), timedelta(seconds=(1 - tokens) / rate.per_second))


def refilled(bucket: Bucket, rate: RateSpec, now: float) -> bool:
    """Whether it is as good as a new one, so that nothing is lost by forgetting it."""
    return bucket.tokens + (now - bucket.at) * rate.per_second >= rate.burst
