"""The catalog as it is now, and the secrets that it refers to."""

import asyncio
import logging
import os
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from pydantic import SecretStr

from models.catalog import Catalog
from models.gateway_spec import KeySpec
from models.secrets import SecretUnavailableError
from runtime.catalog_file import CatalogError, load_catalog
from runtime.secrets import resolve_secrets

LOOK_EVERY = timedelta(seconds=2)

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Rules:
    """One reading of the catalog. Secrets are never shown, so neither is any part of this."""

    catalog: Catalog
    keys: dict[str, tuple[SecretStr, KeySpec]] = field(default_factory=dict, repr=False)
    signing: dict[str, SecretStr] = field(default_factory=dict, repr=False)

    @classmethod
    def read(cls, path: Path) -> "Rules":
        """Raises CatalogError, and SecretUnavailableError for the first secret that cannot be had."""
        return cls.of(load_catalog(path))

    @classmethod
    def of(cls, catalog: Catalog) -> "Rules":
        spec = catalog.gateway
        keys = {name: (_resolved(key.secret, f"the key {name}"), key) for name, key in spec.keys.items()}
        own = {
            "grafana": spec.signatures.grafana,
            "sentry": spec.signatures.sentry,
            "pagerduty": spec.signatures.pagerduty,
        }
        signing = {name: _resolved(each.secret, f"the secret of {name}") for name, each in own.items() if each}
        for name, signature in spec.signatures.generic.items():
            signing[f"generic/{name}"] = _resolved(signature.secret, f"the secret of {name}")
        return cls(catalog, keys, signing)


def _resolved(text: str, what: str) -> SecretStr:
    secret = resolve_secrets(text, os.environ)
    if not secret.get_secret_value():
        raise SecretUnavailableError(f"{what} is empty, and would let everybody in. Give it a value.")
    return secret


class Rulebook:
    """The rules in force. A catalog that was edited counts within seconds; while it holds mistakes, the last does."""

    def __init__(self, rules: Rules, path: Path | None = None) -> None:
        self.rules = rules
        self._path = path
        self._read_at = _changed_at(path)

    @classmethod
    def open(cls, path: Path) -> "Rulebook":
        """Raises CatalogError and SecretUnavailableError."""
        return cls(Rules.read(path), path)

    async def keep_current(self) -> None:
        """For ever. Whether anybody is asked for a key at all is decided at the start, by the address."""
        while True:
            await asyncio.sleep(LOOK_EVERY.total_seconds())
            changed_at = _changed_at(self._path)
            if self._path is None or changed_at == self._read_at:
                continue
            self._read_at = changed_at
            try:
                rules = await asyncio.to_thread(Rules.read, self._path)
            except (CatalogError, SecretUnavailableError) as error:
                logger.error("The catalog was changed and cannot be used; the one before stays in force: %s", error)  # noqa: TRY400
                continue
            if self.rules.catalog.gateway.guarded and not rules.catalog.gateway.guarded:
                logger.error("The catalog has no keys any more; the one before stays in force until a restart.")
                continue
            self.rules = rules
            logger.info("The catalog was changed; the new one is in force")


def _changed_at(path: Path | None) -> tuple[int, int] | None:
    try:
        stat = path.stat() if path else None
    except OSError:
        return None
    return (stat.st_mtime_ns, stat.st_ino) if stat else None
