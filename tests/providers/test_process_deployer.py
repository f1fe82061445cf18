"""Instances as processes, for real."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import httpx
import psutil
import pytest
import pytest_asyncio
from pydantic import SecretStr

from models.deployment import HttpReadiness, Instance, ProcessDeployment
from providers.errors import NotReadyError, ProviderError
from providers.host_ports import free_port, process_started
from providers.process_deployer import ProcessDeployer
from providers.process_records import MARK
from tests.providers.deployer_contract import SHOP, DeployerContract, answers, quiet

ROOT = Path(__file__).parents[2]
SECRET = "hunter2-of-the-shop"


def secrets(text: str) -> SecretStr:
    return SecretStr(text.replace("${env:SHOP_SECRET}", SECRET))


class Stage:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._made: list[ProcessDeployer] = []
        self.deployer = self.restarted()

    def restarted(self) -> ProcessDeployer:
        self._made.append(ProcessDeployer(self.folder, secrets))
        return self._made[-1]

    def spec(self, *habits: str, instances: int = 2, drain: float = 3, **env: str) -> ProcessDeployment:
        return ProcessDeployment(
            command=("{python}", "-m", "tests.providers.sample_service", "{port}", *habits),
            working_directory=str(ROOT),
            instances=instances,
            env=env,
            ready=HttpReadiness(timeout=timedelta(seconds=2 if "never-ready" in habits else 15)),
            drain=timedelta(seconds=drain),
        )

    def processes(self) -> list[psutil.Process]:
        """Every live process that carries a mark of this folder, children included."""
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                marked = process.environ().get(MARK, "").startswith(str(self.folder))
                if marked and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
        return found

    async def close(self) -> None:
        for deployer in self._made:
            await deployer.aclose()
        for process in self.processes():
            with suppress(psutil.Error):
                process.kill()


@pytest_asyncio.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    made = Stage(tmp_path)
    yield made
    await made.close()


class TestContract(DeployerContract):
    pass


async def test_a_crash_at_start_is_told_with_its_exit_code_and_last_words(stage: Stage) -> None:
    with pytest.raises(NotReadyError, match=r"exit code 7[\s\S]*the database is on fire"):
        await stage.deployer.start(SHOP, "v1", stage.spec("crash"), quiet)


async def test_never_ready_names_path_time_and_log(stage: Stage) -> None:
    with pytest.raises(NotReadyError, match=r"within 2s: GET http://127.0.0.1:\d+/ answered 503[\s\S]*started as"):
        await stage.deployer.start(SHOP, "v1", stage.spec("never-ready"), quiet)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"command": ("no-such-program", "{port}")}, "no-such-program"),
        ({"working_directory": "/no/such/folder"}, "/no/such"),
    ],
)
async def test_what_cannot_be_started_is_named(stage: Stage, change: dict[str, object], named: str) -> None:
    with pytest.raises(NotReadyError, match=named) as failure:
        await stage.deployer.start(SHOP, "v1", stage.spec().model_copy(update=change), quiet)

    assert not failure.value.retryable
    assert "catalog" in str(failure.value)


async def test_a_text_that_is_no_program_is_named_and_not_tried_again(stage: Stage, tmp_path: Path) -> None:
    text = tmp_path / "run.sh"
    text.write_text("no line says what runs this")
    text.chmod(0o755)
    with pytest.raises(NotReadyError, match=r"Exec format error.*run\.sh"):
        await stage.deployer.start(
            SHOP, "v1", stage.spec().model_copy(update={"command": (str(text), "{port}")}), quiet
        )


async def test_an_instance_is_known_and_kept_after_the_clock_was_corrected(stage: Stage) -> None:
    (first,) = await stage.deployer.start(SHOP, "v1", stage.spec(instances=1), quiet)
    record = stage.folder / "local" / "shop" / "v1" / "0.json"
    known = json.loads(record.read_text())
    record.write_text(json.dumps({**known, "process_started": known["process_started"] - 60}))
    (again,) = await stage.restarted().start(SHOP, "v1", stage.spec(instances=1), quiet)

    assert again.pid == first.pid
    assert answers(again)


async def test_a_request_under_way_is_finished_when_its_instance_is_stopped(stage: Stage) -> None:
    (instance,) = await stage.deployer.start(SHOP, "v1", stage.spec("slow", instances=1), quiet)
    async with httpx.AsyncClient(trust_env=False) as client:
        request = asyncio.create_task(client.get(f"http://{instance.address}/slow", timeout=10))
        await until(lambda: len(psutil.Process(instance.pid).net_connections("tcp")) > 1)
        await stage.deployer.stop(SHOP, "v1", stage.spec(), quiet)
        response = await request

    assert response.status_code == 200
    assert stage.processes() == []


async def test_an_instance_that_ignores_its_end_is_killed_with_all_it_started(stage: Stage) -> None:
    spec = stage.spec("deaf", "child", instances=1, drain=0.5)
    await stage.deployer.start(SHOP, "v1", spec, quiet)
    running = stage.processes()
    await stage.deployer.stop(SHOP, "v1", spec, quiet)

    assert len(running) == 2
    assert stage.processes() == []


async def test_children_do_not_outlive_an_instance_that_died(stage: Stage) -> None:
    spec = stage.spec("child", instances=1, drain=0.5)
    (instance,) = await stage.deployer.start(SHOP, "v1", spec, quiet)
    await killed(instance)
    orphans = stage.processes()
    await stage.deployer.stop(SHOP, "v1", spec, quiet)

    assert len(orphans) == 1
    assert stage.processes() == []


@pytest.mark.parametrize("lost", [False, True], ids=["recorded", "record lost"])
async def test_a_child_with_a_session_of_its_own_is_not_taken_for_an_instance(stage: Stage, lost: bool) -> None:
    spec = stage.spec("daemon", instances=1, drain=0.5)
    first = await stage.deployer.start(SHOP, "v1", spec, quiet)
    await until(lambda: len(stage.processes()) == 2)
    if lost:
        (stage.folder / "local" / "shop" / "v1" / "0.json").unlink()

    assert [instance.pid for instance in await stage.deployer.instances(SHOP, spec)] == [first[0].pid]
    await stage.deployer.stop(SHOP, "v1", spec, quiet)
    assert stage.processes() == []


async def test_after_a_stop_that_was_cut_off_a_start_does_not_count_on_what_is_ending(stage: Stage) -> None:
    spec = stage.spec("slow", instances=1)
    (first,) = await stage.deployer.start(SHOP, "v1", spec, quiet)
    async with httpx.AsyncClient(trust_env=False) as client:
        request = asyncio.create_task(client.get(f"http://{first.address}/slow", timeout=10))
        await until(lambda: len(psutil.Process(first.pid).net_connections("tcp")) > 1)
        stopping = asyncio.create_task(stage.deployer.stop(SHOP, "v1", spec, quiet))
        await until(lambda: 'ending": true' in (stage.folder / "local" / "shop" / "v1" / "0.json").read_text())
        stopping.cancel()
        with pytest.raises(asyncio.CancelledError):
            await stopping
        (second,) = await stage.restarted().start(SHOP, "v1", spec, quiet)
        await request

    assert answers(second)
    assert [process.pid for process in stage.processes()] == [second.pid]


async def test_a_folder_may_have_any_name(tmp_path: Path) -> None:
    stage = Stage(tmp_path / "c# {port}")
    try:
        first = await stage.deployer.start(SHOP, "v1", stage.spec(instances=1), quiet)
        (stage.folder / "local" / "shop" / "v1" / "0.json").unlink()
        again = await stage.restarted().start(SHOP, "v1", stage.spec(instances=1), quiet)
    finally:
        await stage.close()

    assert [instance.pid for instance in again] == [instance.pid for instance in first]


@pytest.fixture
def bystander() -> Iterator["subprocess.Popen[bytes]"]:
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
    yield process
    process.kill()
    process.wait()


async def test_a_process_that_was_given_an_instances_pid_is_never_touched(
    stage: Stage, bystander: "subprocess.Popen[bytes]"
) -> None:
    (instance,) = await stage.deployer.start(SHOP, "v1", stage.spec(instances=1), quiet)
    psutil.Process(instance.pid).kill()
    record = stage.folder / "local" / "shop" / "v1" / "0.json"
    known = json.loads(record.read_text())
    long_ago = known["process_started"] - 60
    record.write_text(json.dumps({**known, "pid": bystander.pid, "process_started": long_ago}))
    other = stage.restarted()

    assert await other.instances(SHOP, stage.spec()) == ()
    await other.stop(SHOP, "v1", stage.spec(), quiet)
    assert bystander.poll() is None


@pytest.mark.parametrize("content", [None, "", "{", '{"slot": 0}'])
async def test_a_record_that_is_damaged_or_gone_loses_no_process(stage: Stage, content: str | None) -> None:
    first = await stage.deployer.start(SHOP, "v1", stage.spec(), quiet)
    record = stage.folder / "local" / "shop" / "v1" / "0.json"
    record.unlink() if content is None else record.write_text(content)
    other = stage.restarted()
    again = await other.start(SHOP, "v1", stage.spec(), quiet)

    assert [(i.pid, i.address) for i in again] == [(i.pid, i.address) for i in first]
    assert len(stage.processes()) == 2


async def test_an_instance_that_died_is_not_counted_and_started_again(stage: Stage) -> None:
    first = await stage.deployer.start(SHOP, "v1", stage.spec(), quiet)
    await killed(first[0])

    assert await stage.deployer.instances(SHOP, stage.spec()) == first[1:]
    again = await stage.deployer.start(SHOP, "v1", stage.spec(), quiet)
    assert again[1] == first[1]
    assert again[0].pid != first[0].pid


def starter(folder: Path, *, die_after: int | None = None) -> "subprocess.Popen[bytes]":
    """Another worker that starts two of v1; it can be told to die after so many renames of records."""
    script = f"""
