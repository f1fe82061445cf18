"""One rollout is one trace, from the command through the workflow to every activity."""

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.collector import Collector, Span, collecting
from tests.whole.platform import Platform, Shop, finished, free_port, until

SECRET = "x-api-key=letmein"


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with collecting() as running:
        yield running


@pytest.fixture(scope="module")
def traced(tmp_path_factory: pytest.TempPathFactory, collector: Collector, temporal_cli: Path) -> Iterator[Platform]:
    platform = Platform(tmp_path_factory.mktemp("traced"))
    platform.env["OTEL_EXPORTER_OTLP_ENDPOINT"] = collector.endpoint
    platform.env["OTEL_EXPORTER_OTLP_HEADERS"] = SECRET
    try:
        platform.start()
        yield platform
    finally:
        platform.end()


def the_trace(collector: Collector, shop: Shop) -> list[Span]:
    """Every span of the last rollout of this shop, once all that began has arrived."""

    def spans() -> list[Span]:
        workflow = f"rollout/local/{shop.name}"
        starts = [span for span in collector.named("StartWorkflow:Rollout") if workflow in span.attributes.values()]
        return collector.spans(starts[-1].trace) if starts else []

    def is_whole() -> bool:
        names = Counter(span.name for span in spans())
        calls = [name.removeprefix("StartActivity:") for name in names if name.startswith("StartActivity:")]
        awaited = [call for call in calls if names[f"RunActivity:{call}"] < names[f"StartActivity:{call}"]]
        return names["holdfast deploy"] > 0 and names["RunWorkflow:Rollout"] > 0 and not awaited and not orphans()

    def orphans() -> list[str]:
        known = {"", *(span.id for span in spans())}
        return [span.name for span in spans() if span.parent not in known and not ASIDE.search(span.name)]

    until(is_whole, "the trace to be whole")
    return spans()


def within(spans: list[Span]) -> set[tuple[str, str, str]]:
    """Which process did what, and within what; a worker that was killed may have taken that with it."""
    by_id = {"": "", **{span.id: span.name for span in spans}}
    return {(span.service, span.name, by_id.get(span.parent, "lost")) for span in spans}


def an_activity(name: str) -> set[tuple[str, str, str]]:
    group = "traffic" if name.startswith("traffic") else "deploys"
    return {
        ("holdfast-worker-rollouts", f"StartActivity:{name}", "RunWorkflow:Rollout"),
        (f"holdfast-worker-{group}", f"RunActivity:{name}", f"StartActivity:{name}"),
    }


WHOLE_ROLLOUT = {
    ("holdfast-command", "holdfast deploy", ""),
    ("holdfast-command", "StartWorkflow:Rollout", "holdfast deploy"),
    ("holdfast-worker-rollouts", "RunWorkflow:Rollout", "StartWorkflow:Rollout"),
    *an_activity("traffic.current"),
    *an_activity("deploy.instances"),
    *an_activity("deploy.start"),
    *an_activity("traffic.apply"),
    *an_activity("traffic.watch"),
    *an_activity("deploy.stop"),
}


ASIDE = re.compile(r"[Gg]uard|[Rr]ecord|HandleUpdate")
"""What belongs to the guard and to the records, which end in their own time."""

GUARDED = {
    ("holdfast-worker-guards", "StartUpdateWithStartWorkflow:ServiceGuard", "RunActivity:guard.acquire"),
    ("holdfast-worker-guards", "HandleUpdate:acquire", "StartUpdateWithStartWorkflow:ServiceGuard"),
    ("holdfast-worker-guards", "HandleUpdate:release", "StartUpdateWithStartWorkflow:ServiceGuard"),
}


def test_a_deploy_is_one_trace_from_the_command_to_every_activity(traced: Platform, collector: Collector) -> None:
    shop = traced.shop(bake="1s")
    traced.deploy(shop, "v1")
    with traced.traffic(shop):
        traced.deploy(shop, "v2")
    spans = the_trace(collector, shop)
    (root,) = [span for span in spans if not span.parent]

    assert {link for link in within(spans) if not ASIDE.search(" ".join(link))} == WHOLE_ROLLOUT
    assert within(spans) >= GUARDED
    assert all(root.began <= span.began and span.ended <= root.ended for span in spans if span.service == root.service)
    assert not any(span.failed for span in spans)
    assert len(collector.named("holdfast deploy")) == 2


@pytest.mark.full
def test_no_span_comes_twice_or_without_its_parent_although_a_worker_died(
    traced: Platform, collector: Collector
) -> None:
    shop = traced.shop(bake="4s")
    traced.deploy(shop, "v1")
    with traced.traffic(shop), traced.deploying(shop, "v2") as deploying:
        traced.until_weight(shop, "10%")
        until_sent(collector, shop, "StartActivity:traffic.watch")
        traced.kill("worker", "rollouts")
        code, _ = finished(deploying)
    spans = the_trace(collector, shop)
    calls = Counter(
        span.name for span in spans if span.name.startswith("StartActivity:") and not ASIDE.search(span.name)
    )

    assert code == 0
    assert {link for link in within(spans) if not ASIDE.search(" ".join(link))} == WHOLE_ROLLOUT
    assert within(spans) >= GUARDED
    assert max(Counter(span.id for span in spans).values()) == 1
    assert Counter(span.name for span in spans)["RunWorkflow:Rollout"] == 1
    assert calls == {
        "StartActivity:traffic.current": 1,
        "StartActivity:deploy.instances": 4,
        "StartActivity:deploy.start": 1,
        "StartActivity:traffic.apply": 3,
        "StartActivity:traffic.watch": 2,
        "StartActivity:deploy.stop": 1,
    }


def until_sent(collector: Collector, shop: Shop, name: str) -> None:
    """A worker that is killed takes what it has not sent yet with it: a second's worth of spans at most."""
    until(
        lambda: any(f"rollout/local/{shop.name}" in span.attributes.values() for span in collector.named(name)),
        f"{name} to be sent",
    )


def test_what_failed_is_marked_and_neither_texts_nor_payloads_nor_keys_are_sent(
    traced: Platform, collector: Collector
) -> None:
    shop = traced.shop(bake="1s")
    result = traced.deploy(shop, "v5", expect=1)
    spans = the_trace(collector, shop)
    failed = {span.name for span in spans if span.failed}

    assert {"RunActivity:deploy.start", "holdfast deploy"} <= failed
    assert result["reason"].encode() not in collector.raw
    assert b"examples.shop.server" not in collector.raw
    assert b"letmein" not in collector.raw
    assert all(headers["x-api-key"] == "letmein" for headers in collector.headers_seen)


@pytest.mark.full
def test_a_collector_that_is_away_leaves_a_commands_output_and_exit_code_as_they_are(platform: Platform) -> None:
    shop = platform.shop()
    away = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{free_port()}"}
    run = platform.run("status", "--catalog", str(shop.catalog), env=away)

    assert (run.returncode, run.stderr) == (0, "")
