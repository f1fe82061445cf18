"""How secrets are referred to in the catalog: `${env:NAME}` and `${file:/path}`. They never stand in it."""

import re
from dataclasses import dataclass
from typing import Literal

from models.mistakes import Path

SECRET_FORMS = "${env:NAME} or ${file:/path}"  # noqa: S105 - the way to write one, not a secret

_REFERENCE = re.compile(r"\$\{(?:(env):([A-Za-z_][A-Za-z0-9_]*)|(file):(/[^${}\x00\r\n]+))\}")
_OPENING = re.compile(r"\$\{(?:[^}]*\})?")
_RESOLVABLE = re.compile(r"\$\{\s*(?:env|file)\s*:", re.IGNORECASE)
_SECRET_KEY = re.compile(r"(?:PASSWORD|SECRET|TOKEN|API_?KEY)S?(?![A-Z])(?!\w*_(?:FILE|PATH)$)", re.IGNORECASE)


class SecretUnavailableError(Exception):
    """A sentence naming the variable or file that could not be had, never a value."""


@dataclass(frozen=True)
class SecretReference:
    kind: Literal["env", "file"]
    target: str

    def __str__(self) -> str:
        return f"${{{self.kind}:{self.target}}}"


@dataclass(frozen=True)
class SecretText:
    """A text taken apart: what stands there literally, and the references between."""

    parts: tuple[str | SecretReference, ...]

    @property
    def references(self) -> tuple[SecretReference, ...]:
        return tuple(part for part in self.parts if isinstance(part, SecretReference))


def parse_secret_text(text: str) -> SecretText:
    """Take a text apart. Raises ValueError, naming what is wrong, for a `${...}` that is not a reference."""
    parts: list[str | SecretReference] = []
    end = 0
    for match in _REFERENCE.finditer(text):
        parts += [_literal(text[end : match.start()]), _reference(match)]
        end = match.end()
    parts.append(_literal(text[end:]))
    return SecretText(tuple(part for part in parts if part))


def _literal(text: str) -> str:
    malformed = _OPENING.search(text)
    if malformed:
        raise ValueError(f"{malformed[0]} is not a reference; write {SECRET_FORMS}")
    return text


def _reference(match: re.Match[str]) -> SecretReference:
    if match[1]:
        return SecretReference("env", match[2])
    return SecretReference("file", match[4])


def follows_references(path: Path) -> bool:
    """Whether a text at this place of the catalog is one in which references are filled in."""
    of_target = path[:2] == ("incidents", "targets") and path[-1:] == ("secret",)
    of_gateway = path[:1] == ("gateway",) and path[-1:] == ("secret",)
    return of_target or of_gateway or path[-2:-1] == ("env",) or path[-2:] == ("metrics", "token")


def may_hold_secret(path: Path) -> bool:
    """Whether what stands here, rightly or not, is never to be repeated."""
    return "env" in path or follows_references(path)


def names_a_secret(key: str) -> bool:
    """Whether an environment variable of this name is expected to hold a secret, rather than say where it lies."""
    return bool(_SECRET_KEY.search(key))


def looks_like_reference(text: str) -> bool:
    """Whether a text means to refer to a secret, rightly written or not."""
    return bool(_RESOLVABLE.search(text))
