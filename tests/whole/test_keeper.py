"""`holdfast keeper`, as people and supervisors run it."""

import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil

from tests.whole.platform import HOLDFAST, ROOT, environment, free_port, until

SMALL_MIB = 80


@contextmanager
def keeper(folder: Path, **env: str) -> "Iterator[subprocess.Popen[str]]":
    process = subprocess.Popen(
        [*HOLDFAST, "keeper"],
        cwd=ROOT, env=environment(folder, **env), stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def is_ready(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/readyz", trust_env=False).is_success
    except httpx.TransportError:
        return False


def test_it_serves_is_small_and_leaves_when_told_to(tmp_path: Path) -> None:
    port = free_port()
    with keeper(tmp_path, HOLDFAST_ENVOY_ADMIN="127.0.0.1:9", HOLDFAST_KEEPER_HEALTH_PORT=str(port)) as process:
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
    with keeper(tmp_path) as process:
        _, said = process.communicate(timeout=20)

    assert process.returncode == 1
    assert len(said.splitlines()) == 1
    assert "Envoy's admin interface is not known" in said
    assert "HOLDFAST_ENVOY_ADMIN" in said
