import json
import re
from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import BaseModel, JsonValue, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo
from ruamel.yaml import YAML

from models.alert_rules_spec import AlertFilesSpec, AlertRuleSpec, ServiceAlertsSpec
from models.alert_sources import GenericSource
from models.catalog import (
    BlueGreenPlan,
    CanaryPlan,
    CanaryStep,
    Catalog,
    RollingPlan,
    RolloutPlan,
    Service,
    catalog_schema,
)
from models.crashes import CrashLoopSpec
from models.deployment import HttpReadiness, ProcessDeployment
from models.freezes import FreezeSpec
from models.gateway_spec import (
    GatewaySpec,
    GenericSignature,
    GrafanaSignature,
    KeySpec,
    RateSpec,
    SenderSignature,
    SignaturesSpec,
)
from models.guard import GuardSpec, RestartBudget
from models.incident_spec import (
    FlapSpec,
    IncidentsSpec,
    Level,
    OpenAfter,
    Policy,
    Route,
    SeverityRule,
    Silence,
    StormSpec,
)
from models.judge_spec import (
    AfterSpec,
    CompareSpec,
    EnvoyMetrics,
    ErrorRateRule,
    JudgeSpec,
    LatencyRule,
    NoiseSpec,
    QueryRule,
)
from models.metric_sources import HttpMetrics, PrometheusMetrics
from models.notification import ConsoleTarget, WebhookTarget
from models.quantities import DURATION_RULE, parse_duration
from models.severity import ResponseTargets
from models.traffic import EnvoyTraffic
from tests.factories import a_service, a_step

PAGE = (Path(__file__).parents[2] / "docs" / "catalog.md").read_text(encoding="utf-8")

SECTIONS: dict[str, tuple[type[BaseModel], ...]] = {
    "The file": (Catalog,),
    "`services.<name>`": (Service,),
    "`services.<name>.deploy`": (ProcessDeployment,),
    "`services.<name>.deploy.ready`": (HttpReadiness,),
    "`services.<name>.traffic`": (EnvoyTraffic,),
    "`services.<name>.metrics`, Envoy": (EnvoyMetrics,),
    "`services.<name>.metrics`, Prometheus": (PrometheusMetrics,),
    "`services.<name>.metrics`, HTTP": (HttpMetrics,),
    "`services.<name>.rollout`, canary": (CanaryPlan,),
    "`services.<name>.rollout`, blue-green": (BlueGreenPlan,),
    "`services.<name>.rollout`, rolling": (RollingPlan,),
    "`services.<name>.rollout.steps[]`": (CanaryStep,),
    "`services.<name>.rollout.judge`": (JudgeSpec,),
    "`services.<name>.rollout.judge.crash_loop`": (CrashLoopSpec,),
    "`services.<name>.rollout.judge.compare`": (CompareSpec,),
    "`services.<name>.rollout.judge.compare.noise`": (NoiseSpec,),
    "`services.<name>.rollout.judge.after_promotion`": (AfterSpec,),
    "`services.<name>.rollout.judge.rules[]`": (ErrorRateRule, LatencyRule),
    "`services.<name>.rollout.judge.rules[]`, by query": (QueryRule,),
    "`services.<name>.guard`": (GuardSpec,),
    "`services.<name>.guard.restarts`": (RestartBudget,),
    "`services.<name>.alerts`": (ServiceAlertsSpec,),
    "`services.<name>.alerts.rules[]`": (AlertRuleSpec,),
    "`freezes[]`": (FreezeSpec,),
    "`incidents`": (IncidentsSpec,),
    "`incidents.severity[]`": (SeverityRule,),
    "`incidents.response`": (ResponseTargets,),
    "`incidents.routes[]`": (Route,),
    "`incidents.routes[].open_after`": (OpenAfter,),
    "`incidents.flapping`": (FlapSpec,),
    "`incidents.storm`": (StormSpec,),
    "`incidents.silences[]`": (Silence,),
    "`incidents.policies.<name>`": (Policy,),
    "`incidents.policies.<name>.levels[]`": (Level,),
    "`incidents.targets.<name>`, inbox": (ConsoleTarget,),
    "`incidents.targets.<name>`, webhook": (WebhookTarget,),
    "`incidents.sources.<name>`": (GenericSource,),
    "`gateway`": (GatewaySpec,),
    "`gateway.keys.<name>`": (KeySpec,),
    "`gateway.rate`": (RateSpec,),
    "`gateway.signatures`": (SignaturesSpec,),
    "`gateway.signatures.grafana`": (GrafanaSignature,),
    "`gateway.signatures.sentry`, `pagerduty`": (SenderSignature,),
    "`gateway.signatures.generic.<name>`": (GenericSignature,),
    "`alerts.<name>`": (AlertFilesSpec,),
}


