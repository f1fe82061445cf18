"""Workflow ids and the names inside them: built and parsed side by side, so that they cannot drift apart.

A workflow id is a lock: one rollout per service and environment.
"""

import re
from typing import Annotated

from pydantic import AfterValidator, Field

from models.base import Payload

NAME_RULE = r"^[a-z][a-z0-9-]{0,62}$"
VERSION_RULE = r"^[A-Za-z0-9][A-Za-z0-9._+-]{0,127}$"
DEDUPE_KEY_RULE = r"^[a-z0-9][a-z0-9._-]{0,127}$"

Name = Annotated[
    str,
    Field(pattern=NAME_RULE, description="lower-case letters, digits and hyphens, beginning with a letter"),
]


def _check_version(value: str) -> str:
    if not re.fullmatch(VERSION_RULE, value) or ".." in value:
        raise ValueError(f"{value!r} is not a version; use letters, digits and . _ + -, like v42 or 1.8.0-rc.1")
    return value


Version = Annotated[str, AfterValidator(_check_version)]

_BASELINE = "~baseline"


def _check_group(value: str) -> str:
    _check_version(value.removesuffix(_BASELINE))
    return value


Group = Annotated[str, AfterValidator(_check_group)]
"""Instances with traffic and counters of their own: those of a version, under its name, or those of its baseline.

No version's name holds a `~`, so a baseline is never taken for a version that people deployed.
"""


def baseline_of(version: Version) -> Group:
    """The fresh instances of a version that a candidate is compared with."""
    return f"{version}{_BASELINE}"


def version_of(group: Group) -> Version:
    """What the instances of a group run."""
    return group.removesuffix(_BASELINE)


def is_baseline(group: Group) -> bool:
    return group.endswith(_BASELINE)


def group_words(group: Group) -> str:
    """A group as people speak of it."""
    return f"the baseline of {version_of(group)}" if is_baseline(group) else group


DedupeKey = Annotated[
    str,
    Field(pattern=DEDUPE_KEY_RULE, description="lower-case letters, digits and . _ -, at most 128"),
]


class ServiceRef(Payload):
    """One service in one environment: what a rollout, a guard or an incident is about."""

    environment: Name
    service: Name

    def __str__(self) -> str:
        return f"{self.environment}/{self.service}"


class IncidentRef(Payload):
    """One incident: at most one of a key is open at a time."""

    environment: Name
    service: Name
    key: DedupeKey

    @property
    def of(self) -> ServiceRef:
        return ServiceRef(environment=self.environment, service=self.service)

    def __str__(self) -> str:
        return f"{self.environment}/{self.service}/{self.key}"


def incident_id(ref: IncidentRef) -> str:
    return f"incident/{ref.environment}/{ref.service}/{ref.key}"


def parse_incident_id(workflow_id: str) -> IncidentRef:
    """Inverse of `incident_id`. Raises ValueError for the id of another kind of workflow."""
    parts = workflow_id.split("/")
    if len(parts) != 4 or parts[0] != "incident" or not all(parts):  # noqa: PLR2004 - the kind and three names
        raise ValueError(
            f"{workflow_id!r} is not an incident's id; those read incident/<environment>/<service>/<dedupe key>"
        )
    return IncidentRef(environment=parts[1], service=parts[2], key=parts[3])


def rollout_id(ref: ServiceRef) -> str:
    return f"rollout/{ref.environment}/{ref.service}"


def guard_id(ref: ServiceRef) -> str:
    return f"guard/{ref.environment}/{ref.service}"


def rules_id(ref: ServiceRef) -> str:
    """Of a set of alert rules: a service's, under its name, or one of rule files."""
    return f"rules/{ref.environment}/{ref.service}"


def parse_rules_id(workflow_id: str) -> ServiceRef:
    """Inverse of `rules_id`; the service is the set's name. Raises ValueError for another kind of workflow's id."""
    return _parse(workflow_id, "rules")


def silences_id(environment: str) -> str:
    """The workflow that keeps the silences of an environment."""
    return f"silences/{environment}"


def parse_rollout_id(workflow_id: str) -> ServiceRef:
    """Inverse of `rollout_id`. Raises ValueError for the id of another kind of workflow."""
    return _parse(workflow_id, "rollout")


def parse_guard_id(workflow_id: str) -> ServiceRef:
    """Inverse of `guard_id`. Raises ValueError for the id of another kind of workflow."""
    return _parse(workflow_id, "guard")


def _parse(workflow_id: str, wanted: str) -> ServiceRef:
    kind, _, rest = workflow_id.partition("/")
    environment, _, service = rest.partition("/")
    if kind != wanted or not environment or not service:
        raise ValueError(f"{workflow_id!r} is not a {wanted}'s id; those read {wanted}/<environment>/<service>")
    return ServiceRef(environment=environment, service=service)


def weight_lease(ref: ServiceRef) -> str:
    """The keeper's key of the lease under which a candidate of the service has a weight: one per service."""
    return f"weight/{ref.environment}/{ref.service}"


def recording_id(workflow_id: str, run_id: str, revision: int) -> str:
    """The workflow that writes one picture of another to the records."""
    return f"record/{workflow_id}/{run_id}/{revision}"


def order_recording_id(key: str) -> str:
    """The workflow that writes an order which was taken to the audit log, under the entry's own key."""
    return f"record/taken/{key}"


def refusal_recording_id(key: str) -> str:
    """The workflow that writes an order which was refused to the audit log, under the entry's own key."""
    return f"record/refused/{key}"


def suppression_recording_id(key: str) -> str:
    """The workflow that writes to the audit log why alerts opened nothing."""
    return f"record/suppressed/{key}"
