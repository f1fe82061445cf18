"""What people are told of equals."""

import pytest

from analysis.equals import Sums, rate_of
from analysis.equals_view import catalog_lines, doubts, rate_words, report_lines
from models.equals import EqualsReport
from models.evidence import Noise
from models.judge_spec import NoiseSpec

LEARNT = NoiseSpec.of(
    Noise(own=0.43219, burst=2.0, spell=2.5, swing=0.29394, bursts=0.0014, rate=0.0000123456, minutes=40_316)
)
BLOCK = "{own: 0.432, burst: 2, spell: 2.5, swing: 0.294, bursts: 0.14%, rate: 0.00123%, minutes: 40300}"
ENOUGH = Sums(minutes=5000, requests=1e6, bad=1e4)
KEPT = rate_of([False] * 500)


def a_report(noise: NoiseSpec | None = LEARNT) -> EqualsReport:
    return EqualsReport(
        service="shop",
        source="Prometheus",
        periods=("v1: a beside the others",),
        minutes=40_316,
        requests=80_514_233,
        bad=805_870,
        promised=0.01,
        noise=noise,
        as_set=rate_of([True] * 47 + [False] * 625),
        with_noise=KEPT if noise else None,
    )


def test_every_number_of_noise_has_its_place_in_the_catalog() -> None:
    assert list(NoiseSpec.model_fields) == list(Noise.model_fields)
    kept = {
        "own": 0.432,
        "burst": 2.0,
        "spell": 2.5,
        "swing": 0.294,
        "bursts": 0.0014,
        "rate": 0.0000123,
        "minutes": 40_300,
    }
    assert LEARNT.noise.model_dump() == pytest.approx(kept)


def test_the_block_for_the_catalog_is_written_without_exponents() -> None:
    assert catalog_lines(LEARNT) == ["compare:", f"  noise: {BLOCK}"]


def test_what_was_not_found_is_not_written() -> None:
    noise = NoiseSpec.of(Noise(own=0.0, rate=0.01, minutes=40_316))

    assert catalog_lines(noise) == ["compare:", "  noise: {own: 0, rate: 1%, minutes: 40300}"]


def test_a_report_reads_as_the_page_shows_it() -> None:
    assert report_lines(a_report()) == [
        "shop beside itself, by Prometheus, 1 pair of groups: 40,316 minutes, 80,514,233 requests, 805,870 of them bad",
        "",
        "own       0.432  over an hour, the rates of two equal groups differ by some 8%",
        "burst         2  as many minutes' errors came at once in one group",
        "spell       2.5  minutes for which two equal groups stay apart",
        "swing     0.294  so long their rates differ by some 34%",
        "bursts    0.14%  of one group's minutes have a burst",
        "rate   0.00123%  of all requests were bad",
        "",
        "For the catalog, in rollout.judge of the service:",
        "",
        "compare:",
        f"  noise: {BLOCK}",
        "",
        "Equals rolled back, of watches of up to an hour (promised: at most 1%):",
        "  by the catalog as it stands  47 of 672, 7% (95% interval 5.3% to 9.2%): broken",
        "  with this noise              0 of 500, 0% (95% interval 0% to 0.76%): kept",
    ]


def test_without_noise_there_is_no_block() -> None:
    lines = report_lines(a_report(noise=None))

    assert not any("noise" in line for line in lines)
    assert len(lines) == 4


def test_nothing_to_look_at_is_said() -> None:
    assert rate_words(rate_of([]), 0.01) == "none to look at"


def test_doubts_are_told_where_there_are_any() -> None:
    def told(seen: Sums, watches: list[bool], *, only_promoted: bool = False) -> list[str]:
        rate = rate_of(watches) if seen.bad >= 30 else None
        return [doubt.split(":")[0][:50] for doubt in doubts(seen, rate, 0.01, only_promoted=only_promoted)]

    assert told(ENOUGH, [False] * 500) == []
    assert told(ENOUGH, [False] * 40) == ["40 watches are too few to tell whether at most 1% "]
    assert told(ENOUGH, [True] * 40) == ["Even with what one half of the time taught, more a"]
    assert told(ENOUGH._replace(minutes=100), [False] * 500)[0].startswith("100 minutes are little")
    assert told(ENOUGH._replace(bad=3), [])[0].startswith("Only 3 requests were bad")
    assert told(ENOUGH, [False] * 500, only_promoted=True)[0].startswith("Only rollouts that were promoted count")
