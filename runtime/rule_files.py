"""Reading Prometheus' rule files and tests of rules: valid, or every mistake in them at once."""

import json
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, JsonValue, ValidationError

from models.catalog import Catalog
from models.mistakes import MistakeError
from models.mistakes import Path as KeyPath
from models.prometheus_files import RuleFile, RuleTestFile
from runtime.catalog_file import CatalogError
from runtime.catalog_problems import Problem, in_order, problem_at, problem_of_writing, problems_of
from runtime.catalog_shape import Shape
from runtime.yaml_document import YamlDocument, YamlProblem, read_yaml

_BLOCKS_OF_TEXT = frozenset({"labels", "annotations", "exp_labels", "exp_annotations"})

_Model = TypeVar("_Model", bound=BaseModel)


class RuleFileError(CatalogError):
    """A file of rules, or of tests, that cannot be used. Its text has one line per problem."""


def load_rule_file(path: Path) -> RuleFile:
    """Raises RuleFileError and nothing else."""
    return _load(path, RuleFile)[0]


def load_rule_files(catalog: Catalog, folder: Path) -> dict[str, tuple[RuleFile, ...]]:
    """Those that each of the catalog's `alerts` names, beside the catalog. Raises RuleFileError."""
    return {name: tuple(load_rule_file(folder / file) for file in spec.files) for name, spec in catalog.alerts.items()}


class RuleTests:
    """A file of tests, in which mistakes that show only when they run can still be pointed at."""

    def __init__(self, path: Path) -> None:
        """Raises RuleFileError."""
        self.path = path
        self.file, self._document = _load(path, RuleTestFile)

    def mistake(self, where: KeyPath, error: MistakeError) -> RuleFileError:
        """A mistake in the part of the file that `where` leads to."""
        at = (*where, *error.at)
        allowed = f", allowed: {error.allowed}" if error.allowed else ""
        message = f"found {error.found}{allowed}" if error.found and error.allowed else str(error)
        problem = problem_at(self._document, at, message, found=error.found, allowed=error.allowed)
        return RuleFileError(self.path, (problem,))


def _load(path: Path, model: type[_Model]) -> tuple[_Model, YamlDocument]:
    document = _read(path)
    problems = [problem_of_writing(problem) for problem in document.problems]
    found: _Model | None = None
    if not isinstance(document.data, dict):
        keys = ", ".join(model.model_fields)
        problems.append(problem_at(document, (), f"holds no block of keys; it has the keys {keys}"))
    else:
        try:
            found = model.model_validate_json(json.dumps(_as_texts(document, document.data)), extra="forbid")
        except ValidationError as error:
            shape = Shape.of(model.model_json_schema())
            problems += problems_of(error.errors(include_url=False), document, shape)
    if problems or found is None:
        raise RuleFileError(path, in_order(problems))
    return found, document


def _as_texts(document: YamlDocument, value: JsonValue, path: KeyPath = ()) -> JsonValue:
    """With the texts of what Prometheus takes for text, however YAML reads it: `values: 0x20`, `labels: {code: 5}`."""
    if isinstance(value, dict):
        return {key: _as_texts(document, each, (*path, key)) for key, each in value.items()}
    if isinstance(value, list):
        return [_as_texts(document, each, (*path, index)) for index, each in enumerate(value)]
    is_text = path[-1:] in {("values",), ("expr",)} or (path[-2:-1] and path[-2] in _BLOCKS_OF_TEXT)
    return document.written.get(path, value) if is_text else value


def _read(path: Path) -> YamlDocument:
    try:
        return read_yaml(path)
    except YamlProblem as error:
        raise RuleFileError(path, (problem_of_writing(error),)) from error
    except FileNotFoundError as error:
        raise RuleFileError(path, (Problem(message="there is no such file"),)) from error
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise RuleFileError(path, (Problem(message=f"cannot be read: {reason}"),)) from error
