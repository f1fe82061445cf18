import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from models.ids import NAME_RULE, ServiceRef, Version, guard_id, parse_guard_id, parse_rollout_id, rollout_id

names = st.from_regex(NAME_RULE.replace("$", r"\Z"))


@given(names, names)
def test_a_rollout_id_reads_back_as_the_service_it_was_made_of(environment: str, service: str) -> None:
    ref = ServiceRef(environment=environment, service=service)
    assert parse_rollout_id(rollout_id(ref)) == ref


@given(st.text())
def test_an_id_that_is_read_is_the_one_that_would_be_built(workflow_id: str) -> None:
    try:
        ref = parse_rollout_id(workflow_id)
    except ValueError:
        return
    assert rollout_id(ref) == workflow_id


@pytest.mark.parametrize(
    "workflow_id", ["", "rollout", "rollout/", "rollout/a", "rollout//a", "guard/a/b", "rollout/a/b/c"]
)
def test_the_id_of_something_else_is_no_rollouts(workflow_id: str) -> None:
    with pytest.raises(ValueError):
        parse_rollout_id(workflow_id)


def test_a_guards_id_is_read_back() -> None:
    ref = ServiceRef(environment="local", service="shop")

    assert guard_id(ref) == "guard/local/shop"
    assert parse_guard_id(guard_id(ref)) == ref
    with pytest.raises(ValueError, match=r"is not a guard's id; those read guard/<environment>/<service>"):
        parse_guard_id("rollout/local/shop")


@pytest.mark.parametrize("name", ["Shop", "1shop", "a_b", "a/b", "", "-a", "a" * 64, "shop\n", "ä"])
def test_a_name_that_would_not_fit_an_id_is_refused(name: str) -> None:
    with pytest.raises(ValidationError):
        ServiceRef(environment="local", service=name)


@pytest.mark.parametrize("version", ["v42", "1.8.0-rc.1", "2024.1+build", "A", "x" * 128])
def test_versions_are_taken_as_they_are(version: str) -> None:
    assert TypeAdapter(Version).validate_python(version) == version


@pytest.mark.parametrize("version", ["", "-v", ".v", "a/b", "a..b", "v 1", "v1\n", "x" * 129])
def test_a_version_that_could_leave_its_folder_is_refused(version: str) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Version).validate_python(version)
