import contextlib
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from models.mistakes import MistakeError
from models.quantities import (
    Duration,
    HostPort,
    Percent,
    format_duration,
    format_percent,
    host_of,
    parse_duration,
    parse_host_port,
    parse_percent,
    port_of,
)


class Sample(BaseModel):
    wait: Duration = timedelta(seconds=1)
    share: Percent = 1.0
    listen: HostPort = "127.0.0.1:80"


@given(st.timedeltas(min_value=timedelta(0)))
def test_every_duration_reads_back_as_it_was_written(value: timedelta) -> None:
    assert parse_duration(format_duration(value)) == value


@given(st.floats(min_value=0, max_value=100))
def test_every_percentage_reads_back_as_it_was_written(value: float) -> None:
    assert parse_percent(format_percent(value)) == value


@given(st.timedeltas(min_value=timedelta(0)), st.floats(min_value=0, max_value=100))
def test_quantities_survive_the_wire(wait: timedelta, share: float) -> None:
    sample = Sample(wait=wait, share=share)
    assert Sample.model_validate_json(sample.model_dump_json()) == sample


@given(st.text() | st.integers() | st.floats() | st.booleans() | st.none())
def test_whatever_is_no_quantity_is_refused_with_a_value_error(value: object) -> None:
    for parse in (parse_duration, parse_percent, parse_host_port):
        with contextlib.suppress(ValueError):
            parse(value)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("250ms", 0.25), ("90s", 90), ("15m", 900), ("1h30m", 5400), ("2d", 172800), (" 1.5s ", 1.5), ("0s", 0)],
)
def test_durations_read_as_people_write_them(text: str, seconds: float) -> None:
    assert parse_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("value", ["", "5", 5, 5.0, True, None, "-5s", "5 s", "5S", "s", "1e3s", "٥s", timedelta(-1)])
def test_what_is_no_duration_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="duration"):
        parse_duration(value)


def test_a_duration_too_long_to_hold_is_refused() -> None:
    with pytest.raises(ValueError, match="longer than can be held"):
        parse_duration("9" * 30 + "d")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (timedelta(0), "0s"),
        (timedelta(milliseconds=250), "0.25s"),
        (timedelta(minutes=90), "1h30m"),
        (timedelta(days=2), "48h"),
        (timedelta(microseconds=1), "0.000001s"),
        (timedelta(seconds=-90), "-1m30s"),
    ],
)
def test_durations_are_written_for_people(value: timedelta, text: str) -> None:
    assert format_duration(value) == text


@pytest.mark.parametrize("value", ["5", "", None, True, False, "-1%", "1e-3%", "nan%", "٥%", [5]])
def test_what_is_no_percentage_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="percentage"):
        parse_percent(value)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -0.1, 100.1, 101, "100.1%", "9" * 400 + "%"])
def test_what_lies_outside_0_to_100_percent_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="outside 0% to 100%"):
        parse_percent(value)


@pytest.mark.parametrize(
    ("value", "text"), [(5.0, "5%"), (0.5, "0.5%"), (1e-7, "0.0000001%"), (-0.0, "0%"), (33.3, "33.3%")]
)
def test_percentages_are_written_without_exponent(value: float, text: str) -> None:
    assert format_percent(value) == text


@pytest.mark.parametrize("number", ["0.05", "5", "true", "null", "NaN"])
def test_a_bare_number_in_json_is_no_percentage(number: str) -> None:
    with pytest.raises(ValidationError, match="write it with its sign"):
        Sample.model_validate_json(f'{{"share": {number}}}')


def test_a_number_in_code_is_a_percentage() -> None:
    assert Sample(share=5).share == 5.0


@pytest.mark.parametrize("address", ["127.0.0.1:80", "[::1]:8080", "shop-1.local:65535"])
def test_addresses_come_apart_and_together(address: str) -> None:
    assert f"{host_of(parse_host_port(address))}:{port_of(address)}" == address


@pytest.mark.parametrize(
    "value", ["127.0.0.1", ":80", "a:0", "a:65536", "a:080", "a b:1", "http://a:1", "a:٨", None, 80]
)
def test_what_is_no_address_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="is not an address"):
        parse_host_port(value)


@pytest.mark.parametrize("digits", [101, 1_100_000])
def test_a_duration_of_any_length_is_refused_with_a_short_sentence(digits: int) -> None:
    with pytest.raises(MistakeError, match=r"is not a duration") as refused:
        parse_duration("9" * digits + "d")
    assert len(str(refused.value)) < 300
