"""What goes wrong is said clearly, and leaves a clean state."""

import json
import re
import signal
import socket
from pathlib import Path

import pytest

from tests.whole.platform import Platform, free_port


def test_a_version_that_never_becomes_ready(platform: Platform) -> None:
    shop = platform.shop()
    platform.deploy(shop, "v1")
    result = platform.deploy(shop, "v8", expect=1)

    assert result["outcome"] == "rolled_back"
    assert "ready" in result["reason"]
    assert "8s" in result["reason"]
    assert result["exposed_at"] is None
    assert platform.instances(shop.name) == {"v1": 2}


def test_a_version_that_crashes_at_its_start_shows_its_own_last_words(platform: Platform) -> None:
    shop = platform.shop()
    result = platform.deploy(shop, "v5", expect=1)

    assert result["outcome"] == "rolled_back"
    assert "exit" in result["reason"]
    assert "Traceback" in result["reason"] or "Error" in result["reason"]
    assert platform.instances(shop.name) == {}


def test_a_listening_port_that_is_taken(platform: Platform) -> None:
    shop = platform.shop()
    with socket.socket() as other:
        other.bind(("127.0.0.1", shop.port))
        other.listen()
        result = platform.deploy(shop, "v1", expect=1)

    assert result["outcome"] == "rolled_back"
    assert str(shop.port) in result["reason"]
    assert platform.instances(shop.name) == {}
    assert platform.deploy(shop, "v1")["outcome"] == "promoted"


@pytest.mark.full
def test_envoy_does_not_answer(platform: Platform) -> None:
    shop = platform.shop()
    envoy = platform.part("bootstrap.json")
    envoy.send_signal(signal.SIGSTOP)
    try:
        result = platform.deploy(shop, "v1", expect=1)
    finally:
        envoy.send_signal(signal.SIGCONT)

    assert result["outcome"] == "failed"
    assert "Envoy" in result["reason"]
    assert "holdfast up" in result["reason"]
    assert platform.instances(shop.name) == {}


def test_a_catalog_with_ten_mistakes_names_each_with_its_line(tmp_path: Path) -> None:
    catalog = tmp_path / "holdfast.yaml"
    catalog.write_text(
        """version: 2
environment: Production
services:
  shop:
    deploy:
      command: [run]
      instances: 0
      drain: 5
    traffic:
      listen: nowhere
    rollout:
      steps:
        - {weight: 0.05, bake: 10}
      judge:
        min_request: 5
        rules: [{metric: error_rat, at_most: 5%}]
"""
    )
    run = Platform(tmp_path).run("deploy", "shop", "v2", "--catalog", str(catalog))
    lines = {int(line) for line in re.findall(r"holdfast\.yaml:(\d+)", run.stderr)}

    assert run.returncode == 2
    assert lines == {1, 2, 6, 7, 8, 10, 13, 15, 16}
    assert len(re.findall(r"holdfast\.yaml:13", run.stderr)) == 2


def test_a_service_that_the_catalog_does_not_have(platform: Platform) -> None:
    shop = platform.shop()
    run = platform.run("deploy", shop.name[:-1], "v2", "--catalog", str(shop.catalog))

    assert run.returncode == 2
    assert f"did you mean {shop.name}?" in run.stderr


def test_a_version_that_is_none(platform: Platform) -> None:
    shop = platform.shop()
    run = platform.run("deploy", shop.name, "../v2", "--catalog", str(shop.catalog))

    assert run.returncode == 2
    assert "is not a version" in run.stderr


def test_temporal_is_not_there(tmp_path: Path) -> None:
    alone = Platform(tmp_path)
    shop = alone.shop()
    nowhere = {"HOLDFAST_TEMPORAL_ADDRESS": f"127.0.0.1:{free_port()}"}
    catalog = ("--catalog", str(shop.catalog))
    runs = [
        alone.run(*command, *catalog, env=nowhere)
        for command in (("deploy", shop.name, "v1"), ("status", shop.name), ("abort", shop.name))
    ]
    doctor = alone.run("doctor", "--json", *catalog, env=nowhere)

    assert [run.returncode for run in runs] == [4, 4, 4]
    assert all("holdfast up" in run.stderr and "Traceback" not in run.stderr for run in runs)
    assert doctor.returncode == 1
    missing = [check for check in json.loads(doctor.stdout)["checks"] if check["health"] == "missing"]
    assert all(check["next_step"] for check in missing)


def test_no_rollout_to_tell_anything(platform: Platform) -> None:
    shop = platform.shop()

    assert platform.order("abort", shop).returncode == 3
    never = platform.order("status", shop)
    assert never.returncode == 3
    assert "was never rolled out" in never.stderr


def test_everything_in_order(platform: Platform) -> None:
    shop = platform.shop()
    doctor = platform.run("doctor", "--catalog", str(shop.catalog))

    assert doctor.returncode == 0, doctor.stdout
    assert "Everything is there." in doctor.stdout
