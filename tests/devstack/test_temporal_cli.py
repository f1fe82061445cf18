import asyncio
import os
from pathlib import Path

import pytest

from devstack.errors import ObtainError
from devstack.temporal_cli import GO_VERSION, find_temporal_cli
from tests.devstack.conftest import write_program

ANSWERS = "echo 'temporal version 1.5.1 (Server 1.29.1, UI 2.42.1)'"
NOWHERE = "http://127.0.0.1:9"
GO_THAT_BUILDS = f"""
case "$1" in
  version) echo 'go version go1.24.0 linux/amd64' ;;
  install) echo built >> "$BUILDS"; sleep 0.3
    printf '#!/bin/sh\\n%s\\n' "{ANSWERS}" > "$GOBIN/temporal"; chmod +x "$GOBIN/temporal" ;;
esac"""


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that alone is on PATH, besides the system's own shell tools; and a network that leads nowhere."""
    folder = tmp_path / "tools"
    folder.mkdir()
    for name in ("sh", "sleep", "chmod"):
        (folder / name).symlink_to(Path("/bin") / name)
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setenv("HTTPS_PROXY", NOWHERE)
    monkeypatch.setenv("BUILDS", str(tmp_path / "builds"))
    return folder


async def find(tmp_path: Path, configured: Path | None = None, said: list[str] | None = None) -> Path:
    sentences = said if said is not None else []
    return await find_temporal_cli(configured=configured, cache_dir=tmp_path / "cache", say=sentences.append)


async def test_the_configured_one_comes_before_all_others(tmp_path: Path, tools: Path) -> None:
    write_program(tools / "temporal", ANSWERS)
    mine = write_program(tmp_path / "mine", ANSWERS)
    assert await find(tmp_path, configured=mine) == mine


@pytest.mark.parametrize("shell", ["exit 3", "echo something else", "echo 'temporal version 1 (Server 1.20.0)'"])
async def test_a_configured_one_that_cannot_be_used_is_an_error_and_no_other_is_taken(
    tmp_path: Path, tools: Path, shell: str
) -> None:
    write_program(tools / "temporal", ANSWERS)
    with pytest.raises(ObtainError, match=r"HOLDFAST_TEMPORAL_CLI is .*mine, which cannot be used"):
        await find(tmp_path, configured=write_program(tmp_path / "mine", shell))


async def test_a_configured_one_that_does_not_exist_is_an_error(tmp_path: Path, tools: Path) -> None:
    with pytest.raises(ObtainError, match="No such file"):
        await find(tmp_path, configured=tmp_path / "missing")


async def test_path_comes_before_the_cache(tmp_path: Path, tools: Path) -> None:
    write_program(tmp_path / "cache" / f"temporal-go-{GO_VERSION}", ANSWERS)
    on_path = write_program(tools / "temporal", ANSWERS)
    assert await find(tmp_path) == on_path


async def test_the_cache_comes_before_a_build(tmp_path: Path, tools: Path) -> None:
    write_program(tools / "go", GO_THAT_BUILDS)
    cached = write_program(tmp_path / "cache" / f"temporal-go-{GO_VERSION}", ANSWERS)
    assert await find(tmp_path) == cached
    assert not (tmp_path / "builds").exists()


async def test_a_build_is_kept_for_the_next_time_and_says_that_it_takes_long(tmp_path: Path, tools: Path) -> None:
    write_program(tools / "go", GO_THAT_BUILDS)
    said: list[str] = []
    built = await find(tmp_path, said=said)
    assert any("Building" in sentence for sentence in said)
    assert await find(tmp_path) == built
    assert (tmp_path / "builds").read_text() == "built\n"


async def test_two_that_obtain_at_once_build_once_and_leave_nothing_half_done(tmp_path: Path, tools: Path) -> None:
    write_program(tools / "go", GO_THAT_BUILDS)
    first, second = await asyncio.gather(find(tmp_path), find(tmp_path))
    assert first == second
    assert (tmp_path / "builds").read_text() == "built\n"
    assert not list((tmp_path / "cache").glob(".partial-*"))


async def test_what_a_killed_build_left_behind_is_removed_by_the_next(tmp_path: Path, tools: Path) -> None:
    write_program(tools / "go", GO_THAT_BUILDS)
    left = tmp_path / "cache" / ".partial-temporal-cli-left"
    left.mkdir(parents=True)
    await find(tmp_path)
    assert not left.exists()


async def test_the_error_lists_everything_that_was_tried_and_what_to_do(tmp_path: Path, tools: Path) -> None:
    write_program(tools / "temporal", "exit 1")
    write_program(tools / "go", "echo 'go version go1.19.8 linux/amd64'")
    with pytest.raises(ObtainError) as raised:
        await find(tmp_path)
    text = str(raised.value)
    for tried in (
        "HOLDFAST_TEMPORAL_CLI: not set",
        "`temporal` on PATH: it printed nothing",
        f"the cache in {tmp_path / 'cache'}: holds none",
        "download by the Temporal SDK: Failed",
        "Go 1.24 or newer is needed, and this is go version go1.19.8",
        "Install it from https://docs.temporal.io/cli",
    ):
        assert tried in text


async def test_a_build_that_is_cancelled_leaves_no_process(tmp_path: Path, tools: Path) -> None:
    pid_file = tmp_path / "pid"
    hangs = f"echo $$ > {pid_file}.new; mv {pid_file}.new {pid_file}; sleep 60"
    write_program(tools / "go", f'[ "$1" = version ] && echo go1.24 && exit; {hangs}')
    (tools / "mv").symlink_to("/bin/mv")
    finding = asyncio.create_task(find(tmp_path))
    async with asyncio.timeout(30):
        while not pid_file.exists():
            await asyncio.sleep(0.02)
    finding.cancel()
    await asyncio.gather(finding, return_exceptions=True)
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid_file.read_text()), 0)
