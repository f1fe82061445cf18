"""A real Alertmanager that sends every alert on at once."""

import asyncio
import json
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx

from benchmarks.alert_sending import Connection
from models.quantities import HostPort
from providers.host_ports import free_port

NAMES = ("prometheus-alertmanager", "alertmanager")
_PATIENCE_SECONDS = 30


def find_alertmanager() -> str | None:
    return next((found for name in NAMES if (found := shutil.which(name))), None)


@asynccontextmanager
async def an_alertmanager(program: str, receiver: HostPort) -> AsyncIterator[HostPort]:
    """Each alert is a group of its own, and waits for no other."""
    config = {
        "route": {
            "receiver": "sink",
            "group_by": ["..."],
            "group_wait": "0s",
            "group_interval": "1s",
            "repeat_interval": "4h",
        },
        "receivers": [{"name": "sink", "webhook_configs": [{"url": f"http://{receiver}/"}]}],
    }
    with tempfile.TemporaryDirectory(prefix="holdfast-alertmanager-") as folder:
        file = Path(folder) / "alertmanager.yml"
        file.write_text(json.dumps(config))
        address = f"127.0.0.1:{free_port()}"
        process = subprocess.Popen(  # noqa: ASYNC220 - at once
            [
                program, f"--config.file={file}", f"--storage.path={folder}/data",
                f"--web.listen-address={address}", "--cluster.listen-address=",
            ],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                while not await _is_ready(address):  # noqa: ASYNC110 - it is another process
                    await asyncio.sleep(0.1)
            yield address
        finally:
            process.terminate()
            await asyncio.to_thread(process.wait, _PATIENCE_SECONDS)


async def post(connection: Connection, alert: dict[str, object]) -> None:
    """Give it an alert as Prometheus does."""
    given = {name: alert[name] for name in ("labels", "annotations", "generatorURL")}
    status, answer = await connection.post("/api/v2/alerts", json.dumps([given]).encode())
    assert status == httpx.codes.OK, answer


async def _is_ready(address: HostPort) -> bool:
    try:
        async with httpx.AsyncClient(trust_env=False) as http:
            return (await http.get(f"http://{address}/-/ready")).is_success
    except httpx.HTTPError:
        return False
