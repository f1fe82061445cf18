from datetime import timedelta

import pytest

from models.alert_expression import expression_text, parse_expression, read_expression
from models.mistakes import MistakeError


@pytest.mark.parametrize(
    ("text", "bound", "lasting"),
    [
        ("error_rate > 5% for 2m", 0.05, timedelta(minutes=2)),
        ("p99>800ms for 5m", 0.8, timedelta(minutes=5)),
        ("  p50 <= 1m30s ", 90.0, None),
        ("request_rate < 0.5/s", 0.5, None),
        ("query != -1e3", -1000.0, None),
    ],
)
def test_reads_what_people_write(text: str, bound: float, lasting: timedelta | None) -> None:
    read = read_expression(parse_expression(text))

    assert read.comparison.bound == pytest.approx(bound)
    assert read.lasting == lasting


def test_is_written_as_it_is_read() -> None:
    for text in ("error_rate > 5% for 2m", "p99 >= 800ms", "query != 500"):
        read = read_expression(text)
        assert expression_text(read.comparison, read.lasting or timedelta(0)) == text


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("error_rate > 0.05", "held against a percentage"),
        ("p99 > 800", "held against a duration"),
        ("query > many", "held against a number"),
        ("query > nan", "held against a number"),
        ("cpu > 5", "there is no figure cpu; there is error_rate"),
        ("error_rate > 5% for 2", "write it with a unit"),
        ("error_rate > 5% during 2m", "is not a comparison"),
        ("up == 0 or down == 1", "is not a comparison"),
        ("", "is not a comparison"),
        (5, "is not a comparison"),
    ],
)
def test_refuses_the_rest_with_a_sentence(text: object, says: str) -> None:
    with pytest.raises(MistakeError, match=says):
        parse_expression(text)
