"""Secrets that stand in a catalog, and references to secrets that would not be followed."""

from collections.abc import Iterator

from pydantic import JsonValue

from models.mistakes import Path
from models.secrets import (
    SECRET_FORMS,
    follows_references,
    looks_like_reference,
    names_a_secret,
    parse_secret_text,
)
from runtime.catalog_problems import Problem, problem_at
from runtime.yaml_document import YamlDocument


def secret_problems(document: YamlDocument) -> Iterator[Problem]:
    """What is said names keys and references, never the text around them: it may be the secret."""
    for path, text in _texts(document.data, ()):
        if follows_references(path):
            yield from _problems_of_variable(document, path, text)
        elif looks_like_reference(text):
            yield problem_at(
                document,
                path,
                "secrets are looked up under env, in the token of metrics, in the secret of a target or under gateway "
                "only, here the text stays as it is",
            )


def _problems_of_variable(document: YamlDocument, path: Path, text: str) -> Iterator[Problem]:
    try:
        references = parse_secret_text(text).references
    except ValueError as error:
        yield problem_at(document, path, str(error), allowed=SECRET_FORMS)
        return
    if text and not references and names_a_secret(str(path[-1])):
        yield problem_at(
            document, path, f"secrets never stand in the catalog; write {SECRET_FORMS}", allowed=SECRET_FORMS
        )


def _texts(value: JsonValue, path: Path) -> Iterator[tuple[Path, str]]:
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _texts(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _texts(item, (*path, index))
