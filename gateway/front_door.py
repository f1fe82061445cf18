"""The HTTP front door: the application that `holdfast gateway` serves."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.middleware.cors import CORSMiddleware
from fastapi.middleware.trustedhost import TrustedHostMiddleware
from temporalio.client import Client

from activities.held_alerts import HeldAlerts
from activities.intake import Intake
from activities.known_silences import KnownSilences
from activities.open_incidents import OpenIncidents
from gateway.accesses import Accesses, Log, Unserved
from gateway.alert_routes import Desk, alert_routes
from gateway.answering import answer_incidents
from gateway.doorkeeper import WAYS_TO_SHOW_A_KEY, Doorkeeper
from gateway.rulebook import Rulebook
from gateway.silence_routes import SilenceDesk, silence_routes
from models.base import Payload
from models.front_door import Refusal
from models.gateway_spec import Access, GatewaySpec
from models.temporal_names import front_door_queue

_OWN_MACHINE = ["127.0.0.1", "localhost", "::1", "[::1]"]

_FIRST_LOOK = timedelta(seconds=5)

Background = Callable[[], Awaitable[None]]


class Standing(Payload):
    """`ok`, or why no alerts are taken at present."""

    state: str


class Known(Payload):
    """Who a key belongs to."""

    name: str
    role: Access


@dataclass
class Temporal:
    """The connection, once there is one."""

    client: Client | None = None


def front_door(rulebook: Rulebook, temporal: Temporal, log: Log, background: Sequence[Background] = ()) -> FastAPI:
    """Build the application. `background` runs for as long as it serves.

    Where the catalog has no keys and no signatures, only calls to this machine's own name are answered, so that no page
    can reach it under a name that it made up.
    """

    def environment() -> str:
        return rulebook.rules.catalog.environment

    around, silences, asked = OpenIncidents(), KnownSilences(), front_door_queue(environment())
    doorkeeper = Doorkeeper(rulebook)
    accesses = Accesses(log, environment)
    intake = Intake(around, silences, asked=asked)
    desk = Desk(rulebook, doorkeeper, intake, accesses, lambda: temporal.client)

    def window() -> timedelta:
        return rulebook.rules.catalog.incidents.storm.within

    async def follow_incidents() -> None:
        await around.keep_current(lambda: temporal.client, window)

    async def follow_silences() -> None:
        await silences.keep_current(lambda: temporal.client, environment)

    async def answer() -> None:
        held = HeldAlerts(lambda: rulebook.rules.catalog, around, silences, intake)
        await answer_incidents(lambda: temporal.client, asked, held)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        if temporal.client is not None:  # so that the first alert is not decided without knowing what is open
            with suppress(TimeoutError):
                looks = around.look(temporal.client, window()), silences.look(temporal.client, environment())
                await asyncio.wait_for(asyncio.gather(*looks), _FIRST_LOOK.total_seconds())
        kept_up = (rulebook.keep_current, follow_incidents, follow_silences, answer, *background)
        tasks = [asyncio.ensure_future(run()) for run in kept_up]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            for task in tasks:
                with suppress(asyncio.CancelledError):
                    await task

    app = FastAPI(
        title="Holdfast",
        summary="Alerts become durable incidents",
        version="1",
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
    )
    _let_in_through_browsers(app, rulebook.rules.catalog.gateway)
    app.add_middleware(Unserved, accesses=accesses)  # the last is the outermost: it hears of hosts that are refused
    app.include_router(alert_routes(desk))
    app.include_router(
        silence_routes(SilenceDesk(rulebook, doorkeeper, accesses, lambda: temporal.client, silences, desk.budget))
    )
    app.include_router(_key_routes(doorkeeper, accesses))
    app.include_router(_health_routes(temporal))
    return app


def _let_in_through_browsers(app: FastAPI, spec: GatewaySpec) -> None:
    if not spec.guarded:
        app.add_middleware(TrustedHostMiddleware, allowed_hosts=_OWN_MACHINE, www_redirect=False)
    if spec.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(spec.cors_origins),
            allow_methods=["GET", "POST", "DELETE"],
            allow_headers=["authorization", "content-type", "idempotency-key", "x-api-key"],
            max_age=600,
        )


def _key_routes(doorkeeper: Doorkeeper, accesses: Accesses) -> APIRouter:
    router = APIRouter(tags=["keys"], dependencies=WAYS_TO_SHOW_A_KEY)

    @router.get("/access", responses={401: {"model": Refusal}, 429: {"model": Refusal}})
    async def access(request: Request) -> Known:
        """Whose key this is, and what it may do."""
        with accesses.visit(request) as visit:
            caller = doorkeeper.known(request)
            visit.who = caller.name
            return Known(name=caller.name, role=caller.access)

    return router


def _health_routes(temporal: Temporal) -> APIRouter:
    router = APIRouter(tags=["health"])

    @router.get("/healthz")
    async def healthz() -> Standing:
        """The process serves."""
        return Standing(state="ok")

    @router.get("/readyz", responses={503: {"model": Standing}})
    async def readyz(response: Response) -> Standing:
        """Alerts are taken: Temporal answers."""
        if temporal.client is None or not await _answers(temporal.client):
            response.status_code = 503
            return Standing(state="Temporal is not reached; alerts are answered 503 until it is")
        return Standing(state="ok")

    return router


async def _answers(client: Client) -> bool:
    try:
        async with asyncio.timeout(2):
            return await client.service_client.check_health()
    except Exception:  # noqa: BLE001 - whatever it is, it is not an answer
        return False
