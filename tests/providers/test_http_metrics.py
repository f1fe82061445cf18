"""HttpMetrics against a real HTTP server."""

import gzip
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta

import pytest

from models.counters import Counters, LatencyHistogram
from models.judge_spec import EnvoyMetrics
from models.metric_sources import HttpMetrics
from providers import http_metrics, json_documents
from providers.errors import ProviderError
from runtime.secrets import resolve_secrets
from tests.providers.envoy_harness import SHOP, free_address
from tests.providers.json_server import JsonServer, Reply, json_server, of_json


@pytest.fixture
def server() -> Iterator[JsonServer]:
    with json_server() as server:
        yield server


@pytest.fixture
async def source() -> AsyncIterator[http_metrics.HttpMetrics]:
    source = http_metrics.HttpMetrics(lambda text: resolve_secrets(text, {"TOKEN": "hunter2", "BROKEN": "a\nb"}))
    yield source
    await source.aclose()


def a_spec(server: JsonServer, **changes: object) -> HttpMetrics:
    written = {
        "provider": "http",
        "url": f"{server.url}/stats/{{{{service}}}}?version={{{{version}}}}&env={{{{env}}}}",
        "requests": "answered.total",
        "errors": "answered.failed || `0`",
        **changes,
    }
    return HttpMetrics.model_validate(written)


async def test_each_versions_document_is_asked_for_once(server: JsonServer, source: http_metrics.HttpMetrics) -> None:
    documents: dict[str, object] = {
        "v1": {"answered": {"total": 100, "failed": 3}},
        "v2+a": {"answered": {"total": 7.0}},
    }
    server.answer = lambda asked: of_json(documents[asked.query["version"]])

    found = await source.snapshot(SHOP, a_spec(server), ["v1", "v2+a"])

    assert found.versions == {"v1": Counters(requests=100, errors=3), "v2+a": Counters(requests=7)}
    assert not found.left_out
    assert sorted((asked.path, asked.query["version"], asked.query["env"]) for asked in server.asked) == [
        ("/stats/shop", "v1", "local"),
        ("/stats/shop", "v2+a", "local"),
    ]


async def test_a_placeholder_stands_in_an_expression_too(server: JsonServer, source: http_metrics.HttpMetrics) -> None:
    server.answer = lambda asked: of_json({"1.0": {"n": 5, "bad": 1}})
    spec = a_spec(server, requests='"{{version}}".n', errors='"{{version}}".bad')

    assert (await source.snapshot(SHOP, spec, ["1.0"])).versions == {"1.0": Counters(requests=5, errors=1)}


@pytest.mark.parametrize("document", [{}, None, [], {"answered": {"total": None, "failed": 3}}, "text"])
async def test_a_document_without_requests_is_of_an_absent_version(
    server: JsonServer, source: http_metrics.HttpMetrics, document: object
) -> None:
    server.answer = lambda asked: of_json(document)

    assert (await source.snapshot(SHOP, a_spec(server), ["v1"])).versions == {}


