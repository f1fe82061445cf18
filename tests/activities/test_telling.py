"""An incident begins with its first alert, is only signalled from then on, and begins anew where it has ended."""

from collections.abc import Sequence
from typing import Any, cast

import pytest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from activities.mailboxes import Letter
from activities.telling import Teller
from models.ids import IncidentRef
from models.incident import AlertSignal, IncidentRequest
from models.severity import Severity
from models.temporal_names import IncidentSignal
from tests.analysis.incident_factories import an_alert


class Temporal:
    """Which incidents run, and what was asked of it."""

    def __init__(self) -> None:
        self.running: set[str] = set()
        self.calls: list[str] = []
        self.away = False

    async def start_workflow(self, *_arguments: object, id: str, start_signal_args: Sequence[Any], **_: object) -> None:  # noqa: A002 - SDK's name
        self._hear("start", start_signal_args)
        self.running.add(id)

    def get_workflow_handle(self, name: str) -> "Handle":
        return Handle(self, name)

    def _hear(self, what: str, said: Sequence[AlertSignal]) -> None:
        self.calls.append(f"{what} {' '.join(each.request for each in said)}")
        if self.away:
            raise RPCError("nobody is there", RPCStatusCode.UNAVAILABLE, b"")


class Handle:
    def __init__(self, temporal: Temporal, name: str) -> None:
        self._temporal, self._name = temporal, name

    async def signal(self, what: str, *, args: Sequence[AlertSignal], **_: object) -> None:
        self._temporal._hear(what, args)
        if self._name not in self._temporal.running:
            raise RPCError("it has ended", RPCStatusCode.NOT_FOUND, b"")


@pytest.fixture
def temporal() -> Temporal:
    return Temporal()


def letters(
    temporal: Temporal, *names: str, what: IncidentSignal = IncidentSignal.FIRED, key: str = "slow"
) -> list[Letter]:
    ref = IncidentRef(environment="local", service="shop", key=key)
    request = IncidentRequest(ref=ref, title="slow", severity=Severity.SEV2)
    client = cast(Client, temporal)
    return [Letter(client, request, AlertSignal(alerts=(an_alert(),), request=name), what) for name in names]


async def test_it_begins_with_the_first_and_is_only_signalled_from_then_on(temporal: Temporal) -> None:
    teller = Teller()
    assert await teller.tell(letters(temporal, "one"))
    assert await teller.tell(letters(temporal, "two", "three"))
    assert await teller.tell(letters(temporal, "other", key="down"))
    assert temporal.calls == ["start one", "fired two three", "start other"]


async def test_where_it_has_ended_since_it_begins_anew(temporal: Temporal) -> None:
    teller = Teller()
    await teller.tell(letters(temporal, "one"))
    temporal.running.clear()
    assert await teller.tell(letters(temporal, "two"))
    assert await teller.tell(letters(temporal, "three"))
    assert temporal.calls == ["start one", "fired two", "start two", "fired three"]


async def test_what_clears_begins_nothing(temporal: Temporal) -> None:
    teller = Teller()
    assert not await teller.tell(letters(temporal, "one", what=IncidentSignal.CLEARED))
    await teller.tell(letters(temporal, "two"))
    assert await teller.tell(letters(temporal, "three", what=IncidentSignal.CLEARED))
    assert temporal.calls == ["cleared one", "start two", "cleared three"]


async def test_one_that_temporal_did_not_take_is_not_known_to_have_begun(temporal: Temporal) -> None:
    teller = Teller()
    temporal.away = True
    with pytest.raises(RPCError):
        await teller.tell(letters(temporal, "one"))
    temporal.away = False
    await teller.tell(letters(temporal, "one again"))
    assert temporal.calls == ["start one", "start one again"]


async def test_where_no_answer_comes_nothing_else_is_tried(temporal: Temporal) -> None:
    """It may have been taken: a second call would count it twice."""
    teller = Teller()
    await teller.tell(letters(temporal, "one"))
    temporal.away = True
    with pytest.raises(RPCError):
        await teller.tell(letters(temporal, "two"))
    assert temporal.calls == ["start one", "fired two"]
