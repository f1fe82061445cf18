"""The doors by which people and programs silence alerts."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from fastapi import APIRouter, HTTPException, Request, Response
from pydantic import ValidationError
from temporalio.client import Client
from temporalio.service import RPCError

from activities.known_silences import KnownSilences
from activities.silence_board import (
    SilenceRefusedError,
    SilencesUnansweredError,
    new_silence_id,
    order_silences,
    read_silences,
)
from analysis.silences import needed_access, shown, shown_of_catalog, spec_of
from gateway.accesses import Accesses, Visit
from gateway.bodies import Budget, body_of, drained, json_of
from gateway.doorkeeper import WAYS_TO_SHOW_A_KEY, Caller, Doorkeeper
from gateway.rulebook import Rulebook
from models.base import Payload
from models.front_door import Refusal
from models.gateway_spec import Access
from models.mistakes import MistakeError
from models.silences import AddSilence, ExpireSilence, KeptSilence, SilenceShown, SilenceWords, Standing
from runtime.codec import UnreadablePayloadError

_PATIENCE = timedelta(seconds=8)
_RETRY_AFTER = {"Retry-After": "5"}


class SilencesShown(Payload):
    """Those of the catalog first."""

    silences: tuple[SilenceShown, ...]


@dataclass
class SilenceDesk:
    rulebook: Rulebook
    doorkeeper: Doorkeeper
    accesses: Accesses
    client: Callable[[], Client | None]
    known: KnownSilences
    budget: Budget

    @property
    def environment(self) -> str:
        return self.rulebook.rules.catalog.environment

    def connected(self) -> Client:
        client = self.client()
        if client is None:
            raise HTTPException(503, "Temporal is not reached.", _RETRY_AFTER)
        return client

    def let_in(self, request: Request, visit: Visit, wanted: Access) -> Caller:
        caller = self.doorkeeper.known(request)
        visit.who = caller.name
        self.doorkeeper.require(caller, wanted)
        return caller

    async def kept(self) -> tuple[KeptSilence, ...]:
        try:
            return await read_silences(self.connected(), self.environment, _PATIENCE)
        except (RPCError, ValueError, UnreadablePayloadError) as error:
            raise HTTPException(503, f"Silences cannot be read: {error}"[:500], _RETRY_AFTER) from error

    async def order(self, order: AddSilence | ExpireSilence, refused: int) -> KeptSilence:
        try:
            silence = await order_silences(self.connected(), self.environment, order, _PATIENCE)
        except SilenceRefusedError as error:
            raise HTTPException(refused, f"It is refused: {error}."[:500]) from error
        except SilencesUnansweredError as error:
            why = "No worker of the incidents answered in time; GET /silences tells whether it was taken."
            raise HTTPException(503, why, _RETRY_AFTER) from error
        self.known.heard(silence)
        return silence


_ALWAYS: dict[int | str, dict[str, Any]] = {status: {"model": Refusal} for status in (401, 403, 429, 503)}
_UNKNOWN: dict[int | str, dict[str, Any]] = {404: {"model": Refusal}}
_BODY: dict[int | str, dict[str, Any]] = {status: {"model": Refusal} for status in (400, 408, 409, 413, 415, 422)}


def silence_routes(desk: SilenceDesk) -> APIRouter:
    router = APIRouter(tags=["silences"], dependencies=WAYS_TO_SHOW_A_KEY)

    @router.get("/silences", responses=_ALWAYS, operation_id="list_silences")
    async def silences(request: Request, ended: bool = False) -> SilencesShown:
        """What is silenced now or later; with `ended`, what was lately, too."""
        with desk.accesses.visit(request) as visit:
            desk.let_in(request, visit, Access.VIEWER)
            now = datetime.now(UTC)
            catalog = desk.rulebook.rules.catalog.incidents.silences
            found = [
                *(shown_of_catalog(spec, now) for spec in catalog),
                *(shown(each, now) for each in await desk.kept()),
            ]
            return SilencesShown(silences=tuple(each for each in found if ended or each.standing is not Standing.ENDED))

    @router.get("/silences/{silence_id}", responses={**_ALWAYS, **_UNKNOWN}, operation_id="show_silence")
    async def silence(request: Request, silence_id: str) -> SilenceShown:
        """One silence that somebody keeps."""
        with desk.accesses.visit(request) as visit:
            desk.let_in(request, visit, Access.VIEWER)
            found = next((each for each in await desk.kept() if each.id == silence_id), None)
            if found is None:
                raise _no_such(silence_id)
            return shown(found, datetime.now(UTC))

    @router.post(
        "/silences",
        status_code=201,
        response_model=SilenceShown,
        responses={**_ALWAYS, **_BODY},
        openapi_extra={
            "requestBody": {
                "required": True,
                "content": {"application/json": {"schema": SilenceWords.model_json_schema()}},
            }
        },
        operation_id="add_silence",
    )
    async def add(request: Request) -> Response:
        """Silence alerts that match, for a time or every week.

        An operator's for up to seven days; longer, or every week, an admin's.
        """
        try:
            return await _added(desk, request)
        except HTTPException:
            await drained(request)
            raise

    @router.delete("/silences/{silence_id}", responses={**_ALWAYS, **_UNKNOWN}, operation_id="expire_silence")
    async def expire(request: Request, silence_id: str) -> SilenceShown:
        """End a silence now; what it hid and still fires opens its incident when it is sent again."""
        with desk.accesses.visit(request) as visit:
            caller = desk.let_in(request, visit, Access.OPERATOR)
            try:
                order = ExpireSilence(id=silence_id, by=caller.name, from_where=_from(visit))
            except ValidationError as error:
                raise _no_such(silence_id) from error
            return shown(await desk.order(order, 404), datetime.now(UTC))

    return router


async def _added(desk: SilenceDesk, request: Request) -> Response:
    with desk.accesses.visit(request) as visit:
        caller = desk.let_in(request, visit, Access.OPERATOR)
        async with body_of(request, desk.budget) as body:
            written = json_of(body)
        now = datetime.now(UTC)
        try:
            words = SilenceWords.model_validate(written, extra="forbid", by_name=False, by_alias=True)
            spec = spec_of(words, new_silence_id(), now)
        except ValidationError as error:
            raise HTTPException(422, _said(error)) from error
        except MistakeError as error:
            raise HTTPException(422, f"{error}."[:900]) from error
        desk.doorkeeper.require(caller, needed_access(spec))
        order = AddSilence(spec=spec, by=caller.name, from_where=_from(visit))
        kept = await desk.order(order, 409)
        visit.note = f"silence {kept.id}"
        return Response(shown(kept, now).model_dump_json(), 201, media_type="application/json")


def _from(visit: Visit) -> str:
    return f"gateway, {visit.address}"


def _no_such(silence_id: str) -> HTTPException:
    return HTTPException(404, f"There is no silence {silence_id[:100]!r}; GET /silences lists them.")


def _said(error: ValidationError) -> str:
    problems = error.errors(include_url=False, include_context=False)
    return "; ".join(f"{_place(each['loc'])}: {each['msg'].removeprefix('Value error, ')}" for each in problems[:5])[
        :900
    ]


def _place(path: tuple[int | str, ...]) -> str:
    return ".".join(str(part)[:50] for part in path) or "body"
