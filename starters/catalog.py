"""`holdfast catalog`: check the catalog, print its schema, show what it amounts to."""

import difflib
import sys
from pathlib import Path
from typing import Annotated

import typer
from ruamel.yaml import YAML

from analysis.afterwards import unwatched
from models.catalog import Catalog, catalog_schema
from runtime.catalog_file import CatalogError, load_catalog
from runtime.settings import load_settings
from starters.exits import Exit
from starters.options import CatalogOption, JsonOption
from starters.output import print_json

_LINE_WIDTH = 120

app = typer.Typer(help="Check, describe and show the catalog.", no_args_is_help=True)


@app.command()
def check(catalog: CatalogOption = None, as_json: JsonOption = False) -> None:
    """Check the catalog and name every mistake in it at once; exit code 2 if there is one. A note is no mistake."""
    path = _path(catalog)
    try:
        found = load_catalog(path)
    except CatalogError as error:
        if as_json:
            print_json({"ok": False, "problems": [problem.model_dump(mode="json") for problem in error.problems]})
        else:
            typer.echo(str(error), err=True)
        raise typer.Exit(Exit.BAD_INPUT) from error
    notes = [f"{name}: {note}" for name, service in found.services.items() if (note := unwatched(service))]
    if as_json:
        print_json({"ok": True, "problems": [], "notes": notes})
    else:
        count = len(found.services)
        typer.echo(f"{path}: {count} {'service' if count == 1 else 'services'}, no mistakes")
        for note in notes:
            typer.echo(note)


@app.command()
def schema() -> None:
    """Print the catalog's JSON Schema, by which editors complete and check it."""
    print_json(catalog_schema())


@app.command()
def show(
    service: Annotated[str | None, typer.Argument(help="one service; all if left out")] = None,
    catalog: CatalogOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the catalog with every default filled in. Secrets are not looked up: they are shown as references."""
    path = _path(catalog)
    try:
        found = load_catalog(path)
    except CatalogError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(Exit.BAD_INPUT) from error
    if service is not None:
        found = _only(found, service, path)
    if as_json:
        print_json(found)
    else:
        _print_yaml(found)


def _path(given: Path | None) -> Path:
    return given or load_settings().catalog


def _only(catalog: Catalog, service: str, path: Path) -> Catalog:
    if service not in catalog.services:
        closest = difflib.get_close_matches(service, catalog.services, n=1)
        hint = f", did you mean {closest[0]}?" if closest else "."
        typer.echo(f"{path} has no service {service}{hint} It has: {', '.join(catalog.services)}.", err=True)
        raise typer.Exit(Exit.BAD_INPUT)
    return catalog.model_copy(update={"services": {service: catalog.services[service]}})


def _print_yaml(catalog: Catalog) -> None:
    yaml = YAML(typ="rt")
    yaml.width = _LINE_WIDTH
    yaml.dump(catalog.model_dump(mode="json"), sys.stdout)
