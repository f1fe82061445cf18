"""What is written for Envoy, without an Envoy."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.ids import NAME_RULE, VERSION_RULE, ServiceRef
from models.traffic import Backend, EnvoyTraffic, TrafficSplit
from providers.envoy_files import EnvoyFolder, locked, write_atomically, write_bootstrap
from providers.envoy_names import cluster_name, stat_name
from providers.envoy_resources import FULL_WEIGHT, clusters, make_record
from tests.providers.envoy_harness import SHOP

refs = st.builds(
    ServiceRef,
    environment=st.from_regex(NAME_RULE, fullmatch=True),
    service=st.from_regex(NAME_RULE, fullmatch=True),
)
versions = st.from_regex(VERSION_RULE, fullmatch=True).filter(lambda version: ".." not in version)


def test_a_bootstrap_leads_to_lists_that_exist_and_is_written_once(tmp_path: Path) -> None:
    path = write_bootstrap(tmp_path / "envoy", "127.0.0.1:19901")
    first = path.stat().st_ino

    assert write_bootstrap(tmp_path / "envoy", "127.0.0.1:19901") == path
    assert path.is_absolute()
    assert path.stat().st_ino == first
    for source in json.loads(path.read_text())["dynamic_resources"].values():
        assert json.loads(Path(source["path_config_source"]["path"]).read_text())["resources"] == []


def test_a_new_bootstrap_leaves_what_is_served(tmp_path: Path) -> None:
    write_bootstrap(tmp_path, "127.0.0.1:19901")
    write_atomically(tmp_path / "lds.json", {"resources": [{"name": "kept"}]})

    path = write_bootstrap(tmp_path, "127.0.0.1:19902")

    assert "kept" in (tmp_path / "lds.json").read_text()
    assert json.loads(path.read_text())["admin"]["address"]["socket_address"]["port_value"] == 19902


def test_a_holder_that_failed_lets_go_of_the_folder(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), locked(tmp_path):
        raise RuntimeError

    with locked(tmp_path):
        pass


@given(refs, versions, refs, versions)
def test_no_two_versions_share_a_name(ref: ServiceRef, version: str, other_ref: ServiceRef, other: str) -> None:
    same = (ref, version) == (other_ref, other)

    assert (cluster_name(ref, version) == cluster_name(other_ref, other)) == same
    assert (stat_name(ref, version) == stat_name(other_ref, other)) == same
    assert "." not in stat_name(ref, version)


@given(st.floats(0.0, 100.0))
def test_shares_always_add_up(weight: float) -> None:
    split = TrafficSplit(stable="v1", candidate="v2", weight=weight)
    backends = [Backend(version=version, addresses=("127.0.0.1:1",)) for version in ("v1", "v2")]
    shares = make_record(SHOP, EnvoyTraffic(listen="127.0.0.1:8080"), split, backends).shares()

    assert sum(shares.values()) == FULL_WEIGHT
    assert abs(shares["v2"] - weight * 100) <= 0.5


def test_names_of_instances_are_left_to_envoy_to_resolve(tmp_path: Path) -> None:
    spec = EnvoyTraffic(listen="localhost:8080")
    record = make_record(
        SHOP, spec, TrafficSplit(stable="v1"), [Backend(version="v1", addresses=("shop.example:80", "127.0.0.1:1"))]
    )

    assert clusters(record, EnvoyFolder(tmp_path))[0]["type"] == "STRICT_DNS"
