import asyncio
import os
import urllib.request
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest
import pytest_asyncio
from pydantic import SecretStr

from models.deployment import HttpReadiness, Instance, ProcessDeployment
from models.traffic import Backend, EnvoyTraffic, TrafficSplit
from providers.envoy_files import EnvoyFolder
from providers.envoy_resources import make_record
from providers.envoy_store import EnvoyStore
from providers.http_metrics import HttpMetrics
from providers.prometheus_metrics import PrometheusMetrics
from records.evidence_spool import EvidenceSpool
from records.store import RecordStore
from runtime.settings import Settings
from tests.factories import SHOP
from tests.records.trails import KEY, samples
from tests.workers.dev_server import free_port
from tests.workers.eventually import eventually
from workers.wiring import Adapters, halt_instances, restore_instances


def _serving(**changes: object) -> ProcessDeployment:
    return ProcessDeployment.model_validate(
        {
            "command": ("{python}", "-m", "http.server", "{port}", "--bind", "127.0.0.1"),
            "ready": HttpReadiness(timeout=timedelta(seconds=20)),
            "drain": timedelta(seconds=1),
            **changes,
        }
    )


@dataclass
class Home:
    """A local stack's home folder with services deployed into it."""

    settings: Settings
    said: list[str] = field(default_factory=list)

    async def deploy(self, version: str, spec: ProcessDeployment) -> Instance:
        async with Adapters(self.settings) as adapters:
            (instance,) = await adapters.process_deployer.start(SHOP, version, spec, self.said.append)
        return instance

    async def running(self) -> tuple[Instance, ...]:
        async with Adapters(self.settings) as adapters:
            return await adapters.process_deployer.instances(SHOP, _serving())

    @property
    def envoy(self) -> EnvoyStore:
        return EnvoyStore(EnvoyFolder(self.settings.home / "envoy"))

    def route(self, instance: Instance) -> None:
        spec = EnvoyTraffic(listen=f"127.0.0.1:{free_port()}")
        backend = Backend(version=instance.version, addresses=(instance.address,))
        self.envoy.put(make_record(SHOP, spec, TrafficSplit(stable=instance.version), [backend]), again=False)

    def routed_to(self) -> tuple[str, ...]:
        record = self.envoy.read(SHOP)
        assert record
        return record.backends[0].addresses


@pytest_asyncio.fixture
async def home(tmp_path: Path) -> AsyncIterator[Home]:
    home = Home(Settings(home=tmp_path, envoy_admin=f"127.0.0.1:{free_port()}"))
    yield home
    await halt_instances(home.settings, home.said.append)


async def test_what_was_halted_is_restored_and_routed_to_where_it_answers_now(home: Home) -> None:
    before = await home.deploy("v1", _serving())
    home.route(before)
    await halt_instances(home.settings, home.said.append)
    assert await home.running() == ()
    await restore_instances(home.settings, home.said.append)
    (after,) = await home.running()
    assert (after.name, after.pid != before.pid) == (before.name, True)
    assert home.routed_to() == (after.address,)
    with await asyncio.to_thread(urllib.request.urlopen, f"http://{after.address}/", timeout=5) as answer:
        assert answer.status == 200


async def test_a_version_that_does_not_come_back_is_told_and_keeps_none_back(
    home: Home, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = tmp_path / "gone"
    folder.mkdir()
    await home.deploy("v1", _serving(working_directory=str(folder)))
    await home.deploy("v2", _serving())
    await halt_instances(home.settings, home.said.append)
    folder.rmdir()
    await restore_instances(home.settings, home.said.append)
    assert [instance.version for instance in await home.running()] == ["v2"]
    assert any("local/shop v1 was not restored: " in line for line in home.said)


async def test_secrets_are_taken_from_the_workers_environment(
    home: Home, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SHOP_FOLDER", str(tmp_path))
    served = (
        "import http.server as h, os; os.chdir(os.environ['SERVED']); "
        "h.test(h.SimpleHTTPRequestHandler, port=int('{port}'), bind='127.0.0.1')"
    )
    (tmp_path / "index.html").write_text("open")
    instance = await home.deploy(
        "v1", _serving(command=("{python}", "-c", served), env={"SERVED": "${env:SHOP_FOLDER}"})
    )
    with await asyncio.to_thread(urllib.request.urlopen, f"http://{instance.address}/", timeout=5) as answer:
        assert answer.read() == b"open"
    assert os.environ["SHOP_FOLDER"] not in "".join(home.said)


async def test_every_source_of_metrics_is_there_and_closed_in_the_end(tmp_path: Path) -> None:
    async with Adapters(Settings(home=tmp_path, envoy_admin=f"127.0.0.1:{free_port()}")) as adapters:
        sources = adapters.metric_sources

    assert set(sources) == {"envoy", "prometheus", "http"}
    for source in (sources["http"], sources["prometheus"]):
        assert isinstance(source, HttpMetrics | PrometheusMetrics)
        assert source._documents._http.is_closed


async def test_the_trail_of_a_watch_is_brought_to_the_records(home: Home) -> None:
    spool = EvidenceSpool(home.settings.home / "evidence")
    spool.add(KEY, samples(0, 3))  # left by a worker before

    async def nothing_waits() -> bool:
        return not spool.files()

    async with Adapters(home.settings) as adapters, RecordStore(None, home.settings.home) as store:
        adapters.evidence_log.add(KEY, samples(3, 6))
        await eventually(nothing_waits)

        assert await store.samples(KEY) == samples(0, 6)


async def test_records_that_cannot_be_opened_take_nothing_from_a_watch(home: Home) -> None:
    settings = home.settings.model_copy(update={"records_url": SecretStr("mysql://db/ops")})
    async with Adapters(settings) as adapters:
        adapters.evidence_log.add(KEY, samples(0, 3))

        assert EvidenceSpool(home.settings.home / "evidence").of(KEY) == samples(0, 3)
