"""The `holdfast` command: what it says of itself, how it leaves, and what it leaves behind."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from typer.core import TyperGroup
from typer.main import get_command
from typer.testing import CliRunner

from starters.main import app
from tests.whole.platform import HOLDFAST, ROOT, Platform, until, words_of

INSTANCE = "examples.shop.server"


def verbs(group: TyperGroup | None = None, *, before: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    found = group or get_command(app)
    assert isinstance(found, TyperGroup)
    for name, command in found.commands.items():
        yield (*before, name)
        if isinstance(command, TyperGroup):
            yield from verbs(command, before=(*before, name))


@pytest.mark.parametrize("verb", [(), *verbs()], ids=" ".join)
def test_help_says_in_a_sentence_what_each_verb_does_and_what_each_word_means(verb: tuple[str, ...]) -> None:
    result = CliRunner().invoke(app, [*verb, "--help"], env={"COLUMNS": "200", "NO_COLOR": "1"})
    usage, _, rest = result.output.strip().partition("\n")
    sentence = rest.strip().splitlines()[0].strip()

    assert result.exit_code == 0
    assert re.fullmatch(rf"Usage: \w+ {' '.join(verb)}.*", usage)
    assert re.fullmatch(r"[A-Z].+\.", sentence)
    assert "[[" not in usage
    for line in re.findall(r"^│ (.+) │$", rest, re.MULTILINE):
        assert re.search(r"\S {2,}[A-Za-z;].*\w", line), f"{line} explains nothing"


def test_help_lists_every_verb() -> None:
    shown = subprocess.run([*HOLDFAST, "--help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout

    assert all(re.search(rf"^│ {verb} +[A-Z].+│$", shown, re.MULTILINE) for verb, *more in verbs() if not more)


@pytest.mark.parametrize(
    "words",
    [("deplyo",), ("deploy", "--wiat"), ("deploy",), ("catalog", "chekc"), ("status", "shop", "more")],
    ids=" ".join,
)
def test_what_is_not_a_command_is_bad_input(tmp_path: Path, words: tuple[str, ...]) -> None:
    run = Platform(tmp_path).run(*words)

    assert run.returncode == 2
    assert "--help" in run.stderr
    assert "Traceback" not in run.stderr
    assert run.stdout == ""


@pytest.mark.parametrize("verb", [("status",), ("up",), ("worker", "all"), ("catalog", "check"), ("doctor", "--json")])
def test_a_setting_that_cannot_be_used_is_named_with_what_is_allowed(tmp_path: Path, verb: tuple[str, ...]) -> None:
    run = Platform(tmp_path).run(*verb, env={"HOLDFAST_UI_PORT": "x", "HOLDFAST_LOG_FORMAT": "xml"})

    assert run.returncode == 2
    assert run.stdout == ""
    mend = "Set it so in the environment, in .env or in /run/secrets, or remove it there."
    assert run.stderr.splitlines() == [
        f"holdfast: HOLDFAST_UI_PORT is 'x'; allowed is a port, 1 to 65535, or 0 for any free one. {mend}",
        f"HOLDFAST_LOG_FORMAT is 'xml'; allowed is 'auto', 'text' or 'json'. {mend}",
    ]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"HOLDFAST_ENVOY_ADMIN=nowhere\n", "HOLDFAST_ENVOY_ADMIN is 'nowhere'"),
        (b"\xff\xfe\n", ".env is not UTF-8 text"),
    ],
)
def test_a_mistake_in_the_env_file_is_one_sentence_too(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / ".env").write_bytes(content)
    run = subprocess.run(
        [Path(sys.executable).parent / "holdfast", "status"], cwd=tmp_path, capture_output=True, text=True, check=False
    )

    assert run.returncode == 2
    assert len(run.stderr.splitlines()) == 1
    assert said in run.stderr


@pytest.mark.parametrize("words", [("--help",), ("catalog", "schema"), ("status",), ("status", "--json"), ("doctor",)])
def test_leaves_quietly_when_nobody_reads(platform: Platform, words: tuple[str, ...]) -> None:
    shop = platform.shop()
    env = {**platform.env, "HOLDFAST_CATALOG": str(shop.catalog)}
    command = subprocess.Popen(
        [*HOLDFAST, *words], cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert command.stdout
    command.stdout.close()
    _, complaint = command.communicate(timeout=30)

    assert complaint == ""
    assert command.returncode == 128 + signal.SIGPIPE


def test_the_first_line_is_there_for_head(platform: Platform) -> None:
    shop = platform.shop()
    shell = f"{' '.join(HOLDFAST)} status --json --catalog {shop.catalog} | head -1"
    run = subprocess.run(
        ["bash", "-c", shell], cwd=ROOT, env=platform.env, capture_output=True, text=True, timeout=30, check=False
    )

    assert (run.stdout, run.stderr) == ("{\n", "")


def test_ctrl_c_ends_the_watching_and_not_the_rollout(platform: Platform) -> None:
    shop = platform.shop(bake="60s")
    platform.deploy(shop, "v1")
    with platform.traffic(shop), platform.deploying(shop, "v2") as deploying:
        platform.until_weight(shop, "10%")
        deploying.send_signal(signal.SIGINT)
        out, err = deploying.communicate(timeout=30)
        after = platform.state(shop)
        platform.order("abort", shop, "--note", "[/red] enough [")
        until(lambda: platform.state(shop)["phase"] == "rolled_back", "the end of the rollout")

    assert deploying.returncode == 130
    assert out == ""
    assert err.splitlines()[-1] == "No longer watching; the rollout goes on by itself."
    assert "Traceback" not in err
    assert after["phase"] == "progressing"
    # What a person wrote as the reason is no markup.
    every = platform.run("status", "--catalog", str(shop.catalog))
    assert every.returncode == 0
    assert "[/red] enough [" in every.stdout


def test_a_second_up_says_what_runs(platform: Platform) -> None:
    second = platform.run("up")

    assert second.returncode == 0
    assert f"already runs here: process {platform.record['pid']}" in second.stdout
    assert f"http://{platform.record['ui']}" in second.stdout
    assert "Ctrl-C there stops it." in second.stdout


def test_a_taken_port_is_named_with_its_holder_before_anything_starts(tmp_path: Path) -> None:
    alone = Platform(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        up = alone.run("up", env={"HOLDFAST_TEMPORAL_PORT": str(port)})

    assert up.returncode == 4
    assert re.search(rf"Port {port}, for Temporal, is taken by .+ \(process {os.getpid()}\)", up.stderr)
    assert "HOLDFAST_TEMPORAL_PORT" in up.stderr
    assert "Traceback" not in up.stderr
    assert alone.processes() == []


@pytest.mark.full
def test_a_killed_up_leaves_only_instances_and_the_next_one_adopts_them(own_platform: Platform) -> None:
    own_platform.start()
    shop = own_platform.shop()
    own_platform.deploy(shop, "v1")
    up = own_platform.part("starters.main", "up")

    up.kill()

    until(lambda: all(INSTANCE in words_of(p) for p in own_platform.processes()), "its children to end")
    survivors = {process.pid for process in own_platform.processes()}
    assert len(survivors) == 2
    own_platform.start()
    until(
        lambda: own_platform.run("doctor", "--catalog", str(shop.catalog)).returncode == 0,
        "the next one to serve",
        within=60,
    )
    assert {p.pid for p in own_platform.processes() if INSTANCE in words_of(p)} == survivors
    status = own_platform.order("status", shop, "--json")
    assert json.loads(status.stdout)["state"]["phase"] == "promoted"
    assert httpx.get(shop.url, trust_env=False).headers["x-holdfast-version"] == "v1"
    assert own_platform.stop() == 0
    assert own_platform.processes() == []


def test_deploy_without_waiting_says_where_to_watch(platform: Platform) -> None:
    shop = platform.shop()
    started = platform.run("deploy", shop.name, "v1", "--catalog", str(shop.catalog))
    page = f"http://{platform.record['ui']}/namespaces/default/workflows/rollout%2Flocal%2F{shop.name}"

    assert started.returncode == 0
    assert f"`holdfast status {shop.name} --watch`, or at {page}" in started.stdout
    assert platform.run("status", shop.name, "--watch", "--catalog", str(shop.catalog)).returncode == 0