async def test_a_histogram_is_read_in_its_own_unit(server: JsonServer, source: http_metrics.HttpMetrics) -> None:
    document = {"answered": {"total": 6}, "le": [0.1, 1.1], "n": [3, 2, 1]}
    server.answer = lambda asked: of_json(document)
    spec = a_spec(server, latency_bounds="le", latency_counts="n")

    found = await source.snapshot(SHOP, spec, ["v1"])

    assert found.versions["v1"].latency == LatencyHistogram(bounds_ms=(100.0, 1100.0), counts=(3, 2, 1))


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({"answered": {"total": -1}}, "answered.total is -1, below zero"),
        ({"answered": {"total": 0.5}}, "is 0.5, not a whole number: it must be a counter"),
        ({"answered": {"total": True}}, "is True, not a number"),
        ({"answered": {"total": "12"}}, "is '12', not a number"),
        ({"answered": {"total": [1]}}, "is a list of 1, not a number"),
        ({"answered": {"total": 10**40}}, "not a number"),
        ({"answered": {"total": 1, "failed": {"a": 1}}}, "is an object, not a number"),
        ({"answered": {"total": 1}, "le": [2, 1], "n": [1, 1, 1]}, "bounds do not rise"),
        ({"answered": {"total": 1}, "le": [1, 2], "n": [1, 1]}, "2 counts for 2 bounds"),
        ({"answered": {"total": 1}, "le": [1], "n": [1, 0.5]}, "0.5, not a whole number"),
        ({"answered": {"total": 1}, "n": [1]}, "le is nothing, not a list"),
    ],
)
async def test_what_is_no_counter_is_said_and_not_guessed(
    server: JsonServer, source: http_metrics.HttpMetrics, document: object, said: str
) -> None:
    server.answer = lambda asked: of_json(document)
    spec = a_spec(server, latency_bounds="le", latency_counts="n")

    with pytest.raises(ProviderError) as failure:
        await source.snapshot(SHOP, spec, ["v1"])

    assert said in str(failure.value)
    assert f"{server.url}/stats/shop answers about v1" in str(failure.value)


async def test_an_expression_that_fails_on_what_is_served_is_said(
    server: JsonServer, source: http_metrics.HttpMetrics
) -> None:
    server.answer = lambda asked: of_json({"answered": "soon"})

    with pytest.raises(ProviderError, match=r"sum\(answered\) cannot be found: In function sum\(\), invalid type"):
        await source.snapshot(SHOP, a_spec(server, requests="sum(answered)"), ["v1"])


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b'{"a": NaN}', b"[" * 100_000, b"\xff\xfe\xfa", b'{"a": 1' + b"0" * 5000]
)
async def test_what_is_not_json_is_said(server: JsonServer, source: http_metrics.HttpMetrics, body: bytes) -> None:
    server.answer = lambda asked: Reply(body)

    with pytest.raises(ProviderError, match="is not JSON: it begins with") as failure:
        await source.snapshot(SHOP, a_spec(server), ["v1"])

    assert failure.value.retryable


@pytest.mark.parametrize(
    ("reply", "retryable", "said"),
    [
        (Reply(b"no such thing", 404), False, "answers 404: 'no such thing'. Check the address"),
        (Reply(b"", 401), False, "answers 401: nothing. Check the token"),
        (Reply(b"", 302, {"location": "http://127.0.0.1:1/"}), False, "answers 302"),
        (Reply(b"", 500), True, "answers 500: nothing. It is asked again later"),
        (Reply(b"", 429, {"retry-after": "7"}), True, "answers 429"),
    ],
)
async def test_a_refusal_is_said_and_whether_to_try_again(
    server: JsonServer, source: http_metrics.HttpMetrics, reply: Reply, retryable: bool, said: str
) -> None:
    server.answer = lambda asked: reply

    with pytest.raises(ProviderError) as failure:
        await source.snapshot(SHOP, a_spec(server), ["v1"])

    assert said in str(failure.value)
    assert failure.value.retryable is retryable
    assert failure.value.retry_after == (timedelta(seconds=7) if reply.status == 429 else None)


async def test_a_source_that_wants_to_be_left_alone_for_ages_is_asked_again_within_the_hour(
    server: JsonServer, source: http_metrics.HttpMetrics
) -> None:
    server.answer = lambda asked: Reply(b"", 429, {"retry-after": "9" * 40})

    with pytest.raises(ProviderError) as failure:
        await source.snapshot(SHOP, a_spec(server), ["v1"])

    assert failure.value.retry_after == timedelta(hours=1)


async def test_an_answer_without_end_is_given_up_in_time(server: JsonServer, source: http_metrics.HttpMetrics) -> None:
    server.answer = lambda asked: Reply(b"{", slowly=True)

    with pytest.raises(ProviderError, match=r"does not answer within 0\.2s") as failure:
        await source.snapshot(SHOP, a_spec(server, timeout="200ms"), ["v1"])

    assert failure.value.retryable


