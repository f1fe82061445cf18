"""PrometheusMetrics against a real HTTP server that answers as Prometheus would, and as it would not."""

from collections.abc import AsyncIterator, Iterator

import pytest

from models.counters import Counters, LatencyHistogram
from models.judge_spec import EnvoyMetrics
from models.metric_sources import PrometheusMetrics
from providers import prometheus_metrics
from providers.errors import ProviderError
from runtime.secrets import resolve_secrets
from tests.providers.envoy_harness import SHOP, free_address
from tests.providers.json_server import Asked, JsonServer, Reply, json_server, of_json

REQUESTS = 'n{service="{{service}}",version="{{version}}",env="{{env}}"}'
ERRORS = 'bad{version="{{version}}"}'
LATENCY = 'took_bucket{version="{{version}}"}'


class Stub:
    """What Prometheus would find by a query that begins with a metric's name."""

    def __init__(self, server: JsonServer) -> None:
        self.server = server
        self.vectors: dict[str, list[dict[str, object]]] = {}
        self.warnings: list[str] = []
        server.answer = self._answer

    def _answer(self, asked: Asked) -> Reply:
        query = asked.query["query"]
        if query == "time()":
            return of_json(success("scalar", [1000.5, "1000.5"]))
        found = self.vectors.get(query.partition("{")[0], [])
        return of_json({**success("vector", found), "warnings": self.warnings})

    @property
    def queries(self) -> list[str]:
        return [asked.query["query"] for asked in self.server.asked]


def success(kind: str, result: object) -> dict[str, object]:
    return {"status": "success", "data": {"resultType": kind, "result": result}}


def a_series(value: str, **labels: str) -> dict[str, object]:
    return {"metric": labels, "value": [1000.5, value]}


def buckets(instance: str, **counts: str) -> list[dict[str, object]]:
    return [
        a_series(value, instance=instance, le=bound.removeprefix("le_").replace("_", "."))
        for bound, value in counts.items()
    ]


@pytest.fixture
def stub() -> Iterator[Stub]:
    with json_server() as server:
        yield Stub(server)


@pytest.fixture
async def source() -> AsyncIterator[prometheus_metrics.PrometheusMetrics]:
    source = prometheus_metrics.PrometheusMetrics(lambda text: resolve_secrets(text, {"TOKEN": "hunter2"}))
    yield source
    await source.aclose()


def a_spec(stub: Stub, **changes: object) -> PrometheusMetrics:
    written = {"provider": "prometheus", "url": f"{stub.server.url}/prom/", "requests": REQUESTS, "errors": ERRORS}
    return PrometheusMetrics.model_validate({**written, **changes})


Source = prometheus_metrics.PrometheusMetrics


async def test_series_are_parts_that_add_up(stub: Stub, source: Source) -> None:
    stub.vectors = {
        "n": [a_series("100", instance="a"), a_series("1e+06", instance="b")],
        "bad": [a_series("5", instance="b")],
    }

    found = await source.snapshot(SHOP, a_spec(stub), ["1.0+x"])

    assert found.versions == {"1.0+x": Counters(requests=1_000_100, errors=5)}
    assert sorted(part.requests for part in found.parts["1.0+x"].values()) == [0, 100, 1_000_000]
    assert sorted(stub.queries[1:], reverse=True) == [
        'n{service="shop",version="1.0+x",env="local"}',
        'bad{version="1.0+x"}',
    ]
    assert {asked.path for asked in stub.server.asked} == {"/prom/api/v1/query"}
    assert {asked.query.get("time") for asked in stub.server.asked[1:]} == {"1000.5"}


async def test_a_part_keeps_its_name_for_as_long_as_its_labels(stub: Stub, source: Source) -> None:
    stub.vectors = {"n": [a_series("1", instance="a", job="x"), a_series("1", instance="b", job="x")]}
    before = (await source.snapshot(SHOP, a_spec(stub), ["v1"])).parts["v1"]
    stub.vectors = {"n": [a_series("3", job="x", instance="b")]}
    after = (await source.snapshot(SHOP, a_spec(stub), ["v1"])).parts["v1"]

    assert len(before) == 2
    assert set(after) < set(before)


