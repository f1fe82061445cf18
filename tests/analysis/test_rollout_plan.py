"""Plans."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from analysis.rollout_plan import describe_step, starting_point, steps_for
from models.catalog import Service
from models.deployment import Instances
from models.ids import baseline_of
from models.judge_spec import CompareSpec, JudgeSpec
from models.rollout import Bake, DeployStep, Keep, Retire, ScaleDown, SetWeight
from models.traffic import TrafficSplit
from tests.factories import (
    a_blue_green_service,
    a_rolling_service,
    a_service,
    a_step,
    an_instance,
    beside_a_baseline,
    keeping,
)


def running(*versions: str) -> Instances:
    return Instances(instances=tuple(an_instance(version, slot) for slot, version in enumerate(versions)))


def test_a_canary_is_a_list_of_steps_with_a_gate_where_approval_is_asked() -> None:
    steps = steps_for(a_service(a_step(5.0), a_step(50.0, approval=True)), "v2", stable="v1")

    kinds = [step.kind for step in steps]
    assert kinds == ["deploy", "set_weight", "bake", "set_weight", "bake", "gate", "promote", "retire"]


def test_blue_green_sends_all_traffic_at_once_and_keeps_the_old_version_until_the_bake_is_over() -> None:
    plain = steps_for(a_blue_green_service(), "v2", stable="v1")
    gated = steps_for(a_blue_green_service(approval=True), "v2", stable="v1")

    assert [step.kind for step in plain] == ["deploy", "set_weight", "bake", "promote", "retire"]
    assert [step.kind for step in gated][:3] == ["deploy", "gate", "set_weight"]
    assert plain[1] == SetWeight(weight=100.0)


def test_rolling_replaces_a_batch_at_a_time_and_the_last_one_is_what_is_left() -> None:
    steps = steps_for(a_rolling_service(5, batch=2, approval=True), "v2", stable="v1")

    assert [step.kind for step in steps] == [
        "deploy", "set_weight", "bake", "gate", "scale_down",
        "deploy", "set_weight", "bake", "scale_down",
        "deploy", "set_weight", "bake", "promote", "retire",
    ]  # fmt: skip
    assert [step.instances for step in steps if isinstance(step, DeployStep)] == [2, 4, 5]
    assert [step.weight for step in steps if isinstance(step, SetWeight)] == [40.0, 80.0, 100.0]
    assert [step.instances for step in steps if isinstance(step, ScaleDown)] == [3, 1]


@given(instances=st.integers(1, 32), batch=st.integers(1, 120))
def test_rolling_never_leaves_fewer_instances_than_were_asked_for(instances: int, batch: int) -> None:
    new, old, weight = 0, instances, 0.0
    for step in steps_for(a_rolling_service(instances, batch=batch), "v2", stable="v1"):
        match step:
            case DeployStep(instances=reached):
                new = reached or 0
            case ScaleDown(instances=left):
                old = left
            case SetWeight(weight=share):
                assert share > weight
                weight = share
            case _:
                pass
        assert new + old >= instances
    assert (new, weight) == (instances, 100.0)


def test_the_old_version_is_kept_for_as_long_as_asked_at_once_too() -> None:
    spec = keeping(a_service())

    for at_once in (False, True):
        steps = steps_for(spec, "v2", stable="v1", at_once=at_once)
        assert steps[-2:] == (Keep(duration=timedelta(minutes=10)), Retire())
    assert [step.kind for step in steps_for(spec, "v1", stable=None)] == ["deploy", "promote"]


def test_with_nothing_stable_there_is_nothing_to_compare_with() -> None:
    assert [step.kind for step in steps_for(a_service(), "v1", stable=None)] == ["deploy", "promote"]


def test_stable_is_what_traffic_is_meant_for_and_lives() -> None:
    split = TrafficSplit(stable="v1")

    assert starting_point("v2", split, running("v1"), wanted=1).stable == "v1"
    assert starting_point("v2", split, running("v7"), wanted=1).stable is None
    assert starting_point("v2", None, running("v1"), wanted=1).stable is None


def test_a_split_left_half_way_is_not_unchanged() -> None:
    split = TrafficSplit(stable="v1", candidate="v2", weight=10.0)
    found = starting_point("v1", split, running("v1", "v2"), wanted=1)

    assert not found.unchanged
    assert found.leftovers == ("v2",)


def test_at_once_goes_without_the_catalogs_steps() -> None:
    kinds = [step.kind for step in steps_for(a_service(), "v1", stable="v2", at_once=True)]
    assert kinds == ["deploy", "promote", "retire"]


def test_proof_is_asked_at_the_last_bake_in_which_both_versions_have_traffic() -> None:
    def proven(spec: Service) -> list[bool]:
        return [step.proof for step in steps_for(spec, "v2", stable="v1") if isinstance(step, Bake)]

    assert proven(a_service(a_step(5.0), a_step(50.0))) == [False, True]
    assert proven(a_service(a_step(5.0), a_step(50.0), a_step(100.0))) == [False, True, False]
    assert proven(a_service(a_step(5.0), a_step(50.0, bake=0))) == [True, False]
    assert proven(a_rolling_service(3)) == [False, True, False]
    assert proven(a_blue_green_service()) == [False]


def test_proof_is_not_asked_where_the_catalog_does_without() -> None:
    for compare in (CompareSpec(enabled=False), CompareSpec(proof=False)):
        spec = a_service(judge=JudgeSpec(compare=compare))
        assert not any(step.proof for step in steps_for(spec, "v2", stable="v1") if isinstance(step, Bake))


def test_a_baseline_starts_with_the_candidate_and_stops_before_the_old_version_is_kept() -> None:
    spec = beside_a_baseline(keeping(a_service(a_step(5.0), a_step(50.0, approval=True))))
    steps = steps_for(spec, "v2", stable="v1")

    assert [step.kind for step in steps] == [
        "deploy", "start_baseline", "set_weight", "bake", "set_weight", "bake", "gate",
        "promote", "retire", "keep", "retire",
    ]  # fmt: skip
    said = [describe_step(step, version="v2", stable="v1", instances=2) for step in steps]
    assert said[1] == "start 2 fresh instances of v1 to compare with"
    assert (said[8], said[10]) == ("stop the 2 fresh instances of v1", "stop v1")


def test_a_way_back_and_a_first_deployment_have_no_baseline() -> None:
    spec = beside_a_baseline(a_service())

    assert [step.kind for step in steps_for(spec, "v2", stable="v1", at_once=True)] == ["deploy", "promote", "retire"]
    assert [step.kind for step in steps_for(spec, "v2", stable=None)] == ["deploy", "promote"]


def test_a_baseline_is_left_over_and_never_stable() -> None:
    baseline = baseline_of("v1")
    half_way = TrafficSplit(stable="v1", candidate="v2", weight=10.0, baseline=10.0)

    assert starting_point("v3", half_way, running("v1", "v2", baseline), wanted=1).leftovers == ("v1~baseline", "v2")
    assert starting_point("v1", TrafficSplit(stable="v1"), running("v1", baseline), wanted=1).leftovers == (baseline,)
    assert starting_point("v2", half_way, running(baseline), wanted=1).stable is None
