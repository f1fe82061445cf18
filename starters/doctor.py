"""`holdfast doctor`: is everything there that a rollout needs, and if not, what to do."""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator
from datetime import timedelta
from enum import StrEnum
from http import HTTPStatus

import typer
from pydantic import BaseModel
from rich.console import Console
from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.operatorservice.v1 import ListSearchAttributesRequest
from temporalio.api.taskqueue.v1 import TaskQueue as TaskQueueName
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import Client, WorkflowQueryFailedError
from temporalio.service import RPCError

from devstack.envoy import is_ready
from devstack.http_probe import http_status
from models.held import HeldNow
from models.incident import Phase
from models.temporal_names import HELD_QUERY, INCIDENT_WORKFLOW, SearchAttribute, TaskQueue, front_door_queue
from providers.inotify import has_room
from runtime.keyring import load_keyring
from starters.exits import CommandError, Exit
from starters.options import CatalogOption, JsonOption
from starters.output import print_json
from starters.session import Session

ENOUGH_DISK_MIB = 500
ENOUGH_WATCHES = 16
_QUEUE_KIND = dict.fromkeys((TaskQueue.ROLLOUTS, TaskQueue.INCIDENTS), TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW)
"""Of the queues on which decisions only are made; the others have activities."""


_ASKED, _PATIENCE = 20, timedelta(seconds=3)
"""Incidents that are asked what they hold, and how long for each."""


class Health(StrEnum):
    OK = "ok"
    MISSING = "missing"


class Check(BaseModel):
    """One thing looked at. `next_step` says what to do when it is missing."""

    name: str
    health: Health
    found: str
    next_step: str = ""


def doctor(catalog: CatalogOption = None, as_json: JsonOption = False) -> None:
    """Look at everything a rollout needs. The exit code is 0 when nothing is missing, else 1."""
    session = Session.open(catalog)
    checks = asyncio.run(_all(session, None if as_json else Console()))
    missing = [check for check in checks if check.health is Health.MISSING]
    if as_json:
        print_json({"ok": not missing, "checks": [check.model_dump(mode="json") for check in checks]})
    elif not missing:
        typer.echo("Everything is there.")
    raise typer.Exit(Exit.NEGATIVE if missing else Exit.OK)


async def _all(session: Session, console: Console | None) -> list[Check]:
    checks = []
    async for check in _checks(session):
        checks.append(check)
        if console:
            mark = "[green]✔[/]" if check.health is Health.OK else "[red]✘[/]"
            console.print(f"{mark} [bold]{check.name}[/]", end=" ")
            console.print(check.found, markup=False, highlight=False, soft_wrap=True)
            if check.next_step and check.health is Health.MISSING:
                console.print(f"    {check.next_step}", markup=False, highlight=False, soft_wrap=True)
    return checks


async def _checks(session: Session) -> AsyncIterator[Check]:
    yield _catalog(session)
    yield _home(session)
    yield _stack(session)
    yield await _keeper(session)
    yield await _records(session)
    yield _encryption(session)
    try:
        client = await session.client()
    except CommandError as error:
        yield Check(name="Temporal", health=Health.MISSING, found="unreachable", next_step=str(error))
        return
    yield Check(name="Temporal", health=Health.OK, found=f"answers at {client.service_client.config.target_host}")
    yield await _search_attributes(client)
    for queue in TaskQueue:
        yield await _queue(client, queue)
    yield await _gateway(session, client)
    yield await _envoy(session)
    yield _watches()


def _catalog(session: Session) -> Check:
    try:
        catalog = session.catalog()
    except CommandError as error:
        return Check(name="catalog", health=Health.MISSING, found=str(session.settings.catalog), next_step=str(error))
    return Check(name="catalog", health=Health.OK, found=f"{session.settings.catalog}: {', '.join(catalog.services)}")


def _home(session: Session) -> Check:
    home = session.settings.home
    existing = next(path for path in (home, *home.absolute().parents) if path.exists())
    free = shutil.disk_usage(existing).free // 2**20
    writable = os.access(existing, os.W_OK)
    if writable and free >= ENOUGH_DISK_MIB:
        return Check(name="home", health=Health.OK, found=f"{home}, {free} MiB free")
    problem = f"only {free} MiB are free" if writable else "it cannot be written"
    return Check(
        name="home",
        health=Health.MISSING,
        found=f"{home}: {problem}",
        next_step=f"Free {ENOUGH_DISK_MIB} MiB, mend its permissions, or name another folder in HOLDFAST_HOME.",
    )


def _stack(session: Session) -> Check:
    if session.stack:
        return Check(
            name="local stack", health=Health.OK, found=f"runs, pid {session.stack.pid}; UI {session.stack.ui}"
        )
    if session.settings.temporal_address:
        return Check(name="local stack", health=Health.OK, found="none, as HOLDFAST_TEMPORAL_ADDRESS names a server")
    return Check(name="local stack", health=Health.MISSING, found="does not run", next_step="Run `holdfast up`.")


async def _keeper(session: Session) -> Check:
    port = session.settings.keeper_health_port
    health = session.stack.keeper_health if session.stack else f"127.0.0.1:{port}" if port else None
    if health is None:
        return Check(
            name="keeper",
            health=Health.MISSING,
            found="its address is not known",
            next_step="Run `holdfast up`; for one that runs by itself, set HOLDFAST_KEEPER_HEALTH_PORT.",
        )
    if await http_status(health, "/readyz") == HTTPStatus.OK:
        return Check(name="keeper", health=Health.OK, found=f"keeps the leases of this host; answers at {health}")
    return Check(
        name="keeper",
        health=Health.MISSING,
        found=f"it does not answer at {health}",
        next_step="`holdfast up` starts it again when it dies; without it no canary gets traffic.",
    )


