"""EnvoyRouter against a real Envoy: what users of the service meet while traffic is moved."""

import asyncio
import itertools
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from models.ids import ServiceRef
from models.quantities import port_of
from models.traffic import Backend, TrafficSplit
from providers.envoy_admin import EnvoyAdmin
from providers.envoy_files import locked
from providers.envoy_router import EnvoyRouter
from tests.providers.envoy_harness import Envoy, Site, eventually, free_address, running_site
from tests.providers.router_contract import RouterContract

CART = ServiceRef(environment="local", service="cart")


class EnvoyStage:
    def __init__(self, site: Site, absent: EnvoyRouter) -> None:
        self._site = site
        self.router = site.envoy.router
        self.absent = absent
        self.ref = site.ref
        self.spec = site.spec

    async def start(self, version: str) -> Backend:
        upstream = await self._site.start(version)
        return Backend(version=version, addresses=(upstream.address,))

    async def send(self, count: int) -> Counter[str]:
        return await self._site.send(count)


class TestContract(RouterContract):
    @pytest.fixture
    async def stage(self, site: Site, tmp_path: Path) -> AsyncIterator[EnvoyStage]:
        absent = EnvoyRouter(tmp_path / "nowhere", free_address())
        yield EnvoyStage(site, absent)
        await absent.aclose()


async def weights_in_force(envoy: Envoy) -> dict[str, int]:
    admin = EnvoyAdmin(envoy.admin)
    try:
        return (await admin.in_force()).routes["local.shop"].weights()
    finally:
        await admin.aclose()


async def clusters_in_force(envoy: Envoy) -> set[str]:
    admin = EnvoyAdmin(envoy.admin)
    try:
        return set((await admin.in_force()).clusters)
    finally:
        await admin.aclose()


async def answered(answers: Counter[str], version: str) -> bool:
    return answers[version] >= 10


def written(envoy: Envoy) -> dict[str, int]:
    files = (path for path in envoy.folder.rglob("*.json") if path.is_file())
    return {path.name: path.stat().st_ino for path in files}


async def test_envoy_itself_reports_the_weights_when_apply_returns(site: Site) -> None:
    await site.start("v1")
    await site.start("v2.0+b_1")

    for weight, share in ((0.0, 0), (0.01, 1), (12.34, 1234), (100 / 3, 3333), (99.99, 9999), (100.0, 10_000)):
        await site.split("v1", "v2.0+b_1", weight)
        assert await weights_in_force(site.envoy) == {
            "local.shop.v1": 10_000 - share,
            "local.shop.v2.0+b_1": share,
        }


async def test_a_tenth_of_the_traffic_is_a_tenth_of_the_requests(site: Site) -> None:
    await site.start("v1")
    await site.start("v2")
    await site.split("v1", "v2", 10.0)

    answers = await site.send(1000)

    assert set(answers) == {"v1", "v2"}
    # 1,000 draws at 10%: five standard deviations of 9.5 either side, missed once in two million runs.
    assert 100 - 48 <= answers["v2"] <= 100 + 48


async def test_no_request_fails_while_weights_change_under_load(site: Site) -> None:
    await site.start("v1")
    await site.start("v2")
    await site.split("v1")
    moving = True
    answers: Counter[str] = Counter()

    async def user() -> None:
        while moving:
            answers[await site.ask()] += 1

    users = [asyncio.create_task(user()) for _ in range(8)]
    for weight in itertools.islice(itertools.cycle((1.0, 25.0, 75.0, 100.0, 0.0)), 20):
        await site.split("v1", "v2", weight)
    moving = False
    await asyncio.gather(*users)

    assert set(answers) == {"v1", "v2"}


async def test_no_request_fails_while_versions_come_and_go_under_load(site: Site) -> None:
    (await site.start("v1")).delay = 0.05  # so that some requests are under way when their version is dropped
    await site.split("v1")
    moving = True
    answers: Counter[str] = Counter()

    async def user() -> None:
        while moving:
            answers[await site.ask()] += 1

    users = [asyncio.create_task(user()) for _ in range(8)]
    await eventually(lambda: answered(answers, "v1"), "the first version answers")
    for number in range(1, 6):
        (await site.start(f"v{number + 1}")).delay = 0.05
        await site.split(f"v{number}", f"v{number + 1}", 50.0)
        await site.split(f"v{number + 1}")
        await eventually(lambda: answered(answers, f"v{number + 1}"), "the new version answers")  # noqa: B023 - awaited here
    moving = False
    await asyncio.gather(*users)

    assert set(answers) == {"v1", "v2", "v3", "v4", "v5", "v6"}


