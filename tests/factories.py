"""Values with good defaults, for tests to vary."""

from datetime import UTC, datetime, timedelta

from models.catalog import BlueGreenPlan, CanaryPlan, CanaryStep, RollingPlan, Service
from models.deployment import Instance, ProcessDeployment
from models.evidence import Comparison, Evidence
from models.guard import Acquire, Holder, LeaseKind
from models.ids import ServiceRef
from models.judge_spec import AfterSpec, CompareSpec, JudgeSpec
from models.judgement import Outcome, Verdict
from models.rollout import RolloutRequest
from models.traffic import EnvoyTraffic

SHOP = ServiceRef(environment="local", service="shop")
WHEN = datetime(2026, 1, 1, tzinfo=UTC)
SERVER_STARTS_WITHIN = timedelta(minutes=1)
"""On a busy machine; the SDK would give a server five seconds."""


def a_step(weight: float = 10.0, bake: float = 30.0, *, approval: bool = False) -> CanaryStep:
    return CanaryStep(weight=float(weight), bake=timedelta(seconds=bake), approval=approval)


def a_service(
    *steps: CanaryStep, instances: int = 2, listen: str = "127.0.0.1:18080", judge: JudgeSpec | None = None
) -> Service:
    return Service(
        deploy=ProcessDeployment(command=("run", "{port}"), instances=instances),
        traffic=EnvoyTraffic(listen=listen),
        rollout=CanaryPlan(steps=steps or (a_step(10.0), a_step(50.0)), judge=judge or JudgeSpec()),
    )


def a_blue_green_service(bake: float = 30.0, *, approval: bool = False) -> Service:
    plan = BlueGreenPlan(bake=timedelta(seconds=bake), approval=approval)
    return a_service().model_copy(update={"rollout": plan})


def a_rolling_service(instances: int = 3, *, batch: int = 1, approval: bool = False) -> Service:
    plan = RollingPlan(batch=batch, bake=timedelta(seconds=30), approval=approval)
    return a_service(instances=instances).model_copy(update={"rollout": plan})


def keeping(spec: Service, delay: timedelta = timedelta(minutes=10), *, watched: bool = False) -> Service:
    """The same, with the old version kept for a while after promotion; no time is skipped while that is watched."""
    judge = spec.rollout.judge.model_copy(update={"after_promotion": AfterSpec(enabled=watched)})
    changes = {"scale_down_delay": delay, "judge": judge}
    return spec.model_copy(update={"rollout": spec.rollout.model_copy(update=changes)})


def beside_a_baseline(spec: Service) -> Service:
    """The same canary, compared with a baseline."""
    judge = spec.rollout.judge.model_copy(update={"compare": CompareSpec(against="baseline")})
    return spec.model_copy(update={"rollout": spec.rollout.model_copy(update={"judge": judge})})


def a_request(version: str = "v2", spec: Service | None = None, ref: ServiceRef = SHOP) -> RolloutRequest:
    return RolloutRequest(ref=ref, version=version, spec=spec or a_service(), requested_by="ada")


def a_holder(name: str = "rollout/local/shop", run: str = "run-1") -> Holder:
    return Holder(workflow_id=name, run_id=run)


def an_acquire(
    ref: ServiceRef = SHOP, kind: LeaseKind = LeaseKind.ROLLOUT, *, holder: Holder | None = None, **more: object
) -> Acquire:
    asked = {"ref": ref, "kind": kind, "holder": holder or a_holder(), "requested_by": "ada", **more}
    return Acquire.model_validate(asked)


def an_instance(version: str, slot: int = 0) -> Instance:
    return Instance(
        name=f"{version}-{slot}",
        version=version,
        address=f"127.0.0.1:{20000 + slot}",
        pid=1000 + slot,
        started_at=WHEN,
        log=f"{version}-{slot}.log",
    )


def healthy() -> Verdict:
    return Verdict(outcome=Outcome.HEALTHY, reason="every rule held over 100 requests", requests=100)


def compared(verdict: Verdict, requests: int = 1000) -> Verdict:
    """The same, of a watch that saw so many requests of the two versions, none of them bad."""
    seen = Evidence(candidate_requests=requests / 2, stable_requests=requests / 2)
    return verdict.model_copy(update={"comparison": Comparison(errors=seen)})


def unhealthy() -> Verdict:
    return Verdict(outcome=Outcome.UNHEALTHY, reason="error_rate is 20%, allowed is 5%", requests=100, errors=20)


def inconclusive() -> Verdict:
    return Verdict(outcome=Outcome.INCONCLUSIVE, reason="only 3 of the 20 requests", requests=3)
