"""Secrets, resolved late: in the process that needs them, and held as SecretStr."""

from collections.abc import Mapping
from pathlib import Path

from pydantic import SecretStr

from models.secrets import SecretReference, SecretUnavailableError, parse_secret_text


def resolve_secrets(text: str, environ: Mapping[str, str]) -> SecretStr:
    """Fill every `${env:NAME}` and `${file:/path}` of a text; what is filled in is not looked into again.

    Of a file, one newline at the end is left out. Raises SecretUnavailableError, whose sentence holds no value.
    """
    try:
        parts = parse_secret_text(text).parts
    except ValueError as error:
        # The text around a malformed reference may be a secret itself, so the cause stays out of the traceback.
        raise SecretUnavailableError(f"A secret cannot be looked up: {error}.") from None
    return SecretStr("".join(part if isinstance(part, str) else _look_up(part, environ) for part in parts))


def _look_up(reference: SecretReference, environ: Mapping[str, str]) -> str:
    if reference.kind == "env":
        return _variable(reference.target, environ)
    return _file(reference)


def _variable(name: str, environ: Mapping[str, str]) -> str:
    value = environ.get(name)
    if value is None:
        raise SecretUnavailableError(
            f"The environment variable {name}, which the catalog refers to, is not set for this process. "
            f"Set it where this process is started, and start it again."
        )
    return value


def _file(reference: SecretReference) -> str:
    try:
        content = Path(reference.target).read_bytes().decode()
    except OSError as error:
        raise SecretUnavailableError(
            f"The file {reference.target}, which the catalog refers to, cannot be read by this process: "
            f"{error.strerror or type(error).__name__}. Put it there, or allow this process to read it."
        ) from error
    except UnicodeDecodeError:
        # The decoding error carries the bytes it failed on.
        raise SecretUnavailableError(
            f"The file {reference.target}, which the catalog refers to, does not hold UTF-8 text."
        ) from None
    return content.removesuffix("\n").removesuffix("\r")
