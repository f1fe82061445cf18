"""Envoy aborts when it cannot watch a file: it is given none that it could not watch."""

import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from models.traffic import Backend, EnvoyTraffic, TrafficSplit
from providers import inotify
from providers.envoy_files import EnvoyFolder, write_bootstrap
from providers.envoy_resources import ServiceRecord, make_record
from providers.envoy_store import EnvoyStore
from providers.errors import ProviderError
from tests.providers.envoy_harness import SHOP, Site

ASKS_FOR_SIX = """
from pathlib import Path
from providers.inotify import has_room
Path("/proc/sys/user/max_inotify_instances").write_text("5")
print(has_room(5), has_room(6), has_room(5))
"""


def a_split(store: EnvoyStore, *versions: str) -> None:
    backends = [Backend(version=version, addresses=("127.0.0.1:8000",)) for version in versions]
    split = TrafficSplit(
        stable=versions[0], candidate=versions[1] if versions[1:] else None, weight=10 * len(versions[1:])
    )
    store.put(make_record(SHOP, EnvoyTraffic(listen="127.0.0.1:9000"), split, backends), again=False)


def test_the_kernel_is_asked_how_many_it_gives() -> None:
    """In a user namespace of its own, as other programs of this user must not be kept from theirs."""
    asked = subprocess.run(
        ["unshare", "--user", "--map-root-user", sys.executable, "-c", ASKS_FOR_SIX],
        check=True, capture_output=True, text=True,
    )  # fmt: skip

    assert asked.stdout == "True False True\n"


async def test_envoy_takes_an_instance_for_each_file_that_is_counted(site: Site) -> None:
    for version in ("v1", "v2"):
        await site.start(version)
    await site.split("v1", "v2", 10.0)

    counted = list(EnvoyFolder(site.envoy.folder).watched())

    assert len(counted) == 5
    (envoy,) = [
        child for child in psutil.Process().children() if str(site.envoy.folder / "bootstrap.json") in child.cmdline()
    ]
    held = [path.readlink() for path in Path(f"/proc/{envoy.pid}/fd").iterdir()]
    assert sum("inotify" in str(target) for target in held) == len(counted)


def test_no_file_is_added_that_could_not_be_watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = EnvoyStore(files := EnvoyFolder(tmp_path))
    a_split(store, "v1")
    store.lead(_recorded(store), again=False)
    before = files.record(SHOP).read_text()
    monkeypatch.setattr(inotify, "has_room", lambda _: False)

    with pytest.raises(
        ProviderError, match=r"watch 1 more files.*sysctl -w fs\.inotify\.max_user_instances"
    ) as failure:
        a_split(store, "v1", "v2")

    assert failure.value.retryable
    assert files.record(SHOP).read_text() == before
    assert not files.endpoints(SHOP, "v2").exists()


def test_what_is_watched_already_can_always_be_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = EnvoyStore(EnvoyFolder(tmp_path))
    a_split(store, "v1", "v2")
    store.lead(_recorded(store), again=False)
    monkeypatch.setattr(inotify, "has_room", lambda _: False)

    a_split(store, "v2", "v1")

    assert _recorded(store).split.stable == "v2"


def test_an_envoy_is_not_started_on_files_that_it_could_not_watch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inotify, "has_room", lambda _: False)

    with pytest.raises(ProviderError, match="watch 2 more files"):
        write_bootstrap(tmp_path, "127.0.0.1:19901")


def _recorded(store: EnvoyStore) -> ServiceRecord:
    record = store.read(SHOP)
    assert record
    return record
