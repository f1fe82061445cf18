"""Reading `holdfast.yaml`: a valid catalog, or every mistake in it at once."""

import json
from pathlib import Path

from pydantic import ValidationError

from models.catalog import Catalog, Service, catalog_schema
from runtime.catalog_problems import Problem, in_order, problem_at, problem_of_writing, problems_of
from runtime.catalog_secrets import secret_problems
from runtime.catalog_shape import Shape
from runtime.yaml_document import YamlDocument, YamlProblem, read_yaml


class CatalogError(Exception):
    """A catalog that cannot be used. Its text has one line per problem, in the order of the file."""

    def __init__(self, path: Path, problems: tuple[Problem, ...]) -> None:
        super().__init__("\n".join(_line(path, problem) for problem in problems))
        self.path = path
        self.problems = problems


def load_catalog(path: Path) -> Catalog:
    """Read and check a catalog; working directories become absolute. Raises CatalogError and nothing else."""
    document = _read(path)
    problems = [problem_of_writing(problem) for problem in document.problems]
    # What could not be read is not there for pydantic, which would call it missing.
    unreadable = {(problem.line, problem.key) for problem in problems}
    problems += secret_problems(document)
    catalog = None
    if not isinstance(document.data, dict):
        problems.append(problem_at(document, (), _not_a_mapping(document)))
    else:
        try:
            # As JSON, which is what people write: there a bare number is no percentage, as it is in our own code.
            catalog = Catalog.model_validate_json(json.dumps(document.data), extra="forbid")
        except ValidationError as error:
            found = problems_of(error.errors(include_url=False), document, Shape.of(catalog_schema()))
            problems += [problem for problem in found if (problem.line, problem.key) not in unreadable]
    if problems or catalog is None:
        raise CatalogError(path, in_order(problems))
    return _with_absolute_folders(catalog, path.absolute().parent)


def _read(path: Path) -> YamlDocument:
    try:
        return read_yaml(path)
    except YamlProblem as error:
        raise CatalogError(path, (problem_of_writing(error),)) from error
    except FileNotFoundError as error:
        message = "there is no such file; write one as docs/catalog.md shows, or name another with --catalog"
        raise CatalogError(path, (Problem(message=message),)) from error
    except IsADirectoryError as error:
        raise CatalogError(path, (Problem(message="is a folder; name the file in it with --catalog"),)) from error
    except (OSError, ValueError) as error:
        # ValueError: a path with a NUL in it.
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise CatalogError(path, (Problem(message=f"cannot be read: {reason}"),)) from error


def _not_a_mapping(document: YamlDocument) -> str:
    keys = ", ".join(Catalog.model_fields)
    if document.data is None:
        return f"is empty; a catalog has the keys {keys}"
    found = "a list" if isinstance(document.data, list) else "a single value"
    return f"found {found}; a catalog is a block with the keys {keys}"


def _line(path: Path, problem: Problem) -> str:
    place = f"{path}:{problem.line}" if problem.line else f"{path}"
    return f"{place}: {problem.key}: {problem.message}" if problem.key else f"{place}: {problem.message}"


def _with_absolute_folders(catalog: Catalog, folder: Path) -> Catalog:
    services = {name: _with_absolute_folder(service, folder) for name, service in catalog.services.items()}
    return catalog.model_copy(update={"services": services})


def _with_absolute_folder(service: Service, folder: Path) -> Service:
    directory = str((folder / service.deploy.working_directory).resolve())
    return service.model_copy(update={"deploy": service.deploy.model_copy(update={"working_directory": directory})})
