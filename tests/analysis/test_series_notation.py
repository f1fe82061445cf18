import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.series_notation import Gap, parse_series, parse_values
from models.mistakes import MistakeError

MISSING, STALE = Gap.MISSING, Gap.STALE


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("1 2 3", (1, 2, 3)),
        ("-2+4x3", (-2, 2, 6, 10)),
        ("1-2x4", (1, -1, -3, -5, -7)),
        ("1x4", (1, 1, 1, 1, 1)),
        ("1 _x3 stale", (1, MISSING, MISSING, MISSING, STALE)),
        ("_ 1e3", (MISSING, 1000)),
        ("5% 1%x1", (0.05, 0.01, 0.01)),
        ("0+10x0", (0,)),
        ("", ()),
    ],
)
def test_reads_promtools_notation(text: str, values: tuple[object, ...]) -> None:
    assert parse_values(text) == values


def test_reads_what_is_no_number() -> None:
    (value,) = parse_values("NaN")
    assert isinstance(value, float)
    assert math.isnan(value)


@pytest.mark.parametrize("text", ["one", "1x", "x3", "1+x3", "1x99999999", "_x999999999999", "1..2", "1 + 2"])
def test_refuses_the_rest_and_names_the_word(text: str) -> None:
    with pytest.raises(MistakeError):
        parse_values(text)


@given(st.text(alphabet="0123456789+-x_.e%NaInfstle ", max_size=30))
def test_whatever_is_written_is_read_or_refused(text: str) -> None:
    try:
        values = parse_values(text)
    except MistakeError:
        return
    assert all(isinstance(value, float | Gap) for value in values)


def test_reads_series() -> None:
    assert parse_series('up{job="shop", instance="a\\"b"}').labels == (("instance", 'a"b'), ("job", "shop"))
    assert parse_series('{__name__="up"}').name == "up"
    assert parse_series("error_rate").labels == ()
    for text in ("", "{}", "up{job}", "up{job=shop}", 'up{job="a"', "1up"):
        with pytest.raises(MistakeError):
            parse_series(text)
