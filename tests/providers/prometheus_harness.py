"""A real Prometheus that scrapes a few times a second."""

import shutil
import subprocess
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from ruamel.yaml import YAML

from models.quantities import HostPort
from tests.providers.envoy_harness import eventually, free_address


@asynccontextmanager
async def running_prometheus(folder: Path, targets: Mapping[HostPort, str], past: str = "") -> AsyncIterator[str]:
    """Yield where it answers. `targets` are addresses, each with the path that it shows its metrics at; `past` is what
    it remembers, in the format of OpenMetrics.
    """
    program = shutil.which("prometheus")
    if program is None:
        pytest.skip("prometheus is not installed; Debian's package prometheus has it")
    folder.mkdir()
    if past:
        _remembered(folder, past)
    jobs = [
        {"job_name": f"job-{number}", "metrics_path": path, "static_configs": [{"targets": [address]}]}
        for number, (address, path) in enumerate(targets.items())
    ]
    config = {"global": {"scrape_interval": "200ms", "scrape_timeout": "200ms"}, "scrape_configs": jobs}
    with (folder / "prometheus.yml").open("w") as file:
        YAML().dump(config, file)
    address = free_address()
    flags = (f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data")
    with (folder / "prometheus.log").open("wb") as log:
        process = subprocess.Popen([program, *flags, f"--web.listen-address={address}"], stdout=log, stderr=log)
    try:
        async with httpx.AsyncClient(trust_env=False) as http:
            await eventually(lambda: _ready(http, address), "Prometheus is ready", within=60)
        yield f"http://{address}"
    finally:
        process.terminate()
        process.wait(timeout=30)


async def _ready(http: httpx.AsyncClient, address: HostPort) -> bool:
    try:
        return (await http.get(f"http://{address}/-/ready")).status_code == httpx.codes.OK
    except httpx.TransportError:
        return False


def _remembered(folder: Path, past: str) -> None:
    (folder / "past.txt").write_text(past)
    backfill = ["promtool", "tsdb", "create-blocks-from", "openmetrics", str(folder / "past.txt"), str(folder / "data")]
    subprocess.run(backfill, check=True, capture_output=True, timeout=120)
