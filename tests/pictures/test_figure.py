"""What is drawn of a rollout, and that whatever is given something is drawn."""

import math
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models.evidence import MetricEvidence
from models.evidence_trail import TrailSample, VersionSample
from models.record import RolloutRecord
from models.rollout import Phase, TimelineEntry
from pictures.figure import Form, draw
from tests.factories import WHEN
from tests.records.factories import a_record
from tests.records.trails import a_sample, samples

BOTH = (Form.SVG, Form.PNG)
PNG = b"\x89PNG\r\n\x1a\n"


def size(png: bytes) -> tuple[int, int]:
    return int.from_bytes(png[16:20], "big"), int.from_bytes(png[20:24], "big")


def parsed(svg: bytes) -> ET.Element:
    return ET.fromstring(svg)  # noqa: S314 - our own


def texts(svg: bytes) -> str:
    """Text is drawn as outlines, so that it looks the same everywhere; it stands beside them in comments."""
    return svg.decode()


def test_both_forms_are_drawn_with_what_matters_in_words() -> None:
    drawn = draw(a_record(phase=Phase.ROLLED_BACK), samples(10, 300), BOTH)
    words = texts(drawn[Form.SVG])

    assert parsed(drawn[Form.SVG]).tag == "{http://www.w3.org/2000/svg}svg"
    assert drawn[Form.PNG].startswith(PNG)
    for part in (
        "shop v2", "ROLLED BACK", "error_rate is 20%, allowed is 5%", "canary against v1 in local", "Error rate",
        "Response time, p95", "Evidence from error rate", "v2 is worse", "100 needed", "20 needed", "exposed 0 s",
    ):  # fmt: skip
        assert f"<!-- {part}" in words, part


def test_the_same_input_gives_the_same_bytes_in_another_process_and_under_another_style(tmp_path: Path) -> None:
    (tmp_path / "matplotlibrc").write_text("lines.linewidth: 9\nfont.size: 30\nsavefig.dpi: 30\n")
    code = (
        "import sys, hashlib; from tests.pictures.test_figure import *\n"
        "drawn = draw(a_record(), samples(0, 30), BOTH)\n"
        "print(*(hashlib.sha256(drawn[form]).hexdigest() for form in BOTH))"
    )
    root = str(Path(__file__).parents[2])
    said = {
        subprocess.run(
            [sys.executable, "-c", code], cwd=where, env={"PYTHONPATH": root, "HOME": str(tmp_path)},
            capture_output=True, text=True, check=True,
        ).stdout
        for where in (root, tmp_path)
    }  # fmt: skip

    assert len(said) == 1
    assert draw(a_record(), samples(0, 30), BOTH) == draw(a_record(), reversed(samples(0, 30)), BOTH)


def test_without_samples_a_sentence_says_so() -> None:
    words = texts(draw(a_record(), (), [Form.SVG])[Form.SVG])

    assert "so there is nothing to draw" in words
    assert "shop v2" in words


def test_panels_of_what_is_not_known_are_left_out_or_say_so() -> None:
    bare = [
        TrailSample(at=WHEN + timedelta(seconds=second), seconds=1, weight=100.0, candidate="v2", stable=None)
        for second in range(5)
    ]
    words = texts(draw(a_record().model_copy(update={"stable_before": None}), bare, [Form.SVG])[Form.SVG])

    assert "No evidence was gathered" in words
    assert "No requests were counted" in words
    assert "Response time" not in words
    assert "the first version" in words


def test_times_without_metrics_are_marked() -> None:
    blind = (*samples(0, 3), a_sample(3).model_copy(update={"problem": "Envoy is away", "evidence": ()}))

    assert "metrics could not be read" in texts(draw(a_record(), blind, [Form.SVG])[Form.SVG])


@pytest.mark.parametrize(
    "reason", ["", "$x_1$ costs $5 \\frac", "a <b> & --> \x00 \x1b[31m\nlines", "漢字 🚢 " * 60, "x" * 999]
)
def test_whatever_is_written_in_a_reason_is_drawn_as_it_is(reason: str) -> None:
    record = a_record().model_copy(update={"reason": reason, "requested_by": reason, "strategy": reason})
    drawn = draw(record, samples(0, 3), BOTH)

    parsed(drawn[Form.SVG])
    assert size(drawn[Form.PNG])[0] == 1296


numbers = st.none() | st.integers(-(10**30), 10**30)
floats = st.floats(allow_nan=True, allow_infinity=True)
moments = st.datetimes(timezones=st.just(UTC)) | st.integers(-90_000, 900_000).map(
    lambda s: WHEN + timedelta(seconds=s / 10)
)
versions = st.builds(VersionSample, requests=numbers, bad=numbers, p95_ms=st.none() | floats)
evidence = st.builds(
    MetricEvidence,
    metric=st.sampled_from(["error_rate", "latency_p95", "_hidden $x", "", "a" * 99]),
    worse=floats, worse_needed=st.none() | floats, fine=floats, fine_needed=floats,
)  # fmt: skip
trails = st.builds(
    TrailSample,
    at=moments, seconds=floats, weight=st.floats(0, 100), candidate=st.just("v2"), stable=st.sampled_from([None, "v1"]),
    of_candidate=versions, of_stable=versions, evidence=st.lists(evidence, max_size=7).map(tuple),
    problem=st.none() | st.text(max_size=5),
)  # fmt: skip


@st.composite
def records(draw_one: st.DrawFn) -> RolloutRecord:
    some = st.none() | moments
    told = draw_one(
        st.lists(st.tuples(moments, st.sampled_from(["v2 receives 10%", "v2 receives much", "v2 is promoted"])))
    )
    return a_record(phase=draw_one(st.sampled_from(Phase)), started_at=draw_one(st.just(WHEN))).model_copy(
        update={
            "exposed_at": draw_one(some),
            "decided_at": draw_one(some),
            "off_at": draw_one(some),
            "ended_at": draw_one(some),
            "stable_before": draw_one(st.sampled_from([None, "v1"])),
            "timeline": tuple(TimelineEntry(at=at, text=text) for at, text in told),
        }
    )


@pytest.mark.slow
@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(records(), st.lists(trails, max_size=12))
def test_any_samples_are_drawn(record: RolloutRecord, trail: list[TrailSample]) -> None:
    drawn = draw(record, trail, BOTH)

    parsed(drawn[Form.SVG])
    assert drawn[Form.PNG].startswith(PNG)


def test_times_so_far_apart_that_they_are_hardly_times_are_drawn() -> None:
    eons = [a_sample(0, at=datetime.min.replace(tzinfo=UTC)), a_sample(0, at=datetime.max.replace(tzinfo=UTC))]

    assert draw(a_record(), eons, [Form.PNG])[Form.PNG].startswith(PNG)
    assert not math.isnan(size(draw(a_record(), eons[:1], [Form.PNG])[Form.PNG])[0])
