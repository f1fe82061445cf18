"""Settings of a process, from the environment and `.env`: read once in a `main` and passed down."""

from pathlib import Path
from typing import Literal

from pydantic import AnyHttpUrl, Field, SecretStr, ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, SettingsConfigDict

from models.quantities import HostPort

DEFAULT_TEMPORAL_PORT = 7233
_PREFIX = "HOLDFAST_"
_ENV_FILE = ".env"
SECRETS = Path("/run/secrets")
"""Where container engines put secrets, as files: a setting is also read from the file named like its variable, in
lower case. The environment and `.env` win."""

_NAME = "^[A-Za-z0-9_.-]+$"


class SettingsError(Exception):
    """Settings that cannot be used: a sentence for each, with the variable, what was found and what is allowed."""


class Settings(BaseSettings):
    """Each field is the environment variable HOLDFAST_<FIELD>; `.env.example` lists them. Port 0 means any free one."""

    model_config = SettingsConfigDict(
        env_prefix=_PREFIX,
        env_file=_ENV_FILE,
        env_file_encoding="utf-8",
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
    )

    home: Path = Field(default=Path(".holdfast"), description="where the local stack keeps its state")
    catalog: Path = Field(default=Path("holdfast.yaml"), description="the catalog")

    temporal_address: HostPort | None = Field(default=None, description="a Temporal server that exists already")
    temporal_namespace: str = "default"
    temporal_tls: bool | None = Field(default=None, description="TLS; on by itself where a setting below needs it")
    temporal_tls_ca: Path | None = Field(default=None, description="who may have signed the server's certificate")
    temporal_tls_cert: Path | None = Field(default=None, description="our certificate, for a server that asks for one")
    temporal_tls_key: Path | None = None
    temporal_tls_server_name: str | None = Field(default=None, description="the name in the server's certificate")
    temporal_api_key: SecretStr | None = None

    encryption_keys: SecretStr | None = Field(default=None, description="id:base64, several parted by commas")
    encryption_keys_file: Path | None = Field(default=None, description="the same, one key a line")
    codec_server_token: SecretStr | None = Field(default=None, description="what callers of the codec server must know")
    codec_server_ui_origin: str | None = Field(default=None, description="where the Temporal UI is served from")

    temporal_cli: Path | None = Field(default=None, description="the `temporal` program to use for the local stack")
    cache_dir: Path | None = Field(default=None, description="where obtained programs are kept; per user by default")

    temporal_port: int = Field(default=DEFAULT_TEMPORAL_PORT, ge=0, le=65535)
    ui_port: int = Field(default=8233, ge=0, le=65535)
    envoy_admin_port: int = Field(default=19901, ge=0, le=65535)
    envoy_admin: HostPort | None = Field(
        default=None, description="Envoy's admin interface; the local stack's if unset"
    )
    records_url: SecretStr | None = Field(
        default=None, description="the records database, postgresql://… or sqlite:///…; else records.db in home"
    )
    worker_health_port: int = Field(default=0, ge=0, le=65535)
    worker_metrics_port: int = Field(default=0, ge=0, le=65535)
    worker_metrics_host: str = Field(default="127.0.0.1", description="keeper's, too; elsewhere: 0.0.0.0")
    deployment_name: str = Field(default="holdfast", pattern=_NAME, description="the Worker Deployment in Temporal")
    build_id: str | None = Field(default=None, pattern=_NAME, description="this build; unset: workers have no version")
    keeper_health_port: int = Field(default=0, ge=0, le=65535)
    keeper_metrics_port: int = Field(default=0, ge=0, le=65535)
    gateway_host: str = Field(default="127.0.0.1", description="where `holdfast gateway` listens; elsewhere: 0.0.0.0")
    gateway_port: int = Field(default=8080, ge=0, le=65535)

    log_format: Literal["auto", "text", "json"] = "auto"
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    sentry_dsn: SecretStr | None = Field(default=None, validation_alias="SENTRY_DSN")
    sentry_environment: str = Field(default="local", validation_alias="SENTRY_ENVIRONMENT")
    otel_endpoint: AnyHttpUrl | None = Field(
        default=None, validation_alias="OTEL_EXPORTER_OTLP_ENDPOINT", description="where traces go, by OTLP over HTTP"
    )
    otel_headers: SecretStr | None = Field(default=None, validation_alias="OTEL_EXPORTER_OTLP_HEADERS")


def load_settings() -> Settings:
    """Read the environment and `.env`. Raises SettingsError, which names every mistake at once."""
    try:
        return Settings(_secrets_dir=SECRETS if SECRETS.is_dir() else None)
    except ValidationError as error:
        raise SettingsError("\n".join(_sentence(problem) for problem in error.errors())) from error
    except OSError as error:
        raise SettingsError(f"{_ENV_FILE} cannot be read: {error.strerror}. Mend that, or remove it.") from error
    except UnicodeDecodeError as error:
        raise SettingsError(f"{_ENV_FILE} is not UTF-8 text. Save it as such, or remove it.") from error


def _sentence(problem: ErrorDetails) -> str:
    field = str(problem["loc"][0])
    name = f"{_PREFIX}{field.upper()}" if field in Settings.model_fields else field
    where = f"in the environment, in {_ENV_FILE} or in {SECRETS}"
    return (
        f"{name} is {str(problem['input'])!r}; allowed is {_allowed(problem)}. Set it so {where}, or remove it there."
    )


def _allowed(problem: ErrorDetails) -> str:
    context = problem.get("ctx", {})
    match problem["type"]:
        case "int_parsing" | "less_than_equal" | "greater_than_equal":
            return "a port, 1 to 65535, or 0 for any free one"
        case "string_pattern_mismatch":
            return "letters, digits, dots, dashes and underscores"
        case "bool_parsing":
            return "on or off"
        case "url_parsing" | "url_scheme":
            return "an address like http://127.0.0.1:4318"
        case "literal_error":
            return str(context["expected"])
        case _:
            return getattr(context.get("error"), "allowed", None) or problem["msg"]
