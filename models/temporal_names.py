"""Names that Temporal shows: task queues, workflow types, search attributes."""

from enum import StrEnum


class TaskQueue(StrEnum):
    """A queue per kind of work, split by what the work touches, so that a slow provider starves nobody."""

    ROLLOUTS = "rollouts"
    DEPLOYS = "deploys"
    TRAFFIC = "traffic"
    GUARDS = "guards"
    INCIDENTS = "incidents"
    NOTIFICATIONS = "notifications"
    RECORDS = "records"


def front_door_queue(environment: str) -> str:
    """What the gateways of an environment's catalog are asked, as only they know it."""
    return f"front-door/{environment}"


class SearchAttribute(StrEnum):
    """Keywords, registered on every server the workflows run on."""

    SERVICE = "Service"
    ENVIRONMENT = "Environment"
    SEVERITY = "Severity"
    PHASE = "Phase"
    STRATEGY = "Strategy"
    VERSION = "Version"


ROLLOUT_WORKFLOW = "Rollout"
RECORDING_WORKFLOW = "Recording"
GUARD_WORKFLOW = "ServiceGuard"
INCIDENT_WORKFLOW = "Incident"
ALERT_RULES_WORKFLOW = "AlertRules"
SILENCES_WORKFLOW = "Silences"


class GuardUpdate(StrEnum):
    """What a service's guard can be asked, by activities too, which do not import workflows."""

    ACQUIRE = "acquire"
    RELEASE = "release"
    FREEZE = "freeze"
    UNFREEZE = "unfreeze"


class RulesSignal(StrEnum):
    """What the workflow of a set of alert rules can be told."""

    REVISE = "revise"


class SilencesUpdate(StrEnum):
    """What the silences of an environment can be asked."""

    ADD = "add"
    EXPIRE = "expire"


HELD_QUERY = "held"
"""What an incident holds at the moment."""


class IncidentSignal(StrEnum):
    """What an incident can be told; from sources, from people, and from other incidents."""

    FIRED = "fired"
    CLEARED = "cleared"
    HELD = "held"
    ACKNOWLEDGE = "acknowledge"
    RESOLVE = "resolve"
    ESCALATE = "escalate"
    SNOOZE = "snooze"
    UNSNOOZE = "unsnooze"
    NOTE = "note"
    ASSIGN = "assign"
    ADD_TASK = "add_task"
    FINISH_TASK = "finish_task"
    MERGE = "merge"
    SPLIT = "split"
    PART = "part"