async def test_an_answer_that_is_too_large_is_not_read_to_its_end(
    server: JsonServer, source: http_metrics.HttpMetrics
) -> None:
    server.answer = lambda asked: Reply(b" " * (json_documents.MOST_BYTES + 1), slowly=True)

    with pytest.raises(ProviderError, match="answers with more than 4 MiB"):
        await source.snapshot(SHOP, a_spec(server), ["v1"])


async def test_a_packed_answer_is_not_unpacked(server: JsonServer, source: http_metrics.HttpMetrics) -> None:
    server.answer = lambda asked: Reply(gzip.compress(b" " * 10_000_000), headers={"content-encoding": "gzip"})

    with pytest.raises(ProviderError, match="answers packed, though asked not to"):
        await source.snapshot(SHOP, a_spec(server), ["v1"])

    assert server.asked[0].headers["accept-encoding"] == "identity"


async def test_nobody_there_is_worth_another_try(server: JsonServer, source: http_metrics.HttpMetrics) -> None:
    address = free_address()

    with pytest.raises(ProviderError, match=rf"http://{address}/ does not answer \(.*see whether it runs") as failure:
        await source.snapshot(SHOP, a_spec(server, url=f"http://{address}/?key=hunter2"), ["v1"])

    assert failure.value.retryable
    assert "hunter2" not in str(failure.value)


async def test_a_token_is_sent_and_never_told(server: JsonServer, source: http_metrics.HttpMetrics) -> None:
    server.answer = lambda asked: of_json({"seen": asked.headers.get("authorization", "")}, 403)

    with pytest.raises(ProviderError, match="answers 403") as failure:
        await source.snapshot(SHOP, a_spec(server, token="${env:TOKEN}"), ["v1"])

    assert server.asked[0].headers["authorization"] == "Bearer hunter2"
    assert "hunter2" not in str(failure.value)


@pytest.mark.parametrize(
    ("token", "said"),
    [
        ("${env:GONE}", "environment variable GONE, which the catalog refers to, is not set"),
        ("${env:BROKEN}", r"holds what no token may.*Correct what \$\{env:BROKEN\} leads to"),
    ],
)
async def test_without_a_usable_token_nobody_is_asked(
    server: JsonServer, source: http_metrics.HttpMetrics, token: str, said: str
) -> None:
    with pytest.raises(ProviderError, match=said) as failure:
        await source.snapshot(SHOP, a_spec(server, token=token), ["v1"])

    assert not failure.value.retryable
    assert not server.asked


@pytest.mark.parametrize(
    ("document", "value"), [({"queue": {"v1": 12.5}}, 12.5), ({"queue": {"v1": None}}, None), ({}, None)]
)
async def test_a_query_finds_a_number_or_nothing(
    server: JsonServer, source: http_metrics.HttpMetrics, document: object, value: float | None
) -> None:
    server.answer = lambda asked: of_json(document)

    assert await source.measure(SHOP, a_spec(server), 'queue."{{version}}"', "v1") == value


async def test_a_query_that_finds_something_else_says_what(
    server: JsonServer, source: http_metrics.HttpMetrics
) -> None:
    server.answer = lambda asked: of_json({"queue": [1, 2]})

    with pytest.raises(ProviderError, match="queue is a list of 2, not a number"):
        await source.measure(SHOP, a_spec(server), "queue", "v1")


async def test_no_version_is_no_request(server: JsonServer, source: http_metrics.HttpMetrics) -> None:
    assert (await source.snapshot(SHOP, a_spec(server), [])).versions == {}
    assert not server.asked


async def test_another_providers_metrics_are_refused(source: http_metrics.HttpMetrics) -> None:
    with pytest.raises(ProviderError, match="with the metrics of envoy"):
        await source.snapshot(SHOP, EnvoyMetrics(), ["v1"])
