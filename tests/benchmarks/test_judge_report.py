"""What the judge's benchmark says it holds against other tools' rules, and against which of them."""

import pytest

from benchmarks.judge_cells import Cell
from benchmarks.judge_measure import OURS, Honest, Measured, Outcome
from benchmarks.judge_report import SHORT, Check, checks
from models.evidence import EvidenceSpec

GROWING = "kayenta growing"


def outcome(bad_served: float) -> Outcome:
    return Outcome(rolled_back=1, low=1, high=1, false=0, median=5, p95=9, bad_served=bad_served)


def measured(*, ours: float, growing: float, false: float, honest: float) -> Measured:
    """A cell in which growing looks serve `growing` bad requests, and `honest` with their confidence raised."""
    return Measured(
        cell=Cell("the cell", traffic=200, ratio=2.0),
        traces=2000,
        outcomes={**{name: outcome(1000) for name in SHORT}, OURS: outcome(ours), GROWING: outcome(growing)},
        promoted=0,
        promoted_median=None,
        noise=0,
        burst=0,
        honest={
            name: Honest(false if name == GROWING else 0.0, 0.99, outcome(honest if name == GROWING else 1000))
            for name in SHORT
            if name.startswith("kayenta")
        },
    )


def about_growing(cell: Measured) -> list[Check]:
    return [check for check in checks([cell], EvidenceSpec()) if GROWING in check.text and "bad requests" in check.text]


@pytest.mark.parametrize(("ours", "held"), [(90, True), (110, False)])
def test_a_rule_that_keeps_the_promise_is_held_against_as_it_is(ours: float, held: bool) -> None:
    found = about_growing(measured(ours=ours, growing=100, false=0.01, honest=500))

    assert [check.held for check in found if check.binding] == [held]
    assert ("the cell (110 against 100)" in found[0].text) is not held


@pytest.mark.parametrize("ours", [90, 160])
def test_a_rule_that_breaks_it_is_told_beside_with_its_confidence_raised(ours: float) -> None:
    found = about_growing(measured(ours=ours, growing=80, false=0.2, honest=150))

    assert [check.held for check in found if check.binding] == [True]
    (raised,) = (check for check in found if "confidence raised" in check.text)
    assert not raised.binding
    assert ("the cell (160 against 150)" in raised.text) is (ours == 160)


def test_where_the_rule_as_it_is_serves_fewer_is_said_with_its_false_rollbacks() -> None:
    found = about_growing(measured(ours=90, growing=80, false=0.2, honest=150))

    told = [check.text for check in found if not check.binding]
    assert any(
        "fewer bad requests in 1 of 1" in text and "the cell (90 against 80; 20.0% false)" in text for text in told
    )