import asyncio, os, signal
from pathlib import Path
from pydantic import SecretStr
from providers import durable_files, process_control, process_deployer, process_records
from tests.providers.deployer_contract import SHOP, quiet
from tests.providers.test_process_deployer import Stage
left = {die_after!r}
def dying(function):
    def wrapper(*args, **kwargs):
        global left
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        if left is not None:
            left -= 1
        return function(*args, **kwargs)
    return wrapper
process_records.replace_durably = dying(process_records.replace_durably)
process_deployer.spawn = dying(process_deployer.spawn)
process_deployer.with_process = dying(process_deployer.with_process)
stage = Stage(Path({str(folder)!r}))
asyncio.run(stage.deployer.start(SHOP, "v1", stage.spec(), quiet))
"""
    return subprocess.Popen([sys.executable, "-c", script], cwd=ROOT)


@pytest.mark.parametrize("die_after", range(9))
async def test_a_worker_killed_at_any_point_of_a_start_leaves_no_instance_too_many(
    stage: Stage, die_after: int
) -> None:
    """The points are each write of a record, each spawn, and between a spawn and the record that names it."""
    worker = starter(stage.folder, die_after=die_after)
    code = await asyncio.to_thread(worker.wait, 30)
    started = await stage.deployer.start(SHOP, "v1", stage.spec(), quiet)

    assert code == (-signal.SIGKILL if die_after < 9 else 0)
    assert len(stage.processes()) == 2
    assert {process.pid for process in stage.processes()} == {instance.pid for instance in started}
    await stage.deployer.stop(SHOP, "v1", stage.spec(), quiet)
    assert stage.processes() == []


async def test_two_workers_that_start_at_once_start_nothing_twice(stage: Stage) -> None:
    workers = [starter(stage.folder) for _ in range(3)]
    codes = [await asyncio.to_thread(worker.wait, 60) for worker in workers]

    assert codes == [0, 0, 0]
    assert len(stage.processes()) == 2


async def test_a_start_that_is_cancelled_leaves_what_stop_can_clear(stage: Stage) -> None:
    starting = asyncio.create_task(stage.deployer.start(SHOP, "v1", stage.spec("never-ready"), quiet))
    await until(lambda: len(stage.processes()) == 2)
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    await stage.deployer.stop(SHOP, "v1", stage.spec(), quiet)

    assert stage.processes() == []


async def test_secrets_reach_the_instance_and_no_file(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOLDFAST_TEMPORAL_ADDRESS", "kept to ourselves")
    monkeypatch.setenv("SENTRY_DSN", "kept to ourselves")
    spec = stage.spec(instances=1, TOKEN="${env:SHOP_SECRET}")
    (instance,) = await stage.deployer.start(SHOP, "v1", spec, quiet)

    assert seen(instance, "TOKEN") == SECRET
    assert seen(instance, "HOLDFAST_TEMPORAL_ADDRESS") == seen(instance, "SENTRY_DSN") == ""
    assert seen(instance, "PATH") == os.environ["PATH"]
    files = [path for path in stage.folder.rglob("*") if path.is_file()]
    assert files
    assert not any(SECRET in path.read_text() for path in files)


@pytest.mark.parametrize("name", ["OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_TRACES_HEADERS"])
async def test_the_key_of_our_collector_stays_with_us_unless_the_catalog_gives_one(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, "key=kept to ourselves")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318")
    (without,) = await stage.deployer.start(SHOP, "v1", stage.spec(instances=1), quiet)
    spec = stage.spec(instances=1).model_copy(update={"env": {name: "key=the service's"}})
    (given,) = await stage.deployer.start(SHOP, "v2", spec, quiet)

    assert seen(without, name) == ""
    assert seen(without, "OTEL_EXPORTER_OTLP_ENDPOINT") == "http://127.0.0.1:4318"
    assert seen(given, name) == "key=the service's"


def seen(instance: Instance, name: str) -> str:
    return httpx.get(f"http://{instance.address}/env/{name}", trust_env=False).text


async def test_what_was_halted_is_restored_elsewhere_and_one_problem_keeps_nothing_back(stage: Stage) -> None:
    await stage.deployer.start(SHOP, "v1", stage.spec(), quiet)
    broken = stage.spec(instances=1)
    await stage.deployer.start(SHOP, "v0", broken, quiet)
    halted = await stage.deployer.halt_all(quiet)
    nothing = stage.processes()
    wanted = stage.folder / "local" / "shop" / "v0" / "wanted.json"
    wanted.write_text(wanted.read_text().replace("tests.providers.sample_service", "no_such_module"))
    restored = {item.version: item for item in await stage.restarted().restore(quiet)}

    assert halted == 3
    assert nothing == []
    assert all(map(answers, restored["v1"].instances))
    assert len(restored["v1"].instances) == 2
    assert "no_such_module" in restored["v0"].problem
    assert restored["v0"].instances == ()


async def test_what_was_stopped_is_not_restored(stage: Stage) -> None:
    await stage.deployer.start(SHOP, "v1", stage.spec(), quiet)
    await stage.deployer.stop(SHOP, "v1", stage.spec(), quiet)

    assert await stage.restarted().restore(quiet) == ()


async def test_a_port_that_is_taken_meanwhile_is_changed_for_another(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    (first,) = await stage.deployer.start(SHOP, "v1", stage.spec(instances=1), quiet)
    taken = int(first.address.rpartition(":")[2])
    offered = iter([taken, taken])
    monkeypatch.setattr("providers.process_deployer.free_port", lambda: next(offered, None) or free_port())
    (second,) = await stage.deployer.start(SHOP, "v2", stage.spec(instances=1), quiet)

    assert second.address != first.address
    assert len(stage.processes()) == 2


@pytest.mark.skipif(os.geteuid() != 0, reason="making a disk of 64 KiB needs root")
async def test_a_full_disk_is_said_and_may_be_tried_again(stage: Stage, tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(small)], check=True)
    try:
        full = Stage(small / "instances")
        filler = small / "filler"
        with suppress(OSError):
            filler.write_bytes(b"x" * 2**20)
        with pytest.raises(ProviderError, match="No space left") as failure:
            await full.deployer.start(SHOP, "v1", stage.spec(), quiet)
        processes = full.processes()
        filler.unlink()
        started = await full.deployer.start(SHOP, "v1", stage.spec(), quiet)
        await full.deployer.stop(SHOP, "v1", stage.spec(), quiet)
        await full.close()
    finally:
        subprocess.run(["umount", "-l", str(small)], check=True)

    assert failure.value.retryable
    assert processes == []
    assert len(started) == 2


async def test_what_lives_is_kept_when_another_instance_has_died(stage: Stage) -> None:
    first = await stage.deployer.start(SHOP, "v1", stage.spec(instances=3), quiet)
    await killed(first[0])
    two = await stage.deployer.scale(SHOP, "v1", stage.spec(), 2, quiet)
    three = await stage.deployer.scale(SHOP, "v1", stage.spec(), 3, quiet)

    assert two == first[1:]
    assert three[1:] == two
    assert len({instance.name for instance in three}) == 3


async def test_a_log_that_has_grown_large_is_put_aside(stage: Stage) -> None:
    log = stage.folder / "local" / "shop" / "v1" / "0.log"
    log.parent.mkdir(parents=True)
    log.write_bytes(b"x" * (11 * 2**20))
    await stage.deployer.start(SHOP, "v1", stage.spec(instances=1), quiet)

    assert log.stat().st_size < 2**20
    assert log.with_suffix(".log.1").stat().st_size == 11 * 2**20


async def killed(instance: Instance) -> None:
    """Kill an instance; return once the system no longer calls it running."""
    psutil.Process(instance.pid).kill()
    await until(lambda: process_started(instance.pid) is None)


async def until(condition: Callable[[], bool], within: float = 15) -> None:
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        await asyncio.sleep(0.02)
