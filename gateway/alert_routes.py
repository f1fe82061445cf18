"""The doors that alerts come in by, one for each kind of sender."""

import asyncio
import hashlib
import time
import uuid
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from fastapi import APIRouter, HTTPException, Request, Response
from pydantic import JsonValue
from temporalio.client import Client

from activities.intake import Intake
from analysis.alert_making import Naming
from analysis.alertmanager_alerts import from_alertmanager
from analysis.generic_alerts import from_generic
from analysis.grafana_alerts import from_grafana
from analysis.opsgenie_alerts import from_opsgenie
from analysis.own_alerts import from_own
from analysis.pagerduty_alerts import from_pagerduty
from analysis.sentry_alerts import from_sentry
from analysis.signatures import (
    OLDEST,
    OLDEST_EVENT,
    Claim,
    NotSignedError,
    check_event_age,
    generic_claim,
    grafana_claim,
    pagerduty_claim,
    sentry_claim,
)
from gateway.accesses import Accesses, Visit
from gateway.alert_schemas import RESPONSES, body_schema
from gateway.bodies import BODY_LIMIT, Budget, body_of, drained, json_of, proved_body_of
from gateway.doorkeeper import SHOWN_BY, Caller, Doorkeeper
from gateway.lobby import Lobby
from gateway.rulebook import Rulebook, Rules
from models import standard_webhooks
from models.alert import Normalised
from models.front_door import AlertsAnswer
from models.gateway_spec import Access

_MOST_REMEMBERED = 10_000
_REMEMBERED_FOR = timedelta(minutes=10)
_LARGE = 64 * 2**10
"""Bytes of a body that takes long enough to understand for others to notice."""

_RETRY_AFTER = "5"

Read = Callable[[JsonValue, Naming], Normalised]


class FailedRequests:
    """Requests of which a part was not taken, by their bodies: sent again within minutes, they are the same request, of
    which incidents know what they have taken. The same body after a 2xx, or much later, is a request of its own.

    Known to this process alone, so another counts again what was taken in part. A name made of the body would be known
    to all, but then the same news would be no news.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._names: OrderedDict[str, tuple[str, float]] = OrderedDict()

    def name_for(self, digest: str) -> str:
        name, until = self._names.pop(digest, ("", 0.0))
        return name if name and self._clock() < until else uuid.uuid4().hex

    def remember(self, digest: str, name: str) -> None:
        self._names[digest] = (name, self._clock() + _REMEMBERED_FOR.total_seconds())
        if len(self._names) > _MOST_REMEMBERED:
            self._names.popitem(last=False)


class AnsweredEvents:
    """Events that were taken, and the answers: what comes again, by a sender that did not hear or by somebody who
    recorded it, is answered the same and does nothing. Kept for as long as such an event is not too old.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._answers: OrderedDict[str, tuple[AlertsAnswer, float]] = OrderedDict()

    def answer_to(self, digest: str) -> AlertsAnswer | None:
        answer, until = self._answers.get(digest, (None, 0.0))
        return answer if self._clock() < until else None

    def remember(self, digest: str, answer: AlertsAnswer) -> None:
        self._answers[digest] = (answer, self._clock() + OLDEST_EVENT.total_seconds() + OLDEST.total_seconds())
        if len(self._answers) > _MOST_REMEMBERED:
            self._answers.popitem(last=False)


@dataclass
class Desk:
    """What every door shares."""

    rulebook: Rulebook
    doorkeeper: Doorkeeper
    intake: Intake
    accesses: Accesses
    client: Callable[[], Client | None]
    budget: Budget = field(default_factory=Budget)
    lobby: Lobby = field(default_factory=lambda: Lobby(BODY_LIMIT))
    failed: FailedRequests = field(default_factory=FailedRequests)
    events: AnsweredEvents = field(default_factory=AnsweredEvents)


def alert_routes(desk: Desk) -> APIRouter:
    router = APIRouter(tags=["alerts"])

    @router.post("/webhooks/alertmanager", **_documented("alertmanager"))
    async def alertmanager(request: Request) -> Response:
        """Alertmanager's webhook, version 4."""
        return await _receive(desk, request, "alertmanager", from_alertmanager)

    @router.post("/webhooks/grafana", **_documented("grafana"))
    async def grafana(request: Request) -> Response:
        """Grafana's webhook contact point."""
        return await _receive(desk, request, "grafana", from_grafana)

    @router.post("/webhooks/sentry", **_documented("sentry"))
    async def sentry(request: Request) -> Response:
        """Sentry's issue alerts, metric alerts and issues, and the legacy webhooks."""
        resource = request.headers.get("sentry-hook-resource", "")[:100]
        return await _receive(desk, request, "sentry", lambda body, naming: from_sentry(body, naming, resource))

    @router.post("/webhooks/pagerduty", **_documented("pagerduty"))
    async def pagerduty(request: Request) -> Response:
        """PagerDuty's webhooks, version 3."""
        return await _receive(desk, request, "pagerduty", from_pagerduty)

    @router.post("/webhooks/opsgenie", **_documented("opsgenie"))
    async def opsgenie(request: Request) -> Response:
        """Opsgenie's outgoing webhooks."""
        return await _receive(desk, request, "opsgenie", from_opsgenie)

    @router.post("/webhooks/generic/{name}", **_documented("generic"))
    async def generic(name: str, request: Request) -> Response:
        """A sender of JSON of its own, read as incidents.sources in the catalog says."""
        return await _receive(desk, request, f"generic/{name[:100]}", None)

    @router.post("/alerts", **_documented("alerts"))
    async def alerts(request: Request) -> Response:
        """One alert in our own form, or several."""
        return await _receive(desk, request, "alerts", from_own)

    return router


