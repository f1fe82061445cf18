"""EnvoyRouter when Envoy is killed, absent or refuses, and when a process died between two writes."""

import asyncio
import json
import re
import socket
from pathlib import Path

import pytest

from models.quantities import host_of, port_of
from models.traffic import TrafficSplit
from providers.envoy_files import EnvoyFolder
from providers.envoy_resources import make_record
from providers.envoy_router import EnvoyRouter
from providers.envoy_store import EnvoyStore
from providers.errors import ProviderError
from tests.providers.envoy_harness import Envoy, Site, Upstream, running_site


async def test_a_killed_envoy_serves_the_same_split_when_it_is_back(site: Site) -> None:
    await site.start("v1")
    await site.start("v2")
    await site.split("v1", "v2", 100.0)
    site.envoy.kill()

    await site.envoy.start()

    assert await site.send(20) == {"v2": 20}


async def test_what_was_asked_while_envoy_was_down_is_served_once_it_is_back(site: Site) -> None:
    await site.start("v1")
    await site.start("v2")
    await site.split("v1", "v2", 100.0)
    site.envoy.kill()

    with pytest.raises(ProviderError) as failure:
        await site.split("v1")

    assert failure.value.retryable
    assert re.search(rf"{site.envoy.admin} does not answer .*start it with `holdfast up`", str(failure.value))
    assert "Envoy serves it once it runs" in str(failure.value)
    await site.envoy.start()
    assert await site.send(20) == {"v1": 20}
    assert await site.envoy.router.current(site.ref, site.spec) == TrafficSplit(stable="v1")


async def test_a_service_removed_while_envoy_was_down_stays_away(site: Site) -> None:
    await site.start("v1")
    await site.split("v1")
    site.envoy.kill()
    with pytest.raises(ProviderError, match="does not answer"):
        await site.envoy.router.remove(site.ref, site.spec)

    await site.envoy.start()

    with pytest.raises(OSError, match="Connect call failed"):
        await asyncio.open_connection(host_of(site.spec.listen), port_of(site.spec.listen))


async def test_a_taken_address_is_named_and_not_tried_again(site: Site) -> None:
    await site.start("v1")
    with socket.create_server((host_of(site.spec.listen), port_of(site.spec.listen))):
        with pytest.raises(ProviderError, match="Address already in use") as refusal:
            await site.split("v1")

        assert not refusal.value.retryable
        assert site.spec.listen in str(refusal.value)
        assert "traffic.listen" in str(refusal.value)

    await site.split("v1")
    assert await site.send(10) == {"v1": 10}


async def test_one_service_on_a_taken_address_does_not_hinder_another(site: Site, envoy: Envoy) -> None:
    async with running_site(envoy, site.ref.model_copy(update={"service": "cart"})) as cart:
        await site.start("v1")
        await cart.start("v1")
        with socket.create_server((host_of(cart.spec.listen), port_of(cart.spec.listen))):
            with pytest.raises(ProviderError, match="refuses to listen"):
                await cart.split("v1")

            await site.split("v1")

        assert await site.send(10) == {"v1": 10}
        await envoy.router.remove(cart.ref, cart.spec)
        assert await site.send(10) == {"v1": 10}


async def test_an_envoy_that_reads_another_folder_is_not_believed(site: Site, tmp_path: Path) -> None:
    await site.start("v1")
    astray = EnvoyRouter(tmp_path / "elsewhere", site.envoy.admin)

    with pytest.raises(ProviderError, match=r"it shows no cluster local\.shop\.v1.*reads another folder") as failure:
        await astray.apply(site.ref, site.spec, TrafficSplit(stable="v1"), site.backends())

    assert failure.value.retryable
    await astray.aclose()


async def test_a_name_to_listen_on_is_refused_with_what_to_write(site: Site) -> None:
    await site.start("v1")
    named = site.spec.model_copy(update={"listen": "shop.example:8080"})

    with pytest.raises(ProviderError, match=r"binds IP addresses only.*127\.0\.0\.1:8080") as refusal:
        await site.envoy.router.apply(site.ref, named, TrafficSplit(stable="v1"), site.backends())

    assert not refusal.value.retryable


@pytest.mark.parametrize("crash", ["before_clusters", "before_routes", "before_prune", "within_a_write"])
async def test_a_crash_between_two_writes_heals_on_the_next_call(site: Site, crash: str) -> None:
    await site.start("v1")
    await site.start("v2")
    await site.split("v1")
    store = EnvoyStore(EnvoyFolder(site.envoy.folder))
    split = TrafficSplit(stable="v1", candidate="v2", weight=100.0)
    record = make_record(site.ref, site.spec, split, site.backends())
    match crash:
        case "before_clusters":
            record_file = site.envoy.folder / "services" / "local.shop.json"
            record_file.write_text(record.model_dump_json())
        case "before_routes":
            store.put(record, again=False)
        case "before_prune":
            store.put(record, again=False)
            store.lead(record, again=False)
        case _:
            for name in (
                "cds.json",
                "lds.json",
                "routes/local.shop.json",
                "endpoints/local.shop/v1.json",
                "services/local.shop.json",
            ):
                (site.envoy.folder / f"{name}.tmp").write_text('{"resources": [{"@ty')

    await site.split("v2")

    assert await site.send(20) == {"v2": 20}
    listed = json.loads((site.envoy.folder / "cds.json").read_text())["resources"]
    assert [cluster["name"] for cluster in listed] == ["local.shop.v2"]
    assert [path.name for path in site.envoy.folder.glob("endpoints/*/*.json")] == ["v2.json"]


async def test_a_crash_between_two_writes_of_a_removal_heals_when_it_is_repeated(site: Site) -> None:
    await site.start("v1")
    await site.split("v1")
    EnvoyStore(EnvoyFolder(site.envoy.folder)).forget(site.ref, again=False)

    await site.envoy.router.remove(site.ref, site.spec)

    assert json.loads((site.envoy.folder / "cds.json").read_text())["resources"] == []
    assert not (site.envoy.folder / "routes" / "local.shop.json").exists()


async def test_a_damaged_record_is_named_and_changes_nothing(site: Site) -> None:
    await site.start("v1")
    await site.split("v1")
    (site.envoy.folder / "services" / "local.cart.json").write_text("{")

    with pytest.raises(ProviderError, match=r"local\.cart\.json does not hold") as refusal:
        await site.split("v1")

    assert not refusal.value.retryable
    assert await site.send(10) == {"v1": 10}


async def test_instances_that_came_back_on_other_ports_are_served_after_a_restart(site: Site) -> None:
    await site.start("v1")
    await site.start("v2")
    split = await site.split("v1", "v2", 100.0)
    site.envoy.kill()
    reborn = await Upstream("v2").start()

    await site.envoy.router.refresh(site.ref, "v2", [reborn.address])
    await site.upstreams["v2"][0].stop()
    await site.envoy.start()

    assert await site.send(20) == {"v2": 20}
    assert reborn.served == 20
    assert await site.envoy.router.current(site.ref, site.spec) == split
    await reborn.stop()


async def test_refreshing_a_service_without_traffic_does_nothing(site: Site) -> None:
    await site.envoy.router.refresh(site.ref, "v1", ["127.0.0.1:1"])

    assert await site.envoy.router.current(site.ref, site.spec) is None