async def test_a_version_without_series_is_absent_and_no_errors_are_none(stub: Stub, source: Source) -> None:
    stub.server.answer = lambda asked: of_json(
        success("scalar", [1, "1"])
        if asked.query["query"] == "time()"
        else success(
            "vector", [a_series("4")] if asked.query["query"].startswith("n{") and "v1" in asked.query["query"] else []
        )
    )

    found = await source.snapshot(SHOP, a_spec(stub), ["v1", "v2"])

    assert found.versions == {"v1": Counters(requests=4, errors=0)}
    assert set(found.parts) == {"v1"}


async def test_histograms_of_several_instances_are_told_apart(stub: Stub, source: Source) -> None:
    stub.vectors = {
        "n": [a_series("9")],
        "took_bucket": [
            *buckets("a", le_0_1="1", le_1_1="3", **{"le_+Inf": "4"}),
            *buckets("b", **{"le_+Inf": "5"}, le_1_1="5", le_0_1="0"),
        ],
    }

    found = await source.snapshot(SHOP, a_spec(stub, latency=LATENCY), ["v1"])

    assert found.versions["v1"].latency == LatencyHistogram(bounds_ms=(100.0, 1100.0), counts=(1, 7, 1))
    assert sorted(part.latency.counts for part in found.parts["v1"].values() if part.latency.counts) == [
        (0, 5, 0),
        (1, 2, 1),
    ]


@pytest.mark.parametrize("value", ["NaN", "+Inf", "-Inf", "-1", "0.5", "1e300", "abc", ""])
async def test_a_sample_that_is_no_counter_is_left_out_and_told(stub: Stub, source: Source, value: str) -> None:
    stub.vectors = {"n": [a_series(value, instance="a"), a_series("7", instance="b")]}

    found = await source.snapshot(SHOP, a_spec(stub), ["v1"])

    assert found.versions == {"v1": Counters(requests=7)}
    (sentence,) = found.left_out
    assert sentence.startswith('Of requests of v1 by n{service="shop",version="v1",env="local"}, http://127.0.0.1:')
    assert '{"instance": "a"}, which is' in sentence
    assert sentence.endswith("it is left out.")


async def test_a_query_that_finds_nothing_but_rates_is_told_as_what_is_wrong(stub: Stub, source: Source) -> None:
    stub.vectors = {"n": [a_series("0.5")]}

    with pytest.raises(ProviderError, match=r"which is 0\.5, not a whole number: it must be a counter, not a rate"):
        await source.snapshot(SHOP, a_spec(stub), ["v1"])


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (buckets("a", le_1="1"), 'a histogram without the bucket le="+Inf"'),
        (buckets("a", le_1="3", **{"le_+Inf": "1"}), "whose buckets hold less the higher they reach"),
        ([a_series("1", instance="a")], "has no label le with a number"),
        (buckets("a", le_x="1"), "has no label le with a number"),
        (buckets("a", le_1="NaN", **{"le_+Inf": "1"}), "not a number of requests"),
        (buckets("a", **{"le_-1": "1", "le_+Inf": "1"}), "bounds do not rise from above zero"),
        ([{"metric": {"le": "1"}, "histogram": [1, {}]}], "not a number of requests"),
    ],
)
async def test_what_is_no_histogram_is_told(
    stub: Stub, source: Source, found: list[dict[str, object]], said: str
) -> None:
    stub.vectors = {"n": [a_series("9")], "took_bucket": found}

    with pytest.raises(ProviderError) as failure:
        await source.snapshot(SHOP, a_spec(stub, latency=LATENCY), ["v1"])

    assert said in str(failure.value)


async def test_more_series_than_can_be_told_apart_are_refused(stub: Stub, source: Source) -> None:
    stub.vectors = {"n": [a_series("1", instance=str(n)) for n in range(101)]}

    with pytest.raises(ProviderError, match=r"finds 101 series .* sum by \(instance\)"):
        await source.snapshot(SHOP, a_spec(stub), ["v1"])


