"""`holdfast keeper`, as people and supervisors run it."""

import signal
from pathlib import Path

import httpx
import psutil

from tests.whole.platform import environment, free_port, under_way, until

SMALL_MIB = 80


def is_ready(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/readyz", trust_env=False).is_success
    except httpx.TransportError:
        return False


def test_it_serves_is_small_and_leaves_when_told_to(tmp_path: Path) -> None:
    port = free_port()
    env = environment(tmp_path, HOLDFAST_ENVOY_ADMIN="127.0.0.1:9", HOLDFAST_KEEPER_HEALTH_PORT=str(port))
    with under_way("keeper", env=env) as process:
        until(lambda: is_ready(port), "the keeper to be ready")
        report = httpx.get(f"http://127.0.0.1:{port}/readyz", trust_env=False).json()
        memory = psutil.Process(process.pid).memory_info().rss / 2**20
        process.send_signal(signal.SIGTERM)
        _, log = process.communicate(timeout=20)

    assert report == {
        "ok": True, "text": "Leases that nobody renews are carried out.",
        "state": "serving", "held": 0, "lapsed": 0, "carried_out": 0, "troubles": [],
    }  # fmt: skip
    assert process.returncode == 0
    assert memory < SMALL_MIB, "it imports more than it needs"
    assert '"message": "Keeper stopped"' in log


def test_without_knowing_where_envoy_is_it_leaves_with_a_sentence(tmp_path: Path) -> None:
    with under_way("keeper", env=environment(tmp_path)) as process:
        _, said = process.communicate(timeout=20)

    assert process.returncode == 1
    assert len(said.splitlines()) == 1
    assert "Envoy's admin interface is not known" in said
    assert "HOLDFAST_ENVOY_ADMIN" in said
