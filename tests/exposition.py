"""Reading what a `/metrics` page says: https://prometheus.io/docs/instrumenting/exposition_formats/."""

import re
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass

from models.quantities import HostPort


@dataclass(frozen=True)
class Sample:
    name: str
    labels: Mapping[str, str]
    value: float


def scrape(address: HostPort) -> list[Sample]:
    with urllib.request.urlopen(f"http://{address}/metrics", timeout=5) as response:
        text = bytes(response.read()).decode()
    return [_sample(line) for line in text.splitlines() if line and not line.startswith("#")]


def total(samples: list[Sample], name: str, **labels: str) -> float:
    """The sum of every series of this name with these labels; fails where there is none."""
    found = [sample.value for sample in samples if sample.name == name and labels.items() <= sample.labels.items()]
    assert found, f"no {name} with {labels} among {sorted({sample.name for sample in samples})}"
    return sum(found)


def _sample(line: str) -> Sample:
    match = re.fullmatch(r"([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)", line)
    assert match, line
    labels = dict(re.findall(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"', match[2] or ""))
    return Sample(match[1], labels, float(match[3]))
