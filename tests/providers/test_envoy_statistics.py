"""Reading Envoy's statistics: all of them at first, then what changed."""

import pytest

from models.counters import Counters, LatencyHistogram
from providers.envoy_statistics import EnvoyStatistics

MEMBERS = "# TYPE envoy_cluster_membership_total gauge\n"
BOUNDS = (1.0, 2.5, 60000.0)


def an_answer(**requests: tuple[int, int, tuple[int, ...] | None]) -> str:
    """Of each cluster its requests, its errors and the counts of its histogram; Envoy leaves out what is 0."""
    members = "".join(f'envoy_cluster_membership_total{{envoy_cluster_name="{name}"}} 1\n' for name in requests)
    completed = "".join(
        f'envoy_cluster_upstream_rq_completed{{envoy_cluster_name="{name}"}} {total}\n'
        for name, (total, _, _) in requests.items()
        if total
    )
    by_class = "".join(
        f'envoy_cluster_upstream_rq_xx{{envoy_response_code_class="5",envoy_cluster_name="{name}"}} {bad}\n'
        for name, (_, bad, _) in requests.items()
        if bad
    )
    times = "".join(a_histogram(name, counts) for name, (_, _, counts) in requests.items() if counts)
    return (
        f"{MEMBERS}{members}\n# TYPE envoy_cluster_upstream_rq_completed counter\n{completed}\n"
        f"# TYPE envoy_cluster_upstream_rq_xx counter\n{by_class}\n"
        f"# TYPE envoy_cluster_upstream_rq_time histogram\n{times}\n"
    )


def a_histogram(name: str, counts: tuple[int, ...]) -> str:
    metric, label = "envoy_cluster_upstream_rq_time", f'envoy_cluster_name="{name}"'
    bounds = ("1", "2.5", "60000", "+Inf")
    lines = [f'{metric}_bucket{{{label},le="{le}"}} {sum(counts[: i + 1])}' for i, le in enumerate(bounds)]
    return "\n".join([*lines, f"{metric}_sum{{{label}}} 17.5", f"{metric}_count{{{label}}} {sum(counts)}", ""])


def times(*counts: int) -> LatencyHistogram:
    return LatencyHistogram(bounds_ms=BOUNDS, counts=counts)


def test_counts_requests_errors_and_times_of_those_who_are_asked_for() -> None:
    answer = an_answer(a=(5, 2, (1, 2, 0, 1)), b=(7, 0, (7, 0, 0, 0)), c=(9, 9, None))

    found = EnvoyStatistics().parsed(answer, {"a", "b", "d"})

    assert found == {
        "a": Counters(requests=5, errors=2, latency=times(1, 2, 0, 1)),
        "b": Counters(requests=7, latency=times(7, 0, 0, 0)),
    }


def test_a_cluster_that_envoy_knows_and_nobody_asked_anything_of_has_counted_nothing() -> None:
    found = EnvoyStatistics().parsed(an_answer(a=(5, 0, (5, 0, 0, 0)), b=(0, 0, None)), {"a", "b"})

    assert found["b"] == Counters(latency=times(0, 0, 0, 0))
    assert EnvoyStatistics().parsed(an_answer(b=(0, 0, None)), {"b"}) == {"b": Counters()}
    assert EnvoyStatistics().parsed("", {"b"}) == {}


def test_what_changed_is_read_anew_and_what_did_not_is_the_same() -> None:
    statistics = EnvoyStatistics()
    first = statistics.parsed(an_answer(a=(5, 0, (5, 0, 0, 0)), b=(7, 0, (7, 0, 0, 0))), {"a", "b"})

    second = statistics.parsed(an_answer(b=(7, 0, (7, 0, 0, 0)), a=(6, 1, (5, 0, 0, 1))), {"a", "b"})

    assert second["a"] == Counters(requests=6, errors=1, latency=times(5, 0, 0, 1))
    assert second["b"].latency is first["b"].latency


def test_there_are_never_more_errors_than_requests() -> None:
    """Envoy reads one counter after the other."""
    assert EnvoyStatistics().parsed(an_answer(a=(5, 6, None)), {"a"})["a"].errors == 5


@pytest.mark.parametrize(
    "text",
    [
        "hello",
        "<html># TYPE envoy_cluster_membership_total gauge\n",
        MEMBERS + "something else\n",
        MEMBERS + 'envoy_cluster_membership_total{envoy_cluster_name="a"} many\n',
        "# TYPE envoy_cluster_upstream_rq_time histogram\nsomething else\n",
        an_answer(a=(5, 0, (5, 0, 0, 0))).replace("_sum{", "_summary{"),
        an_answer(a=(5, 0, (5, 0, 0, 0))).replace('le="2.5"', 'at="2.5"'),
        an_answer(a=(5, 0, (5, 0, 0, 0)))[:-20],
    ],
)
def test_what_envoy_would_not_say_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"reads|begins|among"):
        EnvoyStatistics().parsed(text, {"a"})