def rows_of(heading: str) -> dict[str, str]:
    """Each key of a section's table, with its default."""
    section = PAGE.split(f"### {heading}\n")[1].split("\n#")[0]
    cells = [[cell.strip() for cell in line.split(" | ")] for line in section.splitlines() if line.startswith("| `")]
    return {row[0].removeprefix("| ").strip("`"): row[2].strip("`") for row in cells}


def written_fields(model: type[BaseModel]) -> dict[str, FieldInfo]:
    """The fields of a model by the names that people write."""
    return {field.alias or name: field for name, field in model.model_fields.items()}


def test_the_page_explains_every_model_of_the_catalog() -> None:
    definitions = catalog_schema()["$defs"]
    assert isinstance(definitions, dict)
    explained = {model.__name__ for models in SECTIONS.values() for model in models}
    assert explained == {*definitions, "Catalog"}


@pytest.mark.parametrize("heading", SECTIONS)
def test_the_page_names_every_key_and_no_other(heading: str) -> None:
    for model in SECTIONS[heading]:
        assert list(rows_of(heading)) == list(written_fields(model))


@pytest.mark.parametrize("heading", SECTIONS)
def test_the_page_states_the_defaults_in_force(heading: str) -> None:
    for model in SECTIONS[heading]:
        schema = model.model_json_schema()
        schema = schema["$defs"][model.__name__] if "$ref" in schema else schema  # one that holds others of its kind
        plain = (str, int, bool)
        for key, stated in rows_of(heading).items():
            field = written_fields(model)[key]
            assert (stated == "required") == field.is_required(), key
            default = None if field.is_required() else field.get_default(call_default_factory=True)
            if schema["properties"][key].get("pattern") == DURATION_RULE and not field.is_required():
                assert parse_duration(stated) == default, key
            elif isinstance(default, plain) and default != "":
                assert stated == json.dumps(default).strip('"'), key


def test_the_schema_forbids_unknown_keys_everywhere() -> None:
    schema = catalog_schema()
    definitions = schema["$defs"]
    assert isinstance(definitions, dict)
    for name, part in {**definitions, "Catalog": schema}.items():
        assert isinstance(part, dict)
        assert part["additionalProperties"] is False, name
        assert part["description"], name
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["title"] == "Holdfast catalog"


def test_every_default_in_the_schema_fits_its_own_pattern() -> None:
    checked = 0
    for part in schemas_within(catalog_schema()):
        pattern, default = part.get("pattern"), part.get("default")
        if isinstance(pattern, str) and default is not None:
            assert re.search(pattern, str(default)), part
            checked += 1
    assert checked >= 6


def schemas_within(value: JsonValue) -> list[dict[str, JsonValue]]:
    if isinstance(value, dict):
        return [value, *(part for item in value.values() for part in schemas_within(item))]
    return [part for item in value for part in schemas_within(item)] if isinstance(value, list) else []


def test_weights_must_rise() -> None:
    with pytest.raises(ValidationError, match="weights must rise from step to step: 10% comes after 50%"):
        CanaryPlan(steps=(a_step(50.0), a_step(10.0)))


def test_a_step_may_keep_the_weight_of_the_one_before() -> None:
    assert len(CanaryPlan(steps=(a_step(10.0), a_step(10.0))).steps) == 2


def test_a_step_without_traffic_is_refused() -> None:
    with pytest.raises(ValidationError, match="cannot be judged"):
        CanaryPlan(steps=(a_step(0.0),))


@pytest.mark.parametrize(
    "plan", [{"steps": [{"weight": "5%", "bake": "1s"}]}, {"strategy": "blue-green", "bake": "1s"}]
)
def test_a_lease_is_between_five_seconds_and_ten_minutes(plan: dict[str, JsonValue]) -> None:
    for fits in ("5s", "30s", "10m"):
        assert a_plan({**plan, "lease": fits}).lease == parse_duration(fits)
    for misfit in ("4s", "11m"):
        with pytest.raises(ValidationError, match=f"a lease of {misfit} is outside 5s to 10m"):
            a_plan({**plan, "lease": misfit})


def a_plan(written: dict[str, JsonValue]) -> CanaryPlan | BlueGreenPlan | RollingPlan:
    plan: CanaryPlan | BlueGreenPlan | RollingPlan = TypeAdapter(RolloutPlan).validate_python(written)
    return plan


