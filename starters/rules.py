"""`holdfast rules`: alert rules of one's own, checked, tested, and evaluated."""

from pathlib import Path
from typing import Annotated

import typer

from runtime.catalog_file import CatalogError
from runtime.rule_files import load_rule_file
from runtime.settings import load_settings
from starters import rule_orders
from starters.exits import Exit
from starters.options import CatalogOption, JsonOption
from starters.output import print_json
from starters.rule_sets import sets_of
from starters.rule_tests import TestsRun, run_tests

app = typer.Typer(help="Alert rules of your own: check, test and evaluate them.", no_args_is_help=True)

SomeFiles = Annotated[
    list[Path] | None, typer.Argument(metavar="FILE", help="rule files of Prometheus; else those of the catalog")
]


@app.command()
def check(files: SomeFiles = None, catalog: CatalogOption = None, as_json: JsonOption = False) -> None:
    """Check rule files, or all rules of the catalog, and name every mistake; exit code 2 if there is one."""
    try:
        counts = _counted(files) if files else _of_catalog(catalog or load_settings().catalog)
    except CatalogError as error:
        if as_json:
            print_json({"ok": False, "problems": _problems(error)})
        else:
            typer.echo(str(error), err=True)
        raise typer.Exit(Exit.BAD_INPUT) from error
    if as_json:
        print_json({"ok": True, "problems": [], "rules": counts})
        return
    for name, count in counts.items():
        typer.echo(f"{name}: {count} {'rule' if count == 1 else 'rules'}, no mistakes")
    if not counts:
        typer.echo("There are no alert rules.")


@app.command(name="test")
def run(
    files: Annotated[list[Path], typer.Argument(metavar="FILE", help="tests: data, and what is to fire when")],
    as_json: JsonOption = False,
) -> None:
    """Run tests of rules; exit code 1 if an alert fires that should not or the other way round, 2 for mistakes."""
    runs: list[TestsRun] = []
    for file in files:
        try:
            runs.append(run_tests(file))
        except CatalogError as error:
            if as_json:
                print_json({"ok": False, "problems": _problems(error)})
            else:
                typer.echo(str(error), err=True)
            raise typer.Exit(Exit.BAD_INPUT) from error
    failed = any(each.failures for each in runs)
    if as_json:
        print_json({"ok": not failed, "files": [each.model_dump(mode="json") for each in runs]})
    else:
        for each in runs:
            _tell(each)
    if failed:
        raise typer.Exit(Exit.NEGATIVE)


def _tell(tested: TestsRun) -> None:
    for failure in tested.failures:
        typer.echo(f"{tested.file}: {failure}")
    met = tested.expectations - len(tested.failures)
    tests = f"{tested.tests} {'test' if tested.tests == 1 else 'tests'}"
    typer.echo(f"{tested.file}: {tests}, {met} of {tested.expectations} expectations met")


def _problems(error: CatalogError) -> list[dict[str, object]]:
    return [{"file": str(error.path), **problem.model_dump(mode="json")} for problem in error.problems]


def _counted(files: list[Path]) -> dict[str, int]:
    return {str(file): sum(len(group.rules) for group in load_rule_file(file).groups) for file in files}


def _of_catalog(path: Path) -> dict[str, int]:
    return {name: len(rules.rules) for name, rules in sets_of(path).items()}


for command in rule_orders.app.registered_commands:
    app.registered_commands.append(command)
