"""Evidence in the words of a person who watches it grow."""

from models.evidence import Judgement, MetricFinding


def evidence_rows(judgement: Judgement) -> tuple[tuple[str, str], ...]:
    """Of each metric: what was seen; how far the evidence is either way, and what it still needs."""
    return tuple((f"{finding.metric}: {finding.text}", _evidence(finding)) for finding in judgement.findings)


def _evidence(finding: MetricFinding) -> str:
    if finding.fine >= finding.fine_needed:
        fine = "good enough is shown"
    elif finding.requests_needed is None:
        fine = f"good enough {_amount(finding.fine)} of {_amount(finding.fine_needed)}"
    else:
        fine = (
            f"good enough {_amount(finding.fine)} of {_amount(finding.fine_needed)}, "
            f"about {finding.requests_needed:,} more requests"
        )
    worse = (
        "" if finding.worse_needed is None else f"worse {_amount(finding.worse)} of {_amount(finding.worse_needed)}, "
    )
    return f"evidence: {worse}{fine}"


def _amount(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 or value == int(value) else f"{value:.1f}"  # noqa: PLR2004 - two digits
