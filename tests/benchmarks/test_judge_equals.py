"""The benchmark of equals runs the product's judge over pasts that it makes up."""

import pytest

from benchmarks.judge_equals import cells, main


def test_the_command_measures_one_kind_by_what_is_assumed_and_by_what_was_learnt(
    capsys: pytest.CaptureFixture[str],
) -> None:
    code = main(["--services", "1", "--only", "rho 0.9), 2,000"])

    said = capsys.readouterr().out
    assert code == 0
    assert said.count("  assumed  ") == said.count("  learnt   ") == 3
    assert ": broken" in said
    assert "What was learnt keeps the promise" in said


def test_every_kind_has_a_name_of_its_own() -> None:
    names = [cell.name for cell in cells()]

    assert len(names) == len(set(names)) == 27
