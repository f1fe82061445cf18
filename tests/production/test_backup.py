"""A backup brings back what was under way."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.postgres import ADMIN, PASSWORD, postgres_programs
from tests.production.platform import RECORDS, Production
from tests.whole.platform import ROOT, until

pytestmark = pytest.mark.slow


def script(production: Production, name: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    env = {
        "PATH": f"{postgres_programs()}:{os.environ['PATH']}",
        "PGHOST": "127.0.0.1",
        "PGPORT": str(production.temporal.postgres.port),
        "PGUSER": ADMIN,
        "PGPASSWORD": PASSWORD,
        "HOLDFAST_RECORDS_DATABASE": RECORDS,
    }
    return subprocess.run(
        [ROOT / "production" / name, folder], env=env, capture_output=True, text=True, timeout=120, check=False
    )


@pytest.mark.full
def test_a_rollout_under_way_goes_on_after_the_databases_were_lost(production: Production, tmp_path: Path) -> None:
    shop = production.shop(steps=[{"weight": "50%", "bake": "1s", "approval": True}], min_requests=1)
    production.deploy(shop, "v1")
    with production.traffic(shop, 10):
        production.run("deploy", shop.name, "v2", "--catalog", str(shop.catalog))
        until(lambda: bool(production.state(shop).get("question")), "the question", within=60)
        backup = script(production, "backup.sh", tmp_path)
        production.temporal.kill_server()
        restored = script(production, "restore.sh", Path(backup.stdout.strip()))
        production.temporal.start_server()
        until(lambda: production.order("approve", shop).returncode == 0, "the order to be heard", within=60)
        until(lambda: production.state(shop).get("phase") == "promoted", "the rollout to end", within=60)

    assert backup.returncode == 0, backup.stderr
    assert restored.returncode == 0, restored.stderr
    assert production.instances(shop.name) == {"v2": 2}
    history = production.run("history", shop.name, "--json", "--catalog", str(shop.catalog))
    assert '"v1"' in history.stdout, history.stderr


def test_half_a_backup_changes_nothing(production: Production, tmp_path: Path) -> None:
    whole = Path(script(production, "backup.sh", tmp_path).stdout.strip())
    (whole / "temporal_visibility.dump").unlink()
    refused = script(production, "restore.sh", whole)

    assert refused.returncode == 1
    assert "no backup of temporal_visibility" in refused.stderr
    assert production.run("workers", "drained").returncode in {0, 3}, "Temporal does not answer"
