"""How the connection to Temporal is protected, as settings say: TLS, a certificate of our own, an API key."""

from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from temporalio.service import TLSConfig

from runtime.settings import Settings, SettingsError

TLS = "HOLDFAST_TEMPORAL_TLS"
CA = "HOLDFAST_TEMPORAL_TLS_CA"
CERT = "HOLDFAST_TEMPORAL_TLS_CERT"
KEY = "HOLDFAST_TEMPORAL_TLS_KEY"
SERVER_NAME = "HOLDFAST_TEMPORAL_TLS_SERVER_NAME"
API_KEY = "HOLDFAST_TEMPORAL_API_KEY"


@dataclass(frozen=True)
class ConnectionSecurity:
    """`tls` and `api_key` as the SDK's client takes them."""

    tls: TLSConfig | bool = False
    api_key: str | None = field(default=None, repr=False)


def connection_security(settings: Settings) -> ConnectionSecurity:
    """Read the files that settings name. Raises SettingsError for what cannot work before anything is sent.

    The files are read anew for each connection, so a process that waits for Temporal takes a renewed certificate.
    """
    wanting = wants_tls(settings)
    if settings.temporal_tls is False and wanting:
        raise SettingsError(f"{TLS} is off, and {', '.join(wanting)} need it. Set {TLS} to on, or unset those.")
    if not wanting and not settings.temporal_tls:
        return ConnectionSecurity()
    cert, key = _own_certificate(settings.temporal_tls_cert, settings.temporal_tls_key)
    tls = TLSConfig(
        server_root_ca_cert=_authorities(settings.temporal_tls_ca),
        domain=settings.temporal_tls_server_name,
        client_cert=cert,
        client_private_key=key,
    )
    return ConnectionSecurity(tls, settings.temporal_api_key.get_secret_value() if settings.temporal_api_key else None)


def wants_tls(settings: Settings) -> list[str]:
    """The variables, among those set, that mean nothing without TLS."""
    needing = {
        CA: settings.temporal_tls_ca,
        CERT: settings.temporal_tls_cert,
        KEY: settings.temporal_tls_key,
        SERVER_NAME: settings.temporal_tls_server_name,
        API_KEY: settings.temporal_api_key,
    }
    return [name for name, value in needing.items() if value is not None]


def _authorities(path: Path | None) -> bytes | None:
    if path is None:
        return None
    content = _content(path, CA)
    _certificates(content, path, CA)
    return content


def _own_certificate(cert: Path | None, key: Path | None) -> tuple[bytes | None, bytes | None]:
    if cert is None and key is None:
        return None, None
    if cert is None or key is None:
        there, missing = (CERT, KEY) if key is None else (KEY, CERT)
        raise SettingsError(f"{there} is set and {missing} is not. A certificate is used with its key: set both.")
    cert_content, key_content = _content(cert, CERT), _content(key, KEY)
    first = _certificates(cert_content, cert, CERT)[0]
    if _public(_private_key(key_content, key)) != first.public_key().public_bytes(
        Encoding.DER, PublicFormat.SubjectPublicKeyInfo
    ):
        raise SettingsError(f"The key in {key} ({KEY}) is not that of the certificate in {cert} ({CERT}).")
    return cert_content, key_content


def _content(path: Path, variable: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise SettingsError(
            f"{variable} names the file {path}, which cannot be read: {error.strerror or type(error).__name__}. "
            "Put it there, or allow this process to read it."
        ) from error


def _certificates(content: bytes, path: Path, variable: str) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(content)
    except ValueError:
        raise SettingsError(
            f"{variable} names the file {path}, which holds no certificate in PEM form (-----BEGIN CERTIFICATE-----)."
        ) from None


def _private_key(content: bytes, path: Path) -> PrivateKeyTypes:
    try:
        return load_pem_private_key(content, password=None)
    except TypeError:
        raise SettingsError(
            f"{KEY} names the file {path}, whose key asks for a password. Use one without, readable by this user alone."
        ) from None
    except ValueError:
        raise SettingsError(f"{KEY} names the file {path}, which holds no private key in PEM form.") from None


def _public(key: PrivateKeyTypes) -> bytes:
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
