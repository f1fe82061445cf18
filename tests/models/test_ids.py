import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from models.ids import (
    NAME_RULE,
    VERSION_RULE,
    Group,
    ServiceRef,
    Version,
    baseline_of,
    group_words,
    guard_id,
    is_baseline,
    parse_guard_id,
    parse_rollout_id,
    rollout_id,
    version_of,
)

names = st.from_regex(NAME_RULE.replace("$", r"\Z"))
versions = st.from_regex(VERSION_RULE.replace("$", r"\Z")).filter(lambda text: ".." not in text)


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


@given(versions)
def test_a_baseline_is_a_group_of_its_version_and_no_version_that_people_can_name(version: str) -> None:
    group = baseline_of(version)

    assert TypeAdapter(Group).validate_python(group) == group
    assert version_of(group) == version_of(version) == version
    assert (is_baseline(group), is_baseline(version)) == (True, False)
    assert (group_words(group), group_words(version)) == (f"the baseline of {version}", version)
    with pytest.raises(ValidationError, match="is not a version"):
        TypeAdapter(Version).validate_python(group)


@pytest.mark.parametrize("group", ["~baseline", "v1~other", "v1~baseline~baseline", "../v1~baseline"])
def test_what_is_no_groups_name_is_refused(group: str) -> None:
    with pytest.raises(ValidationError, match="is not a version"):
        TypeAdapter(Group).validate_python(group)
