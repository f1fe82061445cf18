import math

import pytest

from models.alert_templates import check_label_template, check_template, fill
from models.mistakes import MistakeError

LABELS = {"instance": "a:1", "job": "shop"}


@pytest.mark.parametrize(
    ("template", "value", "filled"),
    [
        ("{{ $labels.instance }} of {{$labels.job}}", 0.0, "a:1 of shop"),
        ("{{ .Labels.job }}: {{ .Value }}", 0.25, "shop: 0.25"),
        ("{{ $labels.none }}!", 0.0, "!"),
        ("{{ $value }}", 3.0, "3"),
        ("{{ $value | humanize }}", 1234567.0, "1.235M"),
        ("{{ $value | humanize }}", 0.00123, "1.23m"),
        ("{{ humanize $value }}", 0.0, "0"),
        ("{{ $value | humanizePercentage }}", 0.0712, "7.12%"),
        ("{{ $value | humanizeDuration }}", 3725.0, "1h 2m 5s"),
        ("{{ $value | humanizeDuration }}", 0.25, "250ms"),
        ('{{ printf "%.2f" $value }}s', 1.239, "1.24s"),
        ('{{ $value | printf "%.1f%%" }}', 1.25, "1.2%"),
        ("{{ $labels.job | toUpper }}", 0.0, "SHOP"),
        ("{{ $value }}", math.nan, "NaN"),
        ("{{ $value }}", math.inf, "+Inf"),
        ("{{ $value | humanizePercentage }}", None, "NaN"),
        ("100% of {nothing}", 0.0, "100% of {nothing}"),
    ],
)
def test_fills_in_as_prometheus_does(template: str, value: float | None, filled: str) -> None:
    assert fill(check_template(template), LABELS, value) == filled


@pytest.mark.parametrize(
    "template",
    [
        '{{ with query "up" }}{{ . | first }}{{ end }}',
        "{{ $externalLabels.region }}",
        "{{ range $labels }}{{ end }}",
        "{{ $value | unknown }}",
        "{{ $labels.a",
        '{{ template "x" . }}',
    ],
)
def test_refuses_what_is_not_filled_in(template: str) -> None:
    with pytest.raises(MistakeError):
        check_template(template)


def test_a_label_does_not_hold_the_value() -> None:
    with pytest.raises(MistakeError, match="another alert whenever that changes"):
        check_label_template("{{ $value }}")
    check_label_template("{{ $labels.instance }}")
