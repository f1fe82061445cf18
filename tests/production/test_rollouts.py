"""On what production runs, Temporal on PostgreSQL and two workers of each group: whatever dies, rollouts end right."""

from collections.abc import Callable, Iterator

import pytest

from tests.production.platform import Production
from tests.whole.platform import Shop, finished

pytestmark = pytest.mark.slow

ALIVE = {"v2": {"v2": 2}, "v3": {"v1": 2}}
CODES = {"v2": 0, "v3": 1}
OUTCOMES = {"v2": "promoted", "v3": "rolled_back"}


RATE = 20
"""Requests a second: half of them are enough to judge within seconds, and cost a busy machine little."""


def a_shop(production: Production, bake: str, min_requests: int = 20) -> Shop:
    return production.shop(steps=[{"weight": "50%", "bake": bake}], min_requests=min_requests)


def kill_one_worker_of_each_group(production: Production) -> None:
    for group in sorted({each.group for each in production.workers}):
        production.workers_of(group)[0].kill()


def kill_the_temporal_server(production: Production) -> None:
    production.temporal.kill_server()
    production.temporal.start_server()


def restart_postgresql(production: Production) -> None:
    production.temporal.postgres.stop()
    production.temporal.postgres.start()


def kill_postgresql_and_the_temporal_server(production: Production) -> None:
    production.temporal.postgres.kill()
    production.temporal.kill_server()
    production.temporal.postgres.start()
    production.temporal.start_server()


@pytest.fixture
def whole(production: Production) -> Iterator[Production]:
    """With two living workers of each group again afterwards."""
    yield production
    missing = {each.group: 2 - len(production.workers_of(each.group)) for each in production.workers}
    production.until_ready([production.start_worker(group) for group, count in missing.items() for _ in range(count)])


def test_first_deployment_good_canary_bad_canary(whole: Production) -> None:
    shop = a_shop(whole, bake="2s")
    first = whole.deploy(shop, "v1")
    with whole.traffic(shop, RATE) as report:
        good = whole.deploy(shop, "v2")
        failed = report()["failed"]
        bad = whole.deploy(shop, "v3", expect=1)

    assert [each["outcome"] for each in (first, good, bad)] == ["promoted", "promoted", "rolled_back"]
    assert bad["stable"] == "v2"
    assert failed == 0
    assert whole.instances(shop.name) == {"v2": 2}
    assert whole.starts(shop.name) == {"v1": 2, "v2": 2, "v3": 2}


DISASTERS = (
    kill_one_worker_of_each_group,
    kill_the_temporal_server,
    restart_postgresql,
    kill_postgresql_and_the_temporal_server,
)
ALWAYS = ((kill_one_worker_of_each_group, "v2"), (kill_postgresql_and_the_temporal_server, "v3"))


@pytest.mark.parametrize(
    ("disaster", "version"),
    [
        pytest.param(disaster, version, marks=() if (disaster, version) in ALWAYS else pytest.mark.full)
        for disaster in DISASTERS
        for version in ("v2", "v3")
    ],
)
def test_a_canary_ends_right_although(whole: Production, disaster: Callable[[Production], None], version: str) -> None:
    # Long enough before it is decided for a slow machine to see it at 50 % and to bring the disaster about.
    shop = a_shop(whole, bake="12s") if version == "v2" else a_shop(whole, bake="60s", min_requests=120)
    whole.deploy(shop, "v1")
    with whole.traffic(shop, RATE) as report, whole.deploying(shop, version) as deploying:
        whole.until_weight(shop, "50%")
        disaster(whole)
        code, result = finished(deploying)
        users = report()

    assert code == CODES[version]
    assert result["outcome"] == OUTCOMES[version]
    assert whole.instances(shop.name) == ALIVE[version]
    assert whole.starts(shop.name) == {"v1": 2, version: 2}, "an instance was started twice"
    if version == "v2":
        assert users["failed"] == 0