async def test_asking_again_writes_no_file(site: Site) -> None:
    await site.start("v1")
    await site.start("v2")
    await site.split("v1", "v2", 30.0)
    before = written(site.envoy)

    await site.split("v1", "v2", 30.0)

    assert written(site.envoy) == before


async def test_waiting_for_another_process_does_not_hold_up_this_one(site: Site) -> None:
    await site.start("v1")
    with locked(site.envoy.folder):
        asked = asyncio.create_task(site.split("v1"))
        assert await asyncio.wait({asked}, timeout=0.2) == (set(), {asked})

    assert await asked == TrafficSplit(stable="v1")


async def test_a_version_that_left_the_split_leaves_envoy(site: Site) -> None:
    await site.start("v1")
    await site.start("v2")
    await site.split("v1", "v2", 30.0)
    await site.split("v2")

    async def only_the_new_one() -> bool:
        return await clusters_in_force(site.envoy) == {"local.shop.v2"}

    await eventually(only_the_new_one, "v1's cluster is gone")


async def test_two_services_are_changed_at_once_by_two_routers(site: Site) -> None:
    other = EnvoyRouter(site.envoy.folder, site.envoy.admin)
    async with running_site(site.envoy, CART) as cart:
        for each in (site, cart):
            await each.start("v1")
            await each.start("v2")
        for weight in (0.0, 20.0, 60.0, 100.0):
            split = TrafficSplit(stable="v1", candidate="v2", weight=weight)
            await asyncio.gather(
                site.split("v1", "v2", weight),
                other.apply(CART, cart.spec, split, cart.backends()),
            )
        assert await site.send(20) == {"v2": 20}
        assert await cart.send(20) == {"v2": 20}

        await asyncio.gather(other.remove(CART, cart.spec), site.split("v1", "v2", 0.0))

        assert await site.send(20) == {"v1": 20}
        assert await clusters_in_force(site.envoy) == {"local.shop.v1", "local.shop.v2"}
    await other.aclose()


async def test_a_removed_service_no_longer_accepts_connections(site: Site) -> None:
    await site.start("v1")
    await site.split("v1")

    await site.envoy.router.remove(site.ref, site.spec)

    async with httpx.AsyncClient(trust_env=False) as newcomer:
        with pytest.raises(httpx.ConnectError):
            await newcomer.get(f"http://{site.spec.listen}/")
    assert await clusters_in_force(site.envoy) == set()


async def test_a_service_moves_to_another_address(site: Site) -> None:
    await site.start("v1")
    await site.split("v1")
    moved = site.spec.model_copy(update={"listen": free_address()})

    await site.envoy.router.apply(site.ref, moved, TrafficSplit(stable="v1"), site.backends())

    async with httpx.AsyncClient(trust_env=False) as http:
        assert (await http.get(f"http://{moved.listen}/")).text == "v1"


async def test_instances_may_be_given_by_name(site: Site) -> None:
    upstream = await site.start("v1")
    named = Backend(version="v1", addresses=(f"localhost:{port_of(upstream.address)}",))

    await site.envoy.router.apply(site.ref, site.spec, TrafficSplit(stable="v1"), [named])

    assert await site.send(10) == {"v1": 10}


async def test_the_death_of_an_instance_is_not_felt(site: Site) -> None:
    instances = [await site.start("v1") for _ in range(2)]
    await site.split("v1")
    assert await site.send(20) == {"v1": 20}

    await instances[0].stop()

    assert await site.send(50) == {"v1": 50}


async def test_a_caller_cannot_hide_a_bad_version_by_asking_for_retries(site: Site) -> None:
    upstream = await site.start("v1")
    upstream.status = 500
    await site.split("v1")

    answer = await site.http.get("/", headers={"x-envoy-retry-on": "5xx", "x-envoy-max-retries": "5"})

    assert answer.status_code == 500
    assert upstream.served == 1


@pytest.mark.parametrize(
    ("weight", "baseline", "shares"),
    [(10.0, 10.0, [8000, 1000, 1000]), (50.0, 50.0, [0, 5000, 5000]), (66.67, 33.33, [0, 3333, 6667])],
)
async def test_stable_has_what_candidate_and_baseline_leave(
    envoy: Envoy, site: Site, weight: float, baseline: float, shares: list[int]
) -> None:
    groups = ["v1", "v1~baseline", "v2"]
    for group in groups:
        await site.start(group)
    await site.split("v1", "v2", weight, baseline)

    assert await weights_in_force(envoy) == {
        f"local.shop.{group}": share for group, share in zip(groups, shares, strict=True)
    }
    await site.split("v2")
    assert await clusters_in_force(envoy) == {"local.shop.v2"}
