import os
from pathlib import Path

import pytest

from devstack.errors import ObtainError
from devstack.temporal_production import VERSION, find_production_server
from tests.devstack.conftest import write_program

ANSWERS = f"echo 'temporal version {VERSION}'"
GO_THAT_BUILDS = f"""
case "$1" in
  version) echo 'go version go1.24.0 linux/amd64' ;;
  install) echo "$@" >> "$BUILDS"
    for built in server sql; do
      printf '#!/bin/sh\\n%s\\n' "{ANSWERS}" > "$GOBIN/$built"; chmod +x "$GOBIN/$built"
    done ;;
esac"""


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that alone is on PATH, besides the system's own shell tools."""
    folder = tmp_path / "tools"
    folder.mkdir()
    for name in ("sh", "chmod"):
        (folder / name).symlink_to(Path("/bin") / name)
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setenv("BUILDS", str(tmp_path / "builds"))
    return folder


async def test_both_programs_are_built_once_under_the_names_that_they_have_in_the_images(
    tmp_path: Path, tools: Path
) -> None:
    write_program(tools / "go", GO_THAT_BUILDS)
    found = await find_production_server(cache_dir=tmp_path / "cache", say=print)
    again = await find_production_server(cache_dir=tmp_path / "cache", say=print)

    assert again == found
    assert [path.name for path in (found.server, found.sql_tool)] == ["temporal-server", "temporal-sql-tool"]
    assert all(os.access(path, os.X_OK) for path in (found.server, found.sql_tool))
    assert (tmp_path / "builds").read_text().count(f"@v{VERSION}") == 2


async def test_a_cached_program_that_does_not_run_is_built_anew(tmp_path: Path, tools: Path) -> None:
    write_program(tools / "go", GO_THAT_BUILDS)
    found = await find_production_server(cache_dir=tmp_path / "cache", say=print)
    write_program(found.sql_tool, "exit 3")
    again = await find_production_server(cache_dir=tmp_path / "cache", say=print)

    assert again == found
    assert len((tmp_path / "builds").read_text().splitlines()) == 2


async def test_without_go_the_error_says_what_to_install(tmp_path: Path, tools: Path) -> None:
    with pytest.raises(ObtainError, match=r"Go is not installed[\s\S]*Install Go from"):
        await find_production_server(cache_dir=tmp_path / "cache", say=print)
