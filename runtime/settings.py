"""Settings of a process, from the environment and `.env`: read once in a `main` and passed down."""

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from models.quantities import HostPort

DEFAULT_TEMPORAL_PORT = 7233


class Settings(BaseSettings):
    """Each field is the environment variable HOLDFAST_<FIELD>; `.env.example` lists them. Port 0 means any free one."""

    model_config = SettingsConfigDict(
        env_prefix="HOLDFAST_", env_file=".env", env_file_encoding="utf-8", extra="ignore", frozen=True
    )

    home: Path = Field(default=Path(".holdfast"), description="where the local stack keeps its state")
    catalog: Path = Field(default=Path("holdfast.yaml"), description="the catalog")

    temporal_address: HostPort | None = Field(default=None, description="a Temporal server that exists already")
    temporal_namespace: str = "default"
    temporal_cli: Path | None = Field(default=None, description="the `temporal` program to use for the local stack")
    cache_dir: Path | None = Field(default=None, description="where obtained programs are kept; per user by default")

    temporal_port: int = Field(default=DEFAULT_TEMPORAL_PORT, ge=0, le=65535)
    ui_port: int = Field(default=8233, ge=0, le=65535)
    envoy_admin_port: int = Field(default=19901, ge=0, le=65535)
    envoy_admin: HostPort | None = Field(
        default=None, description="Envoy's admin interface; the local stack's if unset"
    )
    worker_health_port: int = Field(default=0, ge=0, le=65535)
    worker_metrics_port: int = Field(default=0, ge=0, le=65535)

    log_format: Literal["auto", "text", "json"] = "auto"
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    sentry_dsn: SecretStr | None = Field(default=None, validation_alias="SENTRY_DSN")
    sentry_environment: str = Field(default="local", validation_alias="SENTRY_ENVIRONMENT")