async def _receive(desk: Desk, request: Request, door: str, read: Read | None) -> Response:
    try:
        return await _served(desk, request, door, read)
    except HTTPException:
        await drained(request)
        raise


async def _served(desk: Desk, request: Request, door: str, read: Read | None) -> Response:
    with desk.accesses.visit(request) as visit:
        rules = desk.rulebook.rules
        if door in rules.signing:
            answer = await _take_signed(desk, rules, request, door, read, visit)
        else:
            caller = desk.doorkeeper.known(request)
            visit.who = caller.name
            desk.doorkeeper.require(caller, Access.RESPONDER)
            read = read or _generic(rules, door)
            async with body_of(request, desk.budget) as body:
                answer = await _take(desk, rules, request, door, caller, body, read)
        visit.answered(answer)
        return _response(answer)


async def _take_signed(
    desk: Desk, rules: Rules, request: Request, door: str, read: Read | None, visit: Visit
) -> AlertsAnswer:
    """Without headers that may be right the body is not read at all. Raises HTTPException."""
    secret = rules.signing[door].get_secret_value()
    try:
        claim = _claim(rules, request, door)
        async with proved_body_of(request, desk.lobby, desk.budget, lambda body: claim.check(secret, body)) as body:
            caller = desk.doorkeeper.signed(door)
            visit.who = caller.name
            if door == "pagerduty":
                return await _take_event(desk, rules, request, caller, body)
            return await _take(desk, rules, request, door, caller, body, read or _generic(rules, door))
    except NotSignedError as error:
        raise desk.doorkeeper.refusal(request, str(error)) from error


def _claim(rules: Rules, request: Request, door: str) -> Claim:
    """Raises NotSignedError."""
    spec, headers, now = rules.catalog.gateway.signatures, request.headers, datetime.now(UTC)
    if door == "grafana" and spec.grafana:
        return grafana_claim(spec.grafana, headers, now)
    if door == "sentry":
        return sentry_claim(headers, now)
    if door == "pagerduty":
        return pagerduty_claim(headers)
    return generic_claim(spec.generic[door.partition("/")[2]], headers, now)


async def _take_event(desk: Desk, rules: Rules, request: Request, caller: Caller, body: bytes) -> AlertsAnswer:
    """One event of PagerDuty, no two of which are the same. Raises NotSignedError for an old one."""
    check_event_age(_event_of(json_of(body)).get("occurred_at"), datetime.now(UTC))
    digest = hashlib.sha256(body).hexdigest()
    answer = desk.events.answer_to(digest)
    if answer is None:
        answer = await _take(desk, rules, request, "pagerduty", caller, body, from_pagerduty)
        if _status(answer) == _OK:
            desk.events.remember(digest, answer)
    return answer


async def _take(
    desk: Desk, rules: Rules, request: Request, door: str, caller: Caller, body: bytes, read: Read
) -> AlertsAnswer:
    document = json_of(body)
    digest = hashlib.sha256(f"{door}\0{caller.name}\0".encode() + body).hexdigest()
    given = _given_id(request, door, document)
    name = hashlib.sha256(f"{digest}\0{given}".encode()).hexdigest()[:32] if given else desk.failed.name_for(digest)
    naming = Naming.of(rules.catalog)
    found = await asyncio.to_thread(read, document, naming) if len(body) > _LARGE else read(document, naming)
    answer = await desk.intake.take(desk.client(), rules.catalog, found, request=name, who=caller.name)
    if answer.failed and not given:
        desk.failed.remember(digest, name)
    return answer


def _event_of(document: JsonValue) -> dict[str, JsonValue]:
    event = document.get("event") if isinstance(document, dict) else None
    return event if isinstance(event, dict) else {}


def _given_id(request: Request, door: str, document: JsonValue) -> str:
    """What the sender itself names a delivery, the same when it is sent again; empty where it does not."""
    if door == "pagerduty" and (event := _event_of(document)):
        return str(event.get("id") or "")
    return request.headers.get("idempotency-key", "") or request.headers.get(standard_webhooks.ID, "")


def _generic(rules: Rules, door: str) -> Read:
    name = door.partition("/")[2]
    spec = rules.catalog.incidents.sources.get(name)
    if spec is None:
        there = ", ".join(sorted(rules.catalog.incidents.sources)) or "none"
        raise HTTPException(
            404, f"There is no source {name!r} under incidents.sources in the catalog; there is {there}."
        )
    return lambda body, naming: from_generic(body, naming, name, spec)


_OK, _NOT_UNDERSTOOD, _NOT_TAKEN = 200, 422, 503


def _status(answer: AlertsAnswer) -> int:
    """2xx only if all that was understood is taken, and all was understood; a sender comes again after a 5xx."""
    if answer.failed:
        return _NOT_TAKEN
    return _NOT_UNDERSTOOD if answer.problems else _OK


def _response(answer: AlertsAnswer) -> Response:
    status = _status(answer)
    headers = {"Retry-After": _RETRY_AFTER} if status == _NOT_TAKEN else None
    return Response(answer.model_dump_json(), status, headers, media_type="application/json")


def _documented(door: str) -> dict[str, Any]:
    return {
        "response_model": AlertsAnswer,
        "responses": RESPONSES if door != "generic" else {**RESPONSES, 404: RESPONSES[403]},
        "openapi_extra": {
            "requestBody": {"required": True, "content": {"application/json": body_schema(door)}},
            "security": SHOWN_BY,
        },
        "operation_id": door,
    }
