import json
from pathlib import Path

import pytest
from ruamel.yaml import YAML
from typer.testing import CliRunner, Result

from models.catalog import Catalog, catalog_schema
from runtime.catalog_file import load_catalog
from starters.catalog import app

EXAMPLE = Path(__file__).parents[2] / "examples" / "shop" / "holdfast.yaml"


@pytest.fixture(autouse=True)
def _without_a_catalog_of_whoever_runs_the_tests(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HOLDFAST_CATALOG", raising=False)
    monkeypatch.chdir(tmp_path)


def run(*words: str) -> Result:
    return CliRunner().invoke(app, words)


def catalog_here(content: str = "version: 2\nservices: {}\n") -> Path:
    path = Path("holdfast.yaml")
    path.write_text(content, encoding="utf-8")
    return path


def test_check_says_that_the_example_has_no_mistakes() -> None:
    result = run("check", "--catalog", str(EXAMPLE))
    assert (result.exit_code, result.stdout) == (0, f"{EXAMPLE}: 1 service, no mistakes\n")


def test_the_shortest_catalog_on_the_page_has_no_mistakes() -> None:
    page = (EXAMPLE.parents[2] / "docs" / "catalog.md").read_text(encoding="utf-8")
    catalog_here(page.split("```yaml\n")[1].split("```")[0])
    assert run("check").exit_code == 0


def test_check_counts_services() -> None:
    text = EXAMPLE.read_text(encoding="utf-8").replace("\n  shop:\n", "\n  shop: &shop\n")
    path = catalog_here(text + '\n  second: {<<: *shop, traffic: {listen: "127.0.0.1:18081"}}\n')
    assert run("check").stdout == f"{path}: 2 services, no mistakes\n"


def test_check_notes_that_nothing_watches_where_the_old_version_is_kept_and_nothing_is_compared() -> None:
    text = EXAMPLE.read_text(encoding="utf-8")
    kept = text.replace("strategy: canary\n", "strategy: canary\n      scale_down_delay: 1h\n")
    blind = kept.replace("proof: false", "enabled: false")
    path = catalog_here(kept)
    assert run("check").stdout == f"{path}: 1 service, no mistakes\n"
    catalog_here(blind)
    result = run("check")
    assert result.exit_code == 0
    assert "shop: scale_down_delay keeps the old version, but nothing watches the new one" in result.stdout
    assert len(json.loads(run("check", "--json").stdout)["notes"]) == 1


def test_check_names_every_mistake_on_standard_error() -> None:
    catalog_here()
    result = run("check")
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.splitlines() == [
        "holdfast.yaml:1: version: found 2, allowed: 1",
        "holdfast.yaml:2: services: found an empty block, allowed: a block of names with at least one in it",
    ]


def test_check_names_mistakes_to_programs() -> None:
    catalog_here("version: 2\nservices: {}\n")
    result = run("check", "--json")
    answer = json.loads(result.stdout)
    assert result.exit_code == 2
    assert answer["ok"] is False
    assert answer["problems"][0] == {
        "line": 1,
        "column": 1,
        "key": "version",
        "message": "found 2, allowed: 1",
        "found": "2",
        "allowed": "1",
    }


def test_check_tells_programs_that_all_is_well() -> None:
    result = run("check", "--json", "--catalog", str(EXAMPLE))
    assert (result.exit_code, json.loads(result.stdout)) == (0, {"ok": True, "problems": [], "notes": []})


def test_the_environment_names_the_catalog(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOLDFAST_CATALOG", str(EXAMPLE))
    assert run("check").exit_code == 0


@pytest.mark.parametrize("words", [("check",), ("show",), ("show", "shop")])
def test_a_missing_catalog_says_what_to_do(words: tuple[str, ...]) -> None:
    result = run(*words)
    assert result.exit_code == 2
    assert result.stderr.startswith("holdfast.yaml: there is no such file; write one")


def test_schema_prints_the_schema_that_the_loader_explains_with() -> None:
    result = run("schema")
    assert (result.exit_code, json.loads(result.stdout)) == (0, catalog_schema())


def test_show_fills_in_defaults_and_reads_back_as_the_same_catalog(tmp_path: Path) -> None:
    result = run("show", "--catalog", str(EXAMPLE))
    assert result.exit_code == 0
    assert "timeout: 15s" in result.stdout
    shown = tmp_path / "shown.yaml"
    shown.write_text(result.stdout, encoding="utf-8")
    assert load_catalog(shown) == load_catalog(EXAMPLE)


def test_show_prints_json_for_programs() -> None:
    result = run("show", "shop", "--json", "--catalog", str(EXAMPLE))
    assert Catalog.model_validate_json(result.stdout) == load_catalog(EXAMPLE)


def test_show_leaves_out_other_services() -> None:
    text = EXAMPLE.read_text(encoding="utf-8").replace("\n  shop:\n", "\n  shop: &shop\n")
    catalog_here(text + '\n  second: {<<: *shop, traffic: {listen: "127.0.0.1:18081"}}\n')
    result = run("show", "second")
    assert list(YAML(typ="safe").load(result.stdout)["services"]) == ["second"]


def test_show_names_the_services_there_are() -> None:
    result = run("show", "shpo", "--catalog", str(EXAMPLE))
    assert result.exit_code == 2
    assert result.stderr == f"{EXAMPLE} has no service shpo, did you mean shop? It has: shop.\n"


def test_show_keeps_secrets_as_references(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAYMENT_TOKEN", "hunter2")
    text = EXAMPLE.read_text(encoding="utf-8")
    catalog_here(
        text.replace("      instances: 2\n", "      instances: 2\n      env: {TOKEN: '${env:PAYMENT_TOKEN}'}\n")
    )
    result = run("show")
    assert "TOKEN: ${env:PAYMENT_TOKEN}" in result.stdout
    assert "hunter2" not in result.output
