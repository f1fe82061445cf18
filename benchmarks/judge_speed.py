"""What one judgement costs: a reading of ten metrics weighed and decided on, in milliseconds of processor time."""

import statistics
import time

from analysis.evidence import Reading, update
from analysis.verdicts import decide
from models.evidence import Evidence, JudgedMetric, Noise

METRICS, ROUNDS = 10, 400
MOST_MILLISECONDS = 5.0


def measure_speed() -> tuple[float, int]:
    """The median of many judgements, and the bytes of one metric's evidence in a heartbeat."""
    noise = Noise(own=0.5, burst=2.0, rate=0.01, minutes=1440)
    metrics = [JudgedMetric(name=f"metric {number}", noise=noise) for number in range(METRICS)]
    took = []
    for second in range(ROUNDS):
        begun = time.process_time()
        metrics = [_weighed(metric, second) for metric in metrics]
        decide(metrics, alpha=0.01, candidate="v3", stable="v2")
        took.append(1000 * (time.process_time() - begun))
    evidence: Evidence = metrics[0].evidence
    return statistics.median(took), len(evidence.model_dump_json())


def _weighed(metric: JudgedMetric, second: int) -> JudgedMetric:
    reading = Reading(1.0, 51.0, float(second % 3), 959.0, float(second % 17))
    return metric.model_copy(update={"evidence": update(metric.evidence, reading, metric.spec, metric.noise)})