def _watches() -> Check:
    """Asked for this user, who is Envoy's where both run on one host as in `holdfast up`."""
    if has_room(ENOUGH_WATCHES):
        return Check(name="file watches", health=Health.OK, found=f"room for {ENOUGH_WATCHES} more, 3 a service")
    return Check(
        name="file watches",
        health=Health.MISSING,
        found=f"less than {ENOUGH_WATCHES} of this user's inotify instances are left; Envoy takes 3 a service",
        next_step="sysctl -w fs.inotify.max_user_instances=1024",
    )


async def _records(session: Session) -> Check:
    try:
        async with session.records() as store:
            status = await store.status()
    except CommandError as error:
        return Check(name="records", health=Health.MISSING, found="unavailable", next_step=str(error))
    if status.current:
        return Check(name="records", health=Health.OK, found=f"{status.database}: {status.rollouts} rollouts")
    step = "Upgrade this Holdfast." if status.newer else "Run `holdfast records migrate`."
    found = f"{status.database} is at revision {status.found}, not {status.wanted}"
    return Check(name="records", health=Health.MISSING, found=found, next_step=step)


def _encryption(session: Session) -> Check:
    ids = load_keyring(session.settings).ids
    if not ids:
        found = "off; Temporal's database holds what rollouts are given in readable form"
    else:
        others = f"; {', '.join(ids[1:])} can be read" if ids[1:] else ""
        found = f"on, with key {ids[0]}{others}"
    return Check(name="encryption", health=Health.OK, found=found)


async def _search_attributes(client: Client) -> Check:
    known = await client.operator_service.list_search_attributes(
        ListSearchAttributesRequest(namespace=client.namespace)
    )
    missing = sorted(set(SearchAttribute) - set(known.custom_attributes))
    if not missing:
        return Check(name="search attributes", health=Health.OK, found="all registered")
    commands = " ".join(f"--name {name} --type Keyword" for name in missing)
    return Check(
        name="search attributes",
        health=Health.MISSING,
        found=f"{', '.join(missing)} not registered",
        next_step=f"temporal operator search-attribute create {commands}",
    )


async def _queue(client: Client, queue: TaskQueue) -> Check:
    name = f"workers on {queue}"
    try:
        pollers = await _pollers(client, queue, _QUEUE_KIND.get(queue, TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY))
    except RPCError as error:
        return Check(name=name, health=Health.MISSING, found=error.message, next_step="Look at Temporal's own log.")
    if pollers:
        return Check(name=name, health=Health.OK, found=pollers)
    return Check(
        name=name,
        health=Health.MISSING,
        found="none asked for work lately",
        next_step=f"Run `holdfast worker {queue}`.",
    )


async def _pollers(client: Client, queue: str, kind: TaskQueueType.ValueType) -> str:
    """Who asked for work lately. Raises RPCError."""
    described = await client.workflow_service.describe_task_queue(
        DescribeTaskQueueRequest(namespace=client.namespace, task_queue=TaskQueueName(name=queue), task_queue_type=kind)
    )
    return ", ".join(sorted({poller.identity for poller in described.pollers}))


async def _gateway(session: Session, client: Client) -> Check:
    """Nobody needs one but for alerts: those that were answered and are held wait for it."""
    try:
        environment = session.catalog().environment
    except CommandError:
        return Check(name="gateway", health=Health.OK, found="not looked for, without a catalog")
    try:
        pollers = await _pollers(client, front_door_queue(environment), TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY)
        waits = not pollers and await _something_is_held(client, environment)
    except RPCError as error:
        return Check(name="gateway", health=Health.MISSING, found=error.message, next_step="Look at Temporal's log.")
    if not waits:
        return Check(name="gateway", health=Health.OK, found=pollers or "none runs, and no alert waits for one")
    return Check(
        name="gateway",
        health=Health.MISSING,
        found="none runs, and incidents hold alerts that wait for one",
        next_step="Run `holdfast gateway`: it says whether something still keeps the alerts from opening them.",
    )


async def _something_is_held(client: Client, environment: str) -> bool:
    """Whether one of the first incidents that may hold something does. Raises RPCError."""
    query = (
        f"WorkflowType = '{INCIDENT_WORKFLOW}' AND ExecutionStatus = 'Running' "
        f"AND {SearchAttribute.ENVIRONMENT} = '{environment}' "
        f"AND {SearchAttribute.PHASE} IN ('{Phase.PENDING}', '{Phase.RESOLVED}')"
    )
    async for listed in client.list_workflows(query, limit=_ASKED):
        try:
            handle = client.get_workflow_handle(listed.id)
            held = await handle.query(HELD_QUERY, result_type=HeldNow, rpc_timeout=_PATIENCE)
        except (RPCError, WorkflowQueryFailedError):
            continue
        if held.alerts:
            return True
    return False


async def _envoy(session: Session) -> Check:
    admin = session.settings.envoy_admin or (session.stack.envoy_admin if session.stack else None)
    if admin is None:
        return Check(
            name="Envoy", health=Health.MISSING, found="its address is not known", next_step="Run `holdfast up`."
        )
    if await is_ready(admin):
        return Check(name="Envoy", health=Health.OK, found=f"ready, admin interface at {admin}")
    return Check(
        name="Envoy",
        health=Health.MISSING,
        found=f"its admin interface at {admin} does not answer",
        next_step="`holdfast up` starts it and starts it again when it dies; look at its log under HOLDFAST_HOME/logs.",
    )
