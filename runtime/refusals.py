"""Why Temporal was not reached, in sentences: what the SDK's core reports is written for who debugs it."""

import re
from datetime import UTC, datetime

from cryptography import x509
from temporalio.service import RPCStatusCode

from models.quantities import HostPort
from runtime.connection_security import API_KEY, CA, CERT, KEY, SERVER_NAME, TLS, wants_tls
from runtime.settings import Settings

_START_ONE = "Run `holdfast up` to start a local one, or set HOLDFAST_TEMPORAL_ADDRESS to the server you use."
_ENDED_AT_ONCE = ("operation was canceled", "transport error", "connection reset", "broken pipe", "closenotify")
_REFUSED = {
    RPCStatusCode.UNAUTHENTICATED: "code: Unauthenticated",
    RPCStatusCode.PERMISSION_DENIED: "code: PermissionDenied",
}


def unreachable(target: HostPort, reason: str, advice: str = _START_ONE) -> str:
    return f"Temporal cannot be reached at {target}: {reason}. {advice}"


def explain(target: HostPort, settings: Settings, message: str) -> str:
    """A sentence for what the SDK's core reports of a connection that failed."""
    for status, said in _REFUSED.items():
        if said in message:
            return refused(target, settings, status)
    lowered = message.lower()
    if "connection refused" in lowered or "connectionrefused" in lowered:
        why = ("nothing listens there", _START_ONE)
    elif "dns error" in lowered or "failed to lookup" in lowered:
        why = ("its host name is not known", _START_ONE)
    elif "InvalidCertificate(" in message:
        why = _certificate(settings, message)
    elif "InvalidMessage(" in message:
        meant = ", ".join([TLS, *wants_tls(settings)])
        why = ("it does not speak TLS", f"Unset {meant}, or name another server.")
    elif any(sign in lowered for sign in _ENDED_AT_ONCE):
        why = _closed(settings)
    else:
        why = (message.removeprefix("Failed client connect: ").rstrip("."), _START_ONE)
    return unreachable(target, *why)


def refused(target: HostPort, settings: Settings, status: RPCStatusCode) -> str:
    """A sentence for a server that knows us too little (UNAUTHENTICATED), or well enough (PERMISSION_DENIED)."""
    where = f"Temporal at {target}"
    if status is RPCStatusCode.PERMISSION_DENIED:
        shown = [
            name for name, value in ((API_KEY, settings.temporal_api_key), (CERT, settings.temporal_tls_cert)) if value
        ]
        who = " and ".join(shown) or "a client that shows neither API key nor certificate"
        return (
            f"{where} does not let us use namespace {settings.temporal_namespace!r}. Have it allowed there for {who}, "
            "or name another in HOLDFAST_TEMPORAL_NAMESPACE."
        )
    if settings.temporal_api_key:
        return (
            f"{where} rejects the API key in {API_KEY}. Check that it is whole, valid still, and made for this server."
        )
    return f"{where} asks who we are. Set {API_KEY}, or {CERT} and {KEY}."


def _certificate(settings: Settings, message: str) -> tuple[str, str]:
    if "UnknownIssuer" in message:
        trusted = (
            f"the authority in {settings.temporal_tls_ca}" if settings.temporal_tls_ca else "one this system trusts"
        )
        return (
            f"its certificate is not signed by {trusted}",
            f"Set {CA} to a file with the certificate of the authority that signed it.",
        )
    if "NotValidForName" in message:
        names = ", ".join(re.findall(r'\w+\(\\?"?([^"\\)]+)', message.partition("presented:")[2])) or "other names"
        return (
            f"its certificate is for {names}",
            f"Set {SERVER_NAME} to the name that it is for, if that is the server you mean.",
        )
    if "Expired" in message:
        return "its certificate has expired", "Have it renewed there; if it is valid, this machine's clock is wrong."
    reason = message.partition("InvalidCertificate(")[2].rstrip(") ")
    return f"its certificate is not accepted ({reason})", "Have it replaced there."


def _closed(settings: Settings) -> tuple[str, str]:
    """The handshake is over for us before the server has looked at our side, so all we see is a closed connection."""
    if not (settings.temporal_tls or wants_tls(settings)):
        return "it closes the connection, as one does that wants TLS", f"If it does, set {TLS}=on."
    if settings.temporal_tls_cert is None:
        return (
            "it closes the connection, as one does that asks for a client's certificate",
            f"If it does, set {CERT} and {KEY}.",
        )
    expiry = x509.load_pem_x509_certificate(settings.temporal_tls_cert.read_bytes()).not_valid_after_utc
    if expiry < datetime.now(UTC):
        return (
            f"it closes the connection, and our certificate {settings.temporal_tls_cert} expired on {expiry:%Y-%m-%d}",
            f"Have it renewed, and name it in {CERT}.",
        )
    return (
        f"it closes the connection, as one does that does not accept our certificate {settings.temporal_tls_cert}",
        f"Check that the authority which signed it is one that the server accepts, or name another in {CERT}.",
    )
