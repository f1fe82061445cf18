"""docker-compose.temporal.yml says what the code says: its groups, its settings, its ports, its verbs."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from ruamel.yaml import YAML
from typer.core import TyperGroup
from typer.main import get_command

from devstack.temporal_production import VERSION
from gateway.running import FAREWELL as FAREWELL_OF_THE_GATEWAY
from gateway.serving import GRACE
from models.quantities import parse_duration
from runtime.keyring import load_keyring
from runtime.settings import Settings
from starters.main import app
from starters.picture import FOLDER as FOLDER_OF_PICTURES
from tests.production.compose import FILE, ROOT, Json, loader_says, resolved
from workers.groups import GROUPS, Group
from workers.run import FAREWELL

FIELDS = {f"HOLDFAST_{name.upper()}" for name in Settings.model_fields}
ALIASES = {str(field.validation_alias) for field in Settings.model_fields.values() if field.validation_alias}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("clone")


@pytest.fixture(scope="module")
def compose(folder: Path) -> Json:
    return resolved(folder)


@pytest.fixture(scope="module")
def services(compose: Json) -> dict[str, Json]:
    found: dict[str, Json] = compose["services"]
    return found


def line(service: Json) -> str:
    return " ".join([*(service.get("entrypoint") or []), *(service.get("command") or [])])


def ours(services: dict[str, Json]) -> dict[str, Json]:
    return {name: service for name, service in services.items() if service["image"].startswith("holdfast")}


@pytest.mark.parametrize("group", GROUPS, ids=lambda group: str(group.queue))
def test_each_worker_group_has_a_service_that_outlasts_its_drain(services: dict[str, Json], group: Group) -> None:
    service = services[f"worker-{group.queue}"]

    assert re.search(rf"\bworker {group.queue}$", line(service))
    assert parse_duration(service["stop_grace_period"]) > group.drain + FAREWELL
    assert service["restart"] == "unless-stopped"
    assert service["healthcheck"]["test"] == ["CMD", "holdfast-ready"]
    assert service["init"]
    assert "HOLDFAST_BUILD_ID" in service["environment"]


def test_a_mistake_in_the_file_would_be_found(folder: Path) -> None:
    text = (ROOT / FILE).read_text()
    (folder / FILE).write_text(text.replace("stop_grace_period: 1m", "stop_grace_perod: 1m"))
    mistaken = loader_says(folder)
    (folder / FILE).write_text(text)

    assert "stop_grace_perod" in mistaken
    assert loader_says(folder) == ""


def test_what_one_part_names_of_another_exists(services: dict[str, Json], compose: Json) -> None:
    """The loader's command checks the form alone."""
    parts = {name for service in services.values() for name in service.get("depends_on") or {}}
    modes = {str(service.get("network_mode", "service:host")).partition(":")[2] for service in services.values()}
    volumes = {
        volume["source"]
        for service in services.values()
        for volume in service.get("volumes") or []
        if volume["type"] == "volume"
    }
    secrets = {secret["source"] for service in services.values() for secret in service.get("secrets") or []}

    assert parts | modes <= set(services)
    assert volumes == set(compose["volumes"])
    assert secrets == set(compose["secrets"])


def test_no_service_is_for_a_group_that_does_not_exist(services: dict[str, Json]) -> None:
    assert {name for name in services if name.startswith("worker-")} == {f"worker-{group.queue}" for group in GROUPS}


def test_every_setting_that_is_named_exists(services: dict[str, Json], compose: Json) -> None:
    named = {name for service in ours(services).values() for name in service.get("environment") or {}}
    secret = {name.upper() for name in compose["secrets"] if name.startswith("holdfast_")}

    assert named <= FIELDS | ALIASES
    assert secret <= FIELDS
    assert "HOLDFAST_TEMPORAL_ADDRESS" in named


def test_every_verb_that_is_run_exists(services: dict[str, Json]) -> None:
    group = get_command(app)
    assert isinstance(group, TyperGroup)
    by_image = [service["command"][0] for service in ours(services).values() if service.get("command")]
    by_shell = [verb for service in services.values() for verb in re.findall(r"holdfast (\w+)", line(service))]

    assert {*by_image, *by_shell} <= set(group.commands)
    assert {"keeper", "envoy", "setup", "codec-server", "restore"} <= {*by_image, *by_shell}


def test_the_keeper_serves_before_envoy_does(services: dict[str, Json]) -> None:
    assert services["envoy"]["depends_on"]["keeper"]["condition"] == "service_healthy"
    assert "envoy" not in services["keeper"]["depends_on"]


def test_the_gateway_takes_alerts_by_the_catalog_and_forgets_no_access(
    services: dict[str, Json], compose: Json
) -> None:
    gateway = services["gateway"]
    (port,) = gateway["ports"]
    mounted = {volume["target"]: volume for volume in gateway["volumes"]}

    assert line(gateway) == f"gateway --host 0.0.0.0 --port {port['target']}"
    assert (port["host_ip"], port["published"]) == ("127.0.0.1", str(Settings().gateway_port))
    assert gateway["healthcheck"]["test"] == ["CMD", "holdfast-ready", str(port["target"]), "/readyz"]
    assert mounted[gateway["environment"]["HOLDFAST_CATALOG"]]["read_only"]
    assert mounted["/var/lib/holdfast"]["source"] in compose["volumes"], "entries that wait for the records stay"
    assert "holdfast_encryption_keys" in {secret["source"] for secret in gateway["secrets"]}
    assert parse_duration(gateway["stop_grace_period"]) > GRACE + FAREWELL_OF_THE_GATEWAY
    assert gateway["restart"] == "unless-stopped"


