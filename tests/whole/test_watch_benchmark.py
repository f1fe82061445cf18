"""The benchmark of many watches at once, with few."""

import json

import pytest

from benchmarks import watches


def test_every_watch_looks_each_second(capsys: pytest.CaptureFixture[str]) -> None:
    code = watches.main(["--watches", "120", "--seconds", "5", "--json"])

    found = json.loads(capsys.readouterr().out)
    assert found["watches"] == 120
    assert found["blind"] == 0
    assert 0 < found["looks"][0] <= found["looks"][1] <= found["looks"][2]
    assert code == (0 if found["held"] else 1)
