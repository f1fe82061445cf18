import json
import signal
from datetime import datetime
from pathlib import Path

import pytest

from examples.shop.tally import Tally, TrafficReport
from examples.shop.traffic import check_loopback
from tests.examples.programs import PATIENCE_SECONDS, Program, eventually, running, shop

MODULE = ("-m", "examples.shop.traffic")


def ended(program: Program) -> tuple[int, list[str], str]:
    said, complaints = program.communicate(timeout=PATIENCE_SECONDS)
    return program.returncode, said.splitlines(), complaints


def report_in(path: Path) -> TrafficReport | None:
    return TrafficReport.model_validate_json(path.read_bytes()) if path.exists() else None


def test_it_says_once_a_second_what_users_met_and_sums_up_in_the_end() -> None:
    with shop("v3") as it, running(*MODULE, "--url", it.url, "--rate", "40", "--seconds", "2.5") as traffic:
        code, lines, _ = ended(traffic)
    assert code == 0
    assert 2 <= len(lines[:-1]) <= 3
    assert all(line.startswith("ok ") and "v3 100%" in line for line in lines[:-1])
    assert lines[-1].startswith("in all: sent ")


def test_it_keeps_its_rate_when_answers_are_slow() -> None:
    with shop("v4") as it, running(*MODULE, "--url", it.url, "--rate", "50", "--seconds", "2", "--json") as traffic:
        code, lines, _ = ended(traffic)
    total = TrafficReport.model_validate_json(lines[-1])
    assert code == 0
    assert 60 <= total.sent <= 101
    assert total.ok == total.sent
    assert all(json.loads(line)["p95_ms"] >= 400 for line in lines[:-1] if json.loads(line)["ok"])


def test_the_report_is_whole_at_every_moment_and_kept_up_to_date(tmp_path: Path) -> None:
    path = tmp_path / "report.json"

    def enough() -> bool:
        report = report_in(path)
        return report is not None and report.ok >= 60 and report.failed >= 5

    with shop("v3") as it, running(*MODULE, "--url", it.url, "--rate", "100", "--report-file", str(path)) as traffic:
        eventually(enough)
        traffic.send_signal(signal.SIGTERM)
        code, lines, _ = ended(traffic)
    report = report_in(path)
    assert code == 0
    assert lines[-1].startswith("in all: sent ")
    assert report is not None
    assert report.sent == report.ok + report.failed
    assert report.by_version["v3"].failed == report.failed
    assert report.first_failure_at
    assert report.last_failure_at
    assert report.started_at <= report.first_failure_at <= report.last_failure_at <= report.updated_at
    assert [file.name for file in tmp_path.iterdir()] == ["report.json"]


def test_requests_that_nobody_answers_have_failed() -> None:
    with shop() as it:
        url = it.url
    with running(*MODULE, "--url", url, "--rate", "20", "--seconds", "1", "--json") as traffic:
        code, lines, _ = ended(traffic)
    total = TrafficReport.model_validate_json(lines[-1])
    assert code == 0
    assert total.failed == total.sent > 0
    assert total.by_version["unknown"].failed == total.sent


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("--url", "http://192.0.2.1/"), "192.0.2.1 is not this machine"),
        (("--rate", "501"), "501 is not a rate above 0 and up to 500 requests a second"),
        (("--rate", "nan"), "nan is not a rate"),
        (("--seconds", "0"), "0 is not a number of seconds above 0"),
    ],
)
def test_it_refuses_what_would_do_harm_or_nothing(words: tuple[str, ...], complaint: str) -> None:
    with running(*MODULE, *words) as traffic:
        code, _, complaints = ended(traffic)
    assert code == 2
    assert complaint in complaints


def test_a_report_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    path = str(tmp_path / "gone" / "report.json")
    with shop() as it, running(*MODULE, "--url", it.url, "--report-file", path) as traffic:
        code, _, complaints = ended(traffic)
    assert code == 1
    assert complaints.startswith(f"The report file {path} cannot be written: ")


@pytest.mark.parametrize("url", ["http://localhost:1", "http://127.0.0.1:1/x", "http://127.9.9.9", "http://[::1]:1"])
def test_this_machine_may_be_asked(url: str) -> None:
    assert check_loopback(url) == url


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com", "http://127.0.0.1.example.com", "http://localhost@192.0.2.1", "https://127.0.0.1",
        "127.0.0.1:80", "http://", "http://0.0.0.0", "http://[", "file:///etc/hosts", "http://2130706433",
    ],
)  # fmt: skip
def test_no_other_machine_may_be_asked(url: str) -> None:
    with pytest.raises(ValueError, match="is not"):
        check_loopback(url)


def test_a_second_tells_the_share_of_each_version() -> None:
    tally = Tally()
    for number in range(100):
        tally.sent()
        tally.ended("v2" if number < 10 else "v1", "500", ok=number != 0, milliseconds=float(number + 1))
    second = tally.take_second()
    assert (second.ok, second.failed, second.p95_ms) == (99, 1, 95.0)
    assert second.share == {"v1": 90.0, "v2": 10.0}
    assert tally.take_second().p95_ms is None
    assert tally.report().by_version["v2"].failed == 1
    assert isinstance(tally.report().first_failure_at, datetime)
