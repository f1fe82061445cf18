"""Handles of the workflows that belong to a service."""

from temporalio.client import Client, WorkflowHandle

from models.ids import ServiceRef, guard_id, rollout_id
from models.incident import IncidentOutcome
from models.rollout import RolloutResult
from workflows.incident import Incident
from workflows.rollout import Rollout
from workflows.service_guard import ServiceGuard

RolloutHandle = WorkflowHandle[Rollout, RolloutResult]
GuardHandle = WorkflowHandle[ServiceGuard, None]
IncidentHandle = WorkflowHandle[Incident, IncidentOutcome]


def rollout_of(client: Client, ref: ServiceRef, run_id: str | None = None) -> RolloutHandle:
    """The service's newest rollout, or one run of it."""
    return client.get_workflow_handle_for(Rollout.run, rollout_id(ref), run_id=run_id)


def guard_of(client: Client, ref: ServiceRef) -> GuardHandle:
    return client.get_workflow_handle_for(ServiceGuard.run, guard_id(ref))


def incident_called(client: Client, workflow_id: str, run_id: str | None = None) -> IncidentHandle:
    """The newest run of an incident, by its workflow's id, or one of its runs."""
    return client.get_workflow_handle(workflow_id, run_id=run_id, result_type=IncidentOutcome)
