import sys
from pathlib import Path

import httpx

from runtime.catalog_file import load_catalog
from tests.examples.programs import REPOSITORY, address_of, running

CATALOG = REPOSITORY / "examples" / "shop" / "holdfast.yaml"


def test_the_example_starts_the_shop_from_the_repository() -> None:
    deploy = load_catalog(CATALOG).services["shop"].deploy
    assert Path(deploy.working_directory) == REPOSITORY.resolve()
    filled = [part.format(python=sys.executable, port=0, version="v2", instance="a") for part in deploy.command]
    with running(*filled[1:]) as program:
        assert httpx.get(address_of(program) + deploy.ready.path).json()["version"] == "v2"


def test_the_example_teaches_a_reference_that_is_understood(tmp_path: Path) -> None:
    text = CATALOG.read_text(encoding="utf-8")
    taught = text.replace("# env:", "env:").replace("#   PAYMENT_TOKEN:", "  PAYMENT_TOKEN:")
    copy = tmp_path / "holdfast.yaml"
    copy.write_text(taught, encoding="utf-8")
    assert load_catalog(copy).services["shop"].deploy.env == {"PAYMENT_TOKEN": "${env:PAYMENT_TOKEN}"}
