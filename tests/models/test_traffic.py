"""Who receives what."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from analysis.rollout_plan import baseline_share
from models.ids import baseline_of
from models.traffic import TrafficSplit


def test_without_a_baseline_the_stable_version_has_what_the_candidate_leaves() -> None:
    assert TrafficSplit(stable="v1").weights() == {"v1": 100.0}
    assert TrafficSplit(stable="v1", candidate="v2", weight=10.0).weights() == {"v1": 90.0, "v2": 10.0}


@given(st.floats(0, 100))
def test_a_baseline_has_as_much_as_the_candidate_or_what_is_left(weight: float) -> None:
    split = TrafficSplit(stable="v1", candidate="v2", weight=weight, baseline=baseline_share(weight))
    shares = split.weights()

    assert list(shares) == ["v1", baseline_of("v1"), "v2"]
    assert sum(shares.values()) == pytest.approx(100)
    assert all(share >= 0 for share in shares.values())
    assert shares[baseline_of("v1")] == (weight if weight <= 50 else 100 - weight)


def test_a_baseline_is_beside_a_candidate_and_both_fit() -> None:
    with pytest.raises(ValidationError, match="there is none"):
        TrafficSplit(stable="v1", baseline=10.0)
    with pytest.raises(ValidationError, match="more than all"):
        TrafficSplit(stable="v1", candidate="v2", weight=60.0, baseline=50.0)


def test_a_split_with_a_baseline_survives_the_wire() -> None:
    split = TrafficSplit(stable="v1", candidate="v2", weight=12.5, baseline=12.5)

    assert TrafficSplit.model_validate_json(split.model_dump_json()) == split
