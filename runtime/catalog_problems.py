"""What is wrong with a catalog, said to the person who wrote it."""

import json
from collections.abc import Iterable, Iterator

from pydantic import JsonValue
from pydantic_core import ErrorDetails

from models.base import Payload
from models.mistakes import MistakeError, Path
from models.secrets import may_hold_secret
from runtime.catalog_shape import Shape
from runtime.yaml_document import YamlDocument, YamlProblem

_LONGEST_SHOWN = 60


class Problem(Payload):
    """One mistake. Line and column count from 1; they are None for what concerns the file as a whole."""

    line: int | None = None
    column: int | None = None
    key: str = ""
    message: str
    found: str | None = None
    allowed: str | None = None


def problem_at(
    document: YamlDocument, path: Path, message: str, *, found: str | None = None, allowed: str | None = None
) -> Problem:
    """A problem with the value at `path`, or with the block that should hold it."""
    position = document.position(path)
    return Problem(
        line=position.line, column=position.column, key=key_text(path), message=message, found=found, allowed=allowed
    )


def problems_of(errors: Iterable[ErrorDetails], document: YamlDocument, root: Shape) -> Iterator[Problem]:
    """Each mistake once: what pydantic says in consequence of a mistake that it also says itself is left out."""
    located = [(error, *_locate(error, root)) for error in errors]
    misspelt = {(*path[:-1], _meant(path, shape)) for error, path, shape in located if _is_unknown_key(error)}
    for error, path, shape in located:
        follows_from_spelling = error["type"] == "missing" and path in misspelt
        follows_from_its_items = error["type"] == "too_short" and bool(error["input"])
        if not follows_from_spelling and not follows_from_its_items:
            yield _problem(error, path, shape, document)


def in_order(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """As they stand in the file; those of the whole file first."""
    return tuple(sorted(problems, key=lambda problem: (problem.line or 0, problem.column or 0)))


def problem_of_writing(problem: YamlProblem) -> Problem:
    """What cannot be read as YAML, or not as what JSON could hold."""
    position = problem.position
    return Problem(
        line=position.line if position else None,
        column=position.column if position else None,
        key=key_text(problem.path),
        message=problem.message,
    )


def key_text(path: Path) -> str:
    """Write a path as people point at it: `services.shop.rollout.steps[0].weight`."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{_key_part(part)}" for part in path)
    return text.removeprefix(".")


def _key_part(part: str) -> str:
    return part if part.replace("-", "").replace("_", "").isalnum() else json.dumps(part)


def _locate(error: ErrorDetails, root: Shape) -> tuple[Path, Shape]:
    """The path of what is wrong and its shape; for an unknown key the shape of the block that does not know it."""
    if not _is_unknown_key(error):
        return root.follow(error["loc"])
    path, shape = root.follow(error["loc"][:-1])
    return (*path, error["loc"][-1]), shape


def _is_unknown_key(error: ErrorDetails) -> bool:
    return error["type"] == "extra_forbidden"


def _meant(path: Path, shape: Shape) -> str | None:
    return shape.closest(str(path[-1]))


def _problem(error: ErrorDetails, path: Path, shape: Shape, document: YamlDocument) -> Problem:
    value: JsonValue = error["input"]
    cause = error.get("ctx", {}).get("error")
    match error["type"]:
        case "extra_forbidden":
            problem = _unknown_key(path, shape, document)
        case "missing":
            problem = _missing(path, shape.allowed(), document)
        case "union_tag_not_found" if isinstance(value, dict):
            problem = _missing((*path, shape.tag_key), shape.tags(), document)
        case "union_tag_invalid" if isinstance(value, dict):
            problem = _not_allowed(value.get(shape.tag_key), (*path, shape.tag_key), shape.tags(), document)
        case "value_error" if isinstance(cause, MistakeError) and cause.allowed:
            problem = _not_allowed(value, (*path, *cause.at), cause.allowed, document, found=cause.found)
        case "value_error":
            at = cause.at if isinstance(cause, MistakeError) else ()
            problem = problem_at(document, (*path, *at), str(cause))
        case _:
            problem = _not_allowed(value, path, shape.allowed() or error["msg"], document)
    return problem


def _unknown_key(path: Path, shape: Shape, document: YamlDocument) -> Problem:
    meant, keys = _meant(path, shape), ", ".join(shape.keys)
    message = f"unknown key, did you mean {meant}? Allowed: {keys}" if meant else f"unknown key, allowed: {keys}"
    return problem_at(document, path, message, found=str(path[-1]), allowed=keys)


def _missing(path: Path, allowed: str, document: YamlDocument) -> Problem:
    return problem_at(document, path, f"missing, allowed: {allowed}", allowed=allowed)


def _not_allowed(
    value: JsonValue, path: Path, allowed: str, document: YamlDocument, *, found: str | None = None
) -> Problem:
    found = found or _shown(value, path)
    return problem_at(document, path, f"found {found}, allowed: {allowed}", found=found, allowed=allowed)


def _shown(value: JsonValue, path: Path) -> str:
    """A value as it stands in the file, shortened; never one that may hold a secret."""
    if isinstance(value, dict):
        return "a block of keys" if value else "an empty block"
    if isinstance(value, list):
        return "a list" if value else "an empty list"
    if value is None:
        return "nothing"
    if may_hold_secret(path):
        return "text" if isinstance(value, str) else "true or false" if isinstance(value, bool) else "a number"
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}..."