def test_the_pictures_that_the_command_names_outlive_its_container(services: dict[str, Json]) -> None:
    home, pictures = "/var/lib/holdfast", f"/var/lib/holdfast/{FOLDER_OF_PICTURES}"
    mounted = {
        name: {volume["source"] for volume in services[name]["volumes"] if volume["target"] == home}
        for name in ("holdfast", "worker-traffic")
    }
    page = (ROOT / "docs" / "operations.md").read_text()
    image = (ROOT / "Dockerfile").read_text()

    assert mounted["holdfast"] == mounted["worker-traffic"] == {"home"}
    assert f"HOLDFAST_HOME={home}" in image
    assert f"cp worker-traffic:{pictures} ." in page


def test_every_image_of_others_is_pinned_and_temporals_is_the_tested_one(services: dict[str, Json]) -> None:
    images = {service["image"] for name, service in services.items() if name not in ours(services)}

    assert all(re.search(r":v?\d+\.\d+", image) for image in images)
    assert services["temporal"]["image"] == f"temporalio/server:{VERSION}"
    assert services["temporal-schema"]["image"].startswith(f"temporalio/admin-tools:{VERSION}-")


def test_every_part_is_restarted_and_everything_that_is_mounted_exists(
    services: dict[str, Json], compose: Json, folder: Path
) -> None:
    mounted = [
        Path(volume["source"])
        for service in services.values()
        for volume in service.get("volumes") or []
        if volume["type"] == "bind"
    ]
    secrets = [folder / Path(secret["file"]) for secret in compose["secrets"].values()]

    assert all(services[name]["restart"] != "no" for name in services if "profiles" not in services[name])
    assert [
        path for path in (*mounted, *secrets) if not path.exists() and path.name not in {"holdfast.yaml", "backups"}
    ] == []


def test_nothing_but_the_services_ports_can_be_reached_from_outside(services: dict[str, Json]) -> None:
    open_to_all = {
        name
        for name, service in services.items()
        for port in service.get("ports") or []
        if port.get("host_ip") != "127.0.0.1"
    }

    assert open_to_all == {"host"}


def test_parts_that_share_a_network_share_no_port(services: dict[str, Json]) -> None:
    ports = [
        value
        for service in services.values()
        if service.get("network_mode") == "service:host" and "profiles" not in service
        for name, value in service["environment"].items()
        if name.endswith(("HEALTH_PORT", "METRICS_PORT")) and value
    ]

    assert len(ports) == len(set(ports)) == 6


def test_prometheus_scrapes_every_worker_where_it_is_measured(services: dict[str, Json], tmp_path: Path) -> None:
    config = YAML(typ="safe").load(ROOT / "production" / "prometheus.yml")
    workers = config["scrape_configs"][0]["static_configs"]
    shutil.copy(ROOT / "observability" / "prometheus-rules.yml", tmp_path)
    shutil.copy(ROOT / "production" / "prometheus.yml", tmp_path)
    checked = subprocess.run(
        ["promtool", "check", "config", tmp_path / "prometheus.yml"], capture_output=True, text=True, check=False
    )

    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert {each["labels"]["group"] for each in workers} == {str(group.queue) for group in GROUPS}
    for each in workers:
        service = services[f"worker-{each['labels']['group']}"]
        on = "host" if service.get("network_mode") else f"worker-{each['labels']['group']}"
        assert each["targets"] == [f"{on}:{service['environment']['HOLDFAST_WORKER_METRICS_PORT']}"]


def test_secrets_are_made_once_and_can_be_used(compose: Json, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secrets = folder / "production" / "secrets"
    before = {path.name: path.read_text() for path in secrets.iterdir()}
    subprocess.run([folder / "production" / "make-secrets"], check=True, capture_output=True)
    monkeypatch.setattr("runtime.settings.SECRETS", secrets)
    settings = Settings(_secrets_dir=secrets)

    assert {path.name: path.read_text() for path in secrets.iterdir()} == before
    assert set(before) == set(compose["secrets"])
    assert load_keyring(settings).keys
    assert settings.records_url
    assert f":{before['postgres_password']}@postgres:5432/holdfast" in settings.records_url.get_secret_value()
    assert (secrets.stat().st_mode & 0o077) == 0


def test_the_page_names_services_and_profiles_that_exist(services: dict[str, Json]) -> None:
    page = (ROOT / "docs" / "operations.md").read_text()
    run = re.findall(rf"^docker compose -f {FILE} run --rm (\S+)", page, re.MULTILINE)
    started = re.findall(rf"^docker compose -f {FILE} up --detach --wait (\S+)$", page, re.MULTILINE)
    profiles = set(re.findall(r"--profile (\w+)", page))

    assert {"holdfast", "backup", "restore"} == set(run)
    assert set(started) <= set(services)
    assert profiles <= {name for service in services.values() for name in service.get("profiles") or []}


def test_the_image_holds_every_package(folder: Path) -> None:
    """The build's context leaves out all that is not named; what a package lacks would be missed when it runs."""
    allowed = set(re.findall(r"^!(\S+)", (ROOT / ".dockerignore").read_text(), re.MULTILINE))
    project = (ROOT / "pyproject.toml").read_text()
    packages = re.search(r"^packages = \[(.*?)\]", project, re.MULTILINE | re.DOTALL)
    assert packages

    assert {name.split(".")[0] for name in re.findall(r'"([^"]+)"', packages[1])} <= allowed
    assert all((ROOT / name).exists() for name in allowed)
    assert os.access(ROOT / "production" / "image" / "holdfast-ready", os.X_OK)
