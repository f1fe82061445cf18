"""The catalog's words on the HTTP front door: who may knock, how they prove it, and how often."""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, WithJsonSchema, model_validator

from models.base import Written
from models.ids import Name
from models.mistakes import MistakeError

HeaderName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9-]{1,100}$")]
Origin = Annotated[str, StringConstraints(pattern=r"^https?://[^/\s]+$")]


class Access(StrEnum):
    """What a key may do; each may do what those before it may."""

    VIEWER = "viewer"
    RESPONDER = "responder"
    OPERATOR = "operator"
    ADMIN = "admin"

    def includes(self, other: "Access") -> bool:
        order = tuple(Access)
        return order.index(self) >= order.index(other)


AccessWord = Annotated[Access, WithJsonSchema({"type": "string", "enum": [str(each) for each in Access]})]


class RateSpec(Written):
    """How many requests one key may make: a bucket that holds `burst` and is refilled all the time."""

    per_second: float = Field(default=200, gt=0, le=100_000, description="requests a second, in the long run")
    burst: int = Field(default=2_000, ge=1, le=1_000_000, description="requests at once")


class KeySpec(Written):
    """An API key. Its name is what the audit log says."""

    secret: str = Field(description="the key itself; ${env:NAME} or ${file:/path}")
    role: AccessWord = Field(description="what it may do; to send alerts is a responder's")
    rate: RateSpec | None = Field(default=None, description="the gateway's without")


class SenderSignature(Written):
    """Signatures in the form that is the sender's own: Sentry's, PagerDuty's."""

    secret: str = Field(description="what it is signed with; ${env:NAME} or ${file:/path}")


class GrafanaSignature(Written):
    """Grafana's HMAC signature, of the time stamp and the body."""

    secret: str = Field(description="what it is signed with; ${env:NAME} or ${file:/path}")
    header: HeaderName = Field(default="X-Grafana-Alerting-Signature", description="where the signature stands")
    timestamp_header: HeaderName = Field(
        default="X-Grafana-Alerting-Timestamp", description="where the time stamp stands, which is signed, too"
    )


class GenericSignature(Written):
    """How a sender of JSON of its own signs: as https://www.standardwebhooks.com says, or an HMAC of the body."""

    secret: str = Field(description="what it is signed with; ${env:NAME} or ${file:/path}")
    kind: Literal["standard", "hmac"] = Field(
        default="standard", description="Standard Webhooks, whose time stamp is signed, or HMAC-SHA256 of the body"
    )
    header: HeaderName = Field(default="X-Hub-Signature-256", description="of an hmac: where it stands")
    prefix: str = Field(default="sha256=", description="of an hmac: what stands before the hexadecimal digits")


class SignaturesSpec(Written):
    """Senders whose requests must be signed; they need no key then."""

    grafana: GrafanaSignature | None = None
    sentry: SenderSignature | None = None
    pagerduty: SenderSignature | None = None
    generic: dict[Name, GenericSignature] = Field(
        default_factory=dict, description="of incidents.sources, under their names"
    )


class GatewaySpec(Written):
    """The front door. Without keys and signatures it serves its own machine only, and asks nobody."""

    keys: dict[Name, KeySpec] = Field(default_factory=dict, description="API keys")
    signatures: SignaturesSpec = Field(default_factory=SignaturesSpec)
    rate: RateSpec = Field(default_factory=RateSpec, description="for a key or a sender of its own none is said for")
    cors_origins: tuple[Origin, ...] = Field(default=(), description="pages of other origins that may call it")

    @model_validator(mode="after")
    def _keys_refer_to_secrets(self) -> "GatewaySpec":
        for name, key in self.keys.items():
            if not key.secret:
                raise MistakeError(f"the key {name} is empty", at=("keys", name, "secret"))
        return self

    @property
    def guarded(self) -> bool:
        """Whether it asks anybody who they are."""
        signed = self.signatures
        return bool(self.keys or signed.grafana or signed.sentry or signed.pagerduty or signed.generic)
