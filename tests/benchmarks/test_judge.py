"""The judge's benchmark measures the product's code, by opponents' own rules."""

import math
from dataclasses import replace

import numpy as np
import pytest

from analysis.dispersion import learn
from analysis.equals import wilson
from analysis.evidence import Reading, log_fine, log_worse, update
from benchmarks.judge import main
from benchmarks.judge_cells import Cell, cells
from benchmarks.judge_opponents import TOLERANCE, Z98, Looks, is_high
from benchmarks.judge_ours import judge
from benchmarks.judge_world import Traces, as_read, draw, past
from models.evidence import Evidence, EvidenceSpec, Noise

SPEC = EvidenceSpec()


def by_the_product(traces: Traces, row: int, noise: Noise) -> tuple[int, int]:
    told, seconds = as_read(traces)
    never = told.candidate_bad.shape[1]
    evidence, rolled_back, promoted = Evidence(), never, never
    for at in np.flatnonzero(seconds[row]):
        known = (told.candidate_known[row, at], told.stable_known[row, at])
        one = (
            (float(told.candidate_requests[row, at]), float(told.candidate_bad[row, at])) if known[0] else (None, None)
        )
        other = (float(told.stable_requests[row, at]), float(told.stable_bad[row, at])) if known[1] else (None, None)
        evidence = update(evidence, Reading(float(seconds[row, at]), *one, *other), SPEC, noise)
        if rolled_back == never and log_worse(evidence) >= math.log(1 / SPEC.alpha):
            rolled_back = int(at)
        if min(promoted, rolled_back) == never and log_fine(evidence) >= math.log(1 / SPEC.beta):
            promoted = int(at)
    return rolled_back, promoted


@pytest.mark.parametrize(
    "cell",
    [
        Cell("", traffic=20, ratio=5, share=0.5, lost=0.3),
        Cell("", traffic=20, ratio=5, lost=0.3, gone=True),
        Cell("", traffic=200, ratio=2, noise="own", rho=0.9, history=300, outage=True),
        Cell("", traffic=200, ratio=2, noise="own", rho=0.5, lost=0.4, gone=True, history=300),
        Cell("", traffic=2000, ratio=1.5, noise="restarts", history=1200),
    ],
    ids=["lost", "gone", "own", "own and gone", "restarts"],
)
def test_many_traces_at_once_are_judged_as_the_product_judges_each(cell: Cell) -> None:
    rng = np.random.default_rng(11)
    noises = [learn(past(replace(cell, traffic=cell.traffic), rng)) for _ in range(6)]
    traces = draw(cell, rng, len(noises), 5.0)

    judged = judge(traces, SPEC, noises)

    found = list(zip(judged.rolled_back, judged.promoted, strict=True))
    assert found == [by_the_product(traces, row, noise) for row, noise in enumerate(noises)]


def test_a_clear_shift_is_high_by_mann_whitney_and_no_shift_is_not() -> None:
    series = np.linspace(0.0, 0.01, 50)[None, :]

    assert is_high(series + 0.02, series).all()
    assert not is_high(series, series).any()
    assert not is_high(np.full((1, 50), np.nan), series).any()


def test_the_rule_is_high_just_as_the_interval_of_the_ordered_differences_says() -> None:
    chance = np.random.default_rng(5)
    for missing in (0.0, 0.3):
        candidate, stable = (chance.poisson(mean, (200, 25)) / 200.0 for mean in (3.2, 2.0))
        candidate[chance.random(candidate.shape) < missing] = np.nan
        expected = [high_by_sorting(one[~np.isnan(one)], other) for one, other in zip(candidate, stable, strict=True)]

        assert is_high(candidate, stable).tolist() == expected
        assert 0 < sum(expected) < len(expected)


def high_by_sorting(x: np.ndarray, y: np.ndarray) -> bool:
    differences = np.sort((x[:, None] - y[None, :]).ravel())
    n = x.size + y.size
    _, ties = np.unique(np.concatenate([x, y]), return_counts=True)
    variance = x.size * y.size / 12 * (n + 1 - float((ties.astype(float) ** 3 - ties).sum()) / (n * (n - 1)))
    rank = int(np.floor(differences.size / 2 - 0.5 - Z98 * np.sqrt(variance)))
    return bool(rank >= 0 and differences[rank] > TOLERANCE * abs(np.median(differences)))


def test_raised_confidence_spares_all_but_the_promised_share() -> None:
    rule = Looks(np.array([10.0, 20.0]), np.random.default_rng(5).normal(2, 1, (400, 2)))

    quantile = rule.honest(0.01)

    assert np.isfinite(rule.ends(Z98)).mean() > 0.1
    assert np.isfinite(rule.ends(quantile)).sum() == 4
    assert Looks(rule.minutes, rule.deviates - 9).honest(0.01) == Z98


def test_every_cell_has_a_name_of_its_own() -> None:
    names = [cell.name for cell in cells()]

    assert len(names) == len(set(names))


def test_an_interval_holds_its_share() -> None:
    assert wilson(0, 2000) == pytest.approx((0, 0.0019), abs=1e-4)
    assert wilson(20, 2000) == pytest.approx((0.0065, 0.0154), abs=1e-4)


def test_the_command_measures_a_cell_and_says_what_held(capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["--cells", "20/min, x5, share 1%", "--traces", "40", "--tick", "20"])

    said = capsys.readouterr()
    assert "held: 5 times the errors found" in said.out
    assert (code, "1 of 1" in said.err) == (0, True)
