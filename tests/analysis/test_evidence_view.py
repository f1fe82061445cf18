"""Evidence as people read it."""

from analysis.evidence_view import evidence_rows
from models.evidence import Decision, Judgement, MetricFinding


def line(**changes: object) -> str:
    finding = MetricFinding(
        metric="errors", worse=3.2, worse_needed=100, fine=1.5, fine_needed=20, requests_needed=1200, text="v2 fails"
    ).model_copy(update=changes)
    judgement = Judgement(decision=Decision.GO_ON, reason="", findings=(finding,))
    (row,) = evidence_rows(judgement)
    return "; ".join(row)


def test_it_says_how_far_it_is_either_way_and_what_is_missing() -> None:
    assert line() == "errors: v2 fails; evidence: worse 3.2 of 100, good enough 1.5 of 20, about 1,200 more requests"


def test_it_says_nothing_of_what_cannot_be_told() -> None:
    assert line(requests_needed=None) == "errors: v2 fails; evidence: worse 3.2 of 100, good enough 1.5 of 20"
    assert line(worse_needed=None, fine=35.0) == "errors: v2 fails; evidence: good enough is shown"