def test_a_rolling_rollout_has_32_batches_at_most() -> None:
    def a_service(instances: int, batch: int) -> Service:
        written = {
            "deploy": {"command": ["run", "{port}"], "instances": instances},
            "traffic": {"listen": "127.0.0.1:18080"},
            "rollout": {"strategy": "rolling", "bake": "1m", "batch": batch},
        }
        return Service.model_validate(written)

    assert a_service(100, 4).deploy.instances == 100
    with pytest.raises(
        ValidationError, match=r"100 instances in batches of 3 are more than 32 .* allowed is 4 or more"
    ):
        a_service(100, 3)


def test_two_services_cannot_listen_on_one_address() -> None:
    shop = a_service(listen="127.0.0.1:80")
    with pytest.raises(ValidationError, match=r"services a and b both listen on 127\.0\.0\.1:80"):
        Catalog(version=1, services={"a": shop, "b": shop})


def test_a_catalog_survives_the_wire() -> None:
    catalog = Catalog(version=1, services={"shop": a_service()})
    assert Catalog.model_validate_json(catalog.model_dump_json()) == catalog


def written_service(**changes: object) -> dict[str, object]:
    return {
        "deploy": {"command": ["run", "{port}"]},
        "traffic": {"listen": "127.0.0.1:18080"},
        "rollout": {"steps": [{"weight": "5%", "bake": "1s"}]},
        **changes,
    }


@pytest.mark.parametrize("changes", [{}, {"metrics": {}}, {"metrics": {"provider": "envoy"}}])
def test_without_another_word_metrics_are_envoys(changes: dict[str, object]) -> None:
    assert Service.model_validate(written_service(**changes)).metrics == EnvoyMetrics()


@pytest.mark.parametrize(
    "metrics",
    [
        PrometheusMetrics(
            provider="prometheus", url="http://a:9090", requests="n", errors="e", timeout=timedelta(seconds=1)
        ),
        HttpMetrics(provider="http", url="http://a/{{version}}", requests="n", errors="e", token="${env:TOKEN}"),
    ],
)
def test_metrics_of_a_service_survive_the_wire(metrics: PrometheusMetrics | HttpMetrics) -> None:
    service = Service.model_validate(written_service(metrics=metrics.model_dump()))

    assert Service.model_validate_json(service.model_dump_json()).metrics == metrics


@pytest.mark.parametrize(
    ("tick", "window", "said"),
    [
        ("1s", "500ms", "at least one tick"),
        ("1s", "601s", "at most 600 ticks; with this tick, 10m"),
        ("90s", "2m", "tick must lie between"),
    ],
)
def test_a_window_holds_one_tick_to_six_hundred(tick: str, window: str, said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        JudgeSpec.model_validate({"tick": tick, "window": window})
    assert JudgeSpec.model_validate({"tick": "1s", "window": "10m"}).window.total_seconds() == 600


BASELINE = {"compare": {"against": "baseline"}}


def test_a_canary_may_be_compared_with_a_baseline() -> None:
    steps = [{"weight": "5%", "bake": "1m"}, {"weight": "100%", "bake": "1m"}]
    service = Service.model_validate(written_service(rollout={"steps": steps, "judge": BASELINE}))

    assert service.rollout.judge.compare.against == "baseline"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"rollout": {"strategy": "blue-green", "bake": "1m", "judge": BASELINE}}, "only a canary .* a blue-green"),
        ({"rollout": {"strategy": "rolling", "bake": "1m", "judge": BASELINE}}, "only a canary .* a rolling"),
        ({"rollout": {"steps": [{"weight": "100%", "bake": "1m"}], "judge": BASELINE}}, "nothing left for a baseline"),
        (
            {
                "rollout": {
                    "steps": [{"weight": "5%", "bake": "1m"}],
                    "judge": {"compare": {"against": "baseline", "enabled": False}},
                }
            },
            "nothing is compared",
        ),
        (
            {
                "rollout": {"steps": [{"weight": "5%", "bake": "1m"}], "judge": BASELINE},
                "metrics": {"provider": "http", "url": "http://a/{{version}}", "requests": "n", "errors": "e"},
            },
            "provider envoy instead of http",
        ),
    ],
)
def test_a_baseline_that_would_be_of_no_use_is_refused(changes: dict[str, object], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        Service.model_validate(written_service(**changes))


def test_the_judges_page_shows_a_canary_beside_a_baseline() -> None:
    page = (Path(__file__).parents[2] / "docs" / "judgement.md").read_text(encoding="utf-8")
    (block,) = [block for block in re.findall(r"```yaml\n(.*?)```", page, re.DOTALL) if "against" in block]
    service = Service.model_validate(written_service(**YAML(typ="safe").load(block)))

    assert service.rollout.judge.compare.against == "baseline"
