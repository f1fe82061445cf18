"""Who knocked, from where, and what became of it: for the audit log, and in one line of the process's own log."""

import logging
import socket
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Protocol

from fastapi import HTTPException, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from analysis.rate_limits import draw, full
from gateway.doorkeeper import address_of
from models.audit import ACCEPTED, REFUSED, AuditEntry
from models.front_door import AlertsAnswer
from models.gateway_spec import RateSpec
from models.ids import ServiceRef

GATEWAY = "gateway"
"""The service that accesses stand under in the audit log."""

FAILED = "failed"
_TOO_MANY = 429
_ONE_IN = timedelta(seconds=10)
"""Of requests beyond a rate one is written in such a time, with how many there were: they must not fill a disk."""

_MOST_COUNTED = 1_000

_UNSERVED = RateSpec(per_second=0.2, burst=30)
"""Of requests that no door serves so many are written, whoever sends them: who looks for doors sends thousands."""

_REFUSALS = 400
_VISITED = "holdfast.visited"
_NOT_AUDITED = frozenset({"/healthz", "/readyz"})
"""Asked every few seconds, for ever, by what watches over the process."""

logger = logging.getLogger(__name__)


class Log(Protocol):
    def add(self, entry: AuditEntry) -> None:
        """Keep it. Quick; never raises."""
        ...


@dataclass
class Visit:
    """One request, while it is served."""

    what: str
    address: str
    who: str = "unknown"
    key: str = field(default_factory=lambda: str(uuid.uuid4()))
    outcome: str = ACCEPTED
    why: str = ""
    note: str = ""

    def answered(self, answer: AlertsAnswer) -> None:
        counts = {
            "taken": answer.taken,
            "suppressed": len(answer.suppressed),
            "not taken": sum(each.alerts for each in answer.failed),
            "not understood": len(answer.problems),
            "ignored": len(answer.ignored),
        }
        said = ", ".join(f"{number} {what}" for what, number in counts.items() if number)
        self.note = f"request {answer.request}: {said or 'no alerts'}"
        if answer.failed:
            self.outcome, self.why = FAILED, answer.failed[0].why
        elif answer.problems:
            self.outcome, self.why = REFUSED, str(answer.problems[0])[:500]


class Accesses:
    def __init__(self, log: Log, environment: Callable[[], str], clock: Callable[[], float] = time.monotonic) -> None:
        self._log, self._environment, self._clock = log, environment, clock
        self._host = socket.gethostname()
        self._beyond: dict[str, tuple[float, int]] = {}
        self._unserved = full(_UNSERVED, clock())
        self._unwritten = 0

    @contextmanager
    def visit(self, request: Request) -> Iterator[Visit]:
        request.scope[_VISITED] = True
        visit = Visit(f"{request.method} {request.url.path[:200]}", address_of(request))
        try:
            yield visit
        except HTTPException as refusal:
            visit.outcome, visit.why = REFUSED, f"{refusal.status_code}: {refusal.detail}"[:500]
            if refusal.status_code != _TOO_MANY or self._one_of_many(visit):
                self._write(visit)
            raise
        except Exception:
            visit.outcome, visit.why = FAILED, "an error of our own; the gateway's log has it"
            self._write(visit)
            raise
        else:
            self._write(visit)

    def unserved(self, request: Request, status: int) -> None:
        """One that came to no door: nothing is there, or it may not come in."""
        if _VISITED in request.scope or request.url.path in _NOT_AUDITED:
            return
        drawn = draw(self._unserved, _UNSERVED, self._clock())
        self._unserved = drawn.bucket
        if drawn.wait is not None:
            self._unwritten += 1
            return
        visit = Visit(f"{request.method} {request.url.path[:200]}", address_of(request), why=str(status))
        visit.outcome = REFUSED if status >= _REFUSALS else ACCEPTED
        visit.note = f"and {self._unwritten} more before it" if self._unwritten else ""
        self._unwritten = 0
        self._write(visit)

    def _one_of_many(self, visit: Visit) -> bool:
        """Whether this one is to be written, for those that were not."""
        name, now = f"{visit.who} {visit.address}", self._clock()
        since, number = self._beyond.get(name, (now - _ONE_IN.total_seconds(), 0))
        if now - since < _ONE_IN.total_seconds():
            self._beyond[name] = (since, number + 1)
            return False
        if len(self._beyond) >= _MOST_COUNTED:
            self._beyond.clear()
        self._beyond[name] = (now, 0)
        visit.note = f"and {number} more before it" if number else ""
        return True

    def _write(self, visit: Visit) -> None:
        logger.log(
            logging.DEBUG if visit.outcome == ACCEPTED else logging.INFO,
            "%s by %s: %s", visit.what, visit.who, visit.outcome,
            extra={"address": visit.address, "why": visit.why, "note": visit.note},
        )  # fmt: skip
        self._log.add(
            AuditEntry(
                key=visit.key,
                at=datetime.now(UTC),
                who=visit.who,
                what=visit.what,
                ref=ServiceRef(environment=self._environment(), service=GATEWAY),
                from_where=f"{visit.address} to {GATEWAY}@{self._host}",
                outcome=visit.outcome,
                why=visit.why,
                note=visit.note,
            )
        )


class Unserved:
    """Around the application: has the accesses told of what none of its doors was."""

    def __init__(self, app: ASGIApp, accesses: Accesses) -> None:
        self._app, self._accesses = app, accesses

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def heard(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._accesses.unserved(Request(scope), message["status"])
            await send(message)

        await self._app(scope, receive, heard)