async def test_what_prometheus_warns_of_is_passed_on(stub: Stub, source: Source) -> None:
    stub.vectors, stub.warnings = {"n": [a_series("1")]}, ["a store did not answer"]

    found = await source.snapshot(SHOP, a_spec(stub), ["v1"])

    assert "warns about requests of v1 by n{" in found.left_out[0]
    assert "a store did not answer" in found.left_out[0]


async def test_a_query_that_prometheus_refuses_is_told_in_its_own_words(stub: Stub, source: Source) -> None:
    stub.server.answer = lambda asked: of_json(
        {"status": "error", "errorType": "bad_data", "error": "unknown function with name nope"}, 400
    )

    with pytest.raises(ProviderError, match=r"refuses the query nope\(\): unknown function with name nope") as failure:
        await source.measure(SHOP, a_spec(stub), "nope()", "v1")

    assert not failure.value.retryable


@pytest.mark.parametrize(
    "answer",
    [
        [],
        {"status": "success"},
        {"status": "success", "data": {"resultType": "vector", "result": [{"value": 3}]}},
        {"status": "success", "data": {"resultType": "scalar", "result": []}},
        {"status": "error"},
    ],
)
async def test_a_stranger_is_told(stub: Stub, source: Source, answer: object) -> None:
    stub.server.answer = lambda asked: of_json(answer)

    with pytest.raises(ProviderError, match="does not speak like Prometheus") as failure:
        await source.measure(SHOP, a_spec(stub), "up", "v1")

    assert failure.value.retryable


@pytest.mark.parametrize("status", [400, 503])
async def test_a_refusal_that_is_not_prometheus_own_is_told(stub: Stub, source: Source, status: int) -> None:
    stub.server.answer = lambda asked: Reply(b"busy", status)

    with pytest.raises(ProviderError, match=f"answers {status}: 'busy'") as failure:
        await source.snapshot(SHOP, a_spec(stub), ["v1"])

    assert failure.value.retryable is (status == 503)


@pytest.mark.parametrize(
    ("result", "value"),
    [
        (("scalar", [1, "2.5"]), 2.5),
        (("scalar", [1, "NaN"]), None),
        (("vector", []), None),
        (("vector", [a_series("-0.25")]), -0.25),
        (("vector", [a_series("NaN")]), None),
        (("vector", [a_series("+Inf")]), None),
    ],
)
async def test_a_query_finds_a_number_or_nothing(
    stub: Stub, source: Source, result: tuple[str, object], value: float | None
) -> None:
    stub.server.answer = lambda asked: of_json(success(*result))

    assert await source.measure(SHOP, a_spec(stub), 'x{version=~"{{version}}-.*"}', "1.0") == value
    assert stub.queries == [r'x{version=~"1\\.0-.*"}']


@pytest.mark.parametrize(
    ("result", "said"),
    [
        (("vector", [a_series("1"), a_series("2", a="b")]), "finds 2 series by up, where one number is needed"),
        (("matrix", []), "finds a matrix where the newest values"),
        (("string", [1, "x"]), "finds a string where"),
    ],
)
async def test_a_query_that_finds_something_else_says_what(
    stub: Stub, source: Source, result: tuple[str, object], said: str
) -> None:
    stub.server.answer = lambda asked: of_json(success(*result))

    with pytest.raises(ProviderError, match=said) as failure:
        await source.measure(SHOP, a_spec(stub), "up", "v1")

    assert not failure.value.retryable


async def test_a_token_is_sent_with_every_query(stub: Stub, source: Source) -> None:
    await source.snapshot(SHOP, a_spec(stub, token="${env:TOKEN}"), ["v1", "v2"])

    assert {asked.headers["authorization"] for asked in stub.server.asked} == {"Bearer hunter2"}
    assert len(stub.server.asked) == 5


async def test_nobody_there_is_worth_another_try(stub: Stub, source: Source) -> None:
    with pytest.raises(ProviderError, match=r"/api/v1/query does not answer") as failure:
        await source.snapshot(SHOP, a_spec(stub, url=f"http://{free_address()}"), ["v1"])

    assert failure.value.retryable


async def test_another_providers_metrics_are_refused(source: Source) -> None:
    with pytest.raises(ProviderError, match="with the metrics of envoy"):
        await source.measure(SHOP, EnvoyMetrics(), "up", "v1")
