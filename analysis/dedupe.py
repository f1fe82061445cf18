"""Keys under which the same thing is known again: short, readable, safe in a workflow's id."""

import hashlib
import re
import unicodedata
from collections.abc import Iterable

_NOT_OF_A_NAME = re.compile(r"[^a-z0-9]+")
_LONGEST_HINT = 60
_DIGITS = 12
_LONGEST_NAME = 63


def dedupe_key(source: str, identity: str, hint: str = "") -> str:
    """The same for what the same source says of the same thing. `hint` is for the eye; it must be the same, too."""
    return _hashed([source, identity], hint)


def group_key(values: Iterable[tuple[str, str]], hint: str = "") -> str:
    """The key of what has these labels in common, whichever source said it."""
    return _hashed([part for pair in sorted(values) for part in pair], hint)


def slug(text: str) -> str:
    """What can be kept of a text in lower-case letters, digits and hyphens; may be empty."""
    plain = unicodedata.normalize("NFKD", text[:500]).encode("ascii", "ignore").decode()
    return _NOT_OF_A_NAME.sub("-", plain.lower()).strip("-")


def as_name(text: str) -> str | None:
    """A text as a name of ours, such as `Shop_API` as `shop-api`; None where nothing is left of it.

    One that begins with a digit or is too long ends in a digest, so that two of them stay two.
    """
    plain = slug(text)
    if not plain:
        return None
    if plain[0].isdigit():
        plain = f"n{plain}"
    if len(plain) <= _LONGEST_NAME:
        return plain
    return f"{plain[: _LONGEST_NAME - _DIGITS - 1].rstrip('-')}-{_digest([text])}"


def _hashed(parts: list[str], hint: str) -> str:
    readable = slug(hint)[:_LONGEST_HINT].strip("-")
    return f"{readable}-{_digest(parts)}" if readable else _digest(parts)


def _digest(parts: list[str]) -> str:
    """Lengths are hashed along, so that no two lists of parts read the same."""
    text = "".join(f"{len(part)}:{part}" for part in parts)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:_DIGITS]
