"""What a rollout is given cannot be read in Temporal's database when settings hold keys."""

import json
from datetime import date
from pathlib import Path

import pytest

from runtime.keyring import new_entry
from tests.whole.platform import Json, Platform, Shop

SAID = ("environment", "person", "reason", "last-words")


def rewrite(shop: Shop, **deploy: object) -> None:
    catalog: Json = json.loads(shop.catalog.read_text())
    catalog["services"][shop.name]["deploy"].update(deploy)
    shop.catalog.write_text(json.dumps(catalog))


def deploy(platform: Platform, shop: Shop, version: str, word: str) -> Json:
    run = platform.order("deploy", shop, version, "--wait", "--json", "--note", f"{word}-reason")
    assert run.stdout, run.stderr
    result: Json = json.loads(run.stdout)
    return result


def roll_out(platform: Platform, word: str) -> Shop:
    """Promote a version, take one back, and fail to start one, all in this word."""
    shop = platform.shop(steps=[{"weight": "50%", "bake": "2s"}])
    rewrite(shop, env={"GREETING": f"{word}-environment"})
    platform.env["LOGNAME"] = f"{word}-person"
    assert deploy(platform, shop, "v1", word)["outcome"] == "promoted"
    with platform.traffic(shop):
        assert deploy(platform, shop, "v9", word)["outcome"] == "rolled_back"
    rewrite(shop, command=["sh", "-c", f"echo {word}-last-words; exit 1 # {{port}}"])
    assert f"{word}-last-words" in deploy(platform, shop, "v4", word)["reason"]
    assert platform.state(shop)["requested_by"].startswith(f"{word}-person@")
    return shop


def stored(home: Path) -> bytes:
    """Every byte of Temporal's database, with what is not merged into it yet."""
    files = sorted(home.glob("temporal.db*"))
    assert files
    return b"".join(file.read_bytes() for file in files)


@pytest.mark.full
@pytest.mark.slow
def test_the_database_shows_no_word_of_a_rollout_once_there_are_keys(own_platform: Platform) -> None:
    own_platform.start()
    roll_out(own_platform, "clearly")
    own_platform.kill_everything()
    for word in SAID:
        assert f"clearly-{word}".encode() in stored(own_platform.home), "what is sought must be there to be found"

    own_platform.env["HOLDFAST_ENCRYPTION_KEYS"] = new_entry(date(2026, 1, 1))
    own_platform.start()
    shop = roll_out(own_platform, "hidden")
    keyless = own_platform.run(
        "status", shop.name, "--catalog", str(shop.catalog), env={"HOLDFAST_ENCRYPTION_KEYS": ""}
    )
    assert keyless.returncode == 2
    assert "is encrypted with key '2026-01-01-" in keyless.stderr
    assert "Traceback" not in keyless.stderr
    own_platform.kill_everything()
    assert b"hidden" not in stored(own_platform.home)
