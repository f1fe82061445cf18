"""`holdfast guard`, against guards that run on a real server."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio
from temporalio.client import Client

from models.guard import LeaseKind, LeaseOutcome
from models.quantities import HostPort
from tests.starters.command_line import Said, said_by
from tests.workers.dev_server import free_port, running_temporal
from tests.workflows.guard_harness import GuardedService, connected, end, guarded_server


@pytest_asyncio.fixture(scope="session")
async def server(temporal_cli: Path) -> AsyncIterator[Client]:
    async with running_temporal(temporal_cli) as address, guarded_server(address) as client:
        yield client


@dataclass(frozen=True)
class CommandLine:
    """`holdfast guard` with a catalog of its own: the services `shop` and, frozen by the catalog, `closed`."""

    folder: Path
    address: HostPort
    shop: GuardedService
    closed: str

    async def __call__(self, *words: str) -> Said:
        return await said_by(self.folder, self.address, "guard", *words)


@pytest.fixture
def guard(tmp_path: Path, server: Client) -> CommandLine:
    return command_line(tmp_path, server, server.service_client.config.target_host)


def command_line(folder: Path, server: Client, address: HostPort) -> CommandLine:
    shop = GuardedService(server)
    closed = f"closed-{shop.ref.service}"
    freeze = {"name": "the-age", "from": "2020-01-01 00:00", "until": "2090-01-01 00:00", "services": [closed]}
    services = {name: service(port) for port, name in enumerate((shop.ref.service, closed), 1)}
    catalog = {"version": 1, "services": services, "freezes": [freeze]}
    (folder / "holdfast.yaml").write_text(json.dumps(catalog))
    return CommandLine(folder, address, shop, closed)


def service(port: int) -> dict[str, object]:
    return {
        "deploy": {"command": ["run", "{port}"]},
        "traffic": {"listen": f"127.0.0.1:{port}"},
        "rollout": {"strategy": "blue-green", "bake": "1m"},
        "guard": {"restarts": {"limit": 3}},
    }


async def test_show_of_a_service_that_nobody_asked_for_yet(guard: CommandLine) -> None:
    said = await guard("show", guard.shop.ref.service)

    assert said.code == 0, said.err
    assert [" ".join(line.split()) for line in said.out.splitlines()] == [
        "held by nobody",
        "frozen no",
        "cooling down nothing",
        "restarts 0 of 3 in 1h",
    ]


async def test_show_tells_who_holds_what_and_what_was_decided(guard: CommandLine) -> None:
    await guard.shop.took(LeaseOutcome.ROLLED_BACK, version="v2")
    holder = await guard.shop.granted(version="v3")
    said = await guard("show", guard.shop.ref.service)
    state = (await guard("show", guard.shop.ref.service, "--json")).json
    await end(holder, LeaseOutcome.PROMOTED)

    assert f"the rollout of v3 by {holder.id}, since" in said.out
    assert "v2 until" in said.out
    assert f"granted rollout v3 for {holder.id}" in said.out
    assert [lease["version"] for lease in state["leases"]] == ["v3"]
    assert [cooldown["version"] for cooldown in state["cooldowns"]] == ["v2"]


async def test_show_tells_of_the_catalogs_freeze(guard: CommandLine) -> None:
    said = await guard("show", guard.closed)

    assert "by the catalog's the-age until 2090-01-01 00:00 UTC" in said.out
    assert (await guard("show", guard.closed, "--json")).json["catalog_freezes"][0]["name"] == "the-age"


async def test_freeze_starts_the_guard_and_unfreeze_ends_it(guard: CommandLine) -> None:
    said = await guard("freeze", guard.shop.ref.service, "--note", "audit")
    refusal = await guard.shop.refused()
    thawed = await guard("unfreeze", guard.shop.ref.service)

    assert said.code == thawed.code == 0, said.err + thawed.err
    assert said.out.startswith(f"{guard.shop.ref.service}: frozen by ")
    assert "until someone unfreezes it (audit)" in said.out
    assert refusal.why.endswith(": audit")
    assert "unfrozen by" in thawed.out
    await guard.shop.granted()


async def test_a_freeze_without_a_service_is_one_of_all(guard: CommandLine) -> None:
    said = await guard("freeze", "--for", "2h", "--json")

    assert set(said.json["services"]) == {guard.shop.ref.service, guard.closed}
    refusal = await guard.shop.refused(LeaseKind.SCALING)
    assert refusal.until is not None
    thawed = await guard("unfreeze")
    assert f"{guard.closed}: the catalog's the-age is still in force until 2090-01-01 00:00 UTC" in thawed.out
    await guard.shop.granted()


async def test_a_freeze_until_a_date_ends_there(guard: CommandLine) -> None:
    said = await guard("freeze", guard.shop.ref.service, "--until", "2089-05-01 08:00")

    assert "until 2089-05-01 08:00 UTC" in said.out


async def test_a_freeze_does_not_end_what_runs_and_says_so(guard: CommandLine) -> None:
    holder = await guard.shop.granted(version="v2")
    said = await guard("freeze", guard.shop.ref.service)

    assert f"the rollout of v2 by {holder.id} goes on" in said.out


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--for", "2"), "--for: '2' is not a duration; write it with a unit"),
        (("--for", "0s"), "A freeze must end in the future"),
        (("--until", "tomorrow"), "--until: 'tomorrow' is not a date and time"),
        (("--until", "2021-01-01 00:00"), "A freeze must end in the future"),
        (("--for", "2h", "--until", "2089-05-01 08:00"), "either --for or --until"),
    ],
)
async def test_a_freeze_with_no_sensible_end_is_refused(
    guard: CommandLine, words: tuple[str, ...], sentence: str
) -> None:
    said = await guard("freeze", guard.shop.ref.service, *words)

    assert said.code == 2
    assert sentence in said.err


async def test_a_service_that_is_not_in_the_catalog_is_answered_with_those_that_are(guard: CommandLine) -> None:
    for verb in ("show", "freeze", "unfreeze"):
        said = await guard(verb, f"{guard.closed}x")
        assert said.code == 2
        assert f"did you mean {guard.closed}?" in said.err


async def test_without_temporal_it_is_said_where_it_was_sought(tmp_path: Path, server: Client) -> None:
    guard = command_line(tmp_path, server, f"127.0.0.1:{free_port()}")
    said = await guard("freeze")

    assert said.code == 4
    assert "Temporal cannot be reached" in said.err


@pytest.mark.full
async def test_without_workers_it_is_said_what_to_start(tmp_path: Path, temporal_cli: Path) -> None:
    async with running_temporal(temporal_cli) as address:
        guard = command_line(tmp_path, await connected(address), address)
        said = await guard("freeze", guard.shop.ref.service)
        shown = await guard("show", guard.shop.ref.service)

    assert (said.code, shown.code) == (4, 4)
    assert "holdfast worker guards" in said.err
    assert "holdfast worker guards" in shown.err
