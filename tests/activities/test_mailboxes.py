"""What waits for the same incident is one call to Temporal, in order, and one bad letter spoils no other."""

import asyncio
from collections.abc import Sequence
from typing import cast

import pytest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from activities.mailboxes import Letter, Mailboxes
from analysis.placing import MOST_IN_A_SIGNAL
from models.ids import IncidentRef
from models.incident import AlertSignal, IncidentRequest
from models.severity import Severity
from models.temporal_names import IncidentSignal
from tests.analysis.incident_factories import an_alert

TEMPORAL = cast(Client, object())


def a_letter(name: str, *, fires: bool = True, alerts: int = 1, key: str = "slow") -> Letter:
    ref = IncidentRef(environment="local", service="shop", key=key)
    what = IncidentSignal.FIRED if fires else IncidentSignal.CLEARED
    request = IncidentRequest(ref=ref, title="slow", severity=Severity.SEV2)
    return Letter(TEMPORAL, request, AlertSignal(alerts=(an_alert(),) * alerts, request=name), what)


class Temporal:
    """Answers once it is let; refuses what holds a request named bad."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.at_once = self.most_at_once = 0
        self.open = asyncio.Event()

    async def tell(self, letters: Sequence[Letter]) -> bool:
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        names = " ".join(letter.signal.request for letter in letters)
        self.calls.append(names)
        try:
            await self.open.wait()
        finally:
            self.at_once -= 1
        if "bad" in names:
            raise RPCError("too large", RPCStatusCode.INVALID_ARGUMENT, b"")
        return letters[0].what is IncidentSignal.FIRED


@pytest.fixture
async def temporal() -> Temporal:
    return Temporal()


async def sent(temporal: Temporal, *letters: Letter, at_once: int = 4) -> list[bool | BaseException]:
    """All at once, in this order, while the first call is under way."""
    mailboxes = Mailboxes(temporal.tell, at_once)
    tasks = [asyncio.create_task(mailboxes.send(letter)) for letter in letters[:1]]
    while not temporal.calls:
        await asyncio.sleep(0)
    tasks += [asyncio.create_task(mailboxes.send(letter)) for letter in letters[1:]]
    for _ in range(10):  # each has its turn
        await asyncio.sleep(0)
    temporal.open.set()
    return await asyncio.gather(*tasks, return_exceptions=True)


async def test_what_comes_during_a_call_goes_together_afterwards(temporal: Temporal) -> None:
    assert await sent(temporal, *map(a_letter, "abcd")) == [True] * 4
    assert temporal.calls == ["a", "b c d"]


async def test_what_clears_goes_apart_and_never_overtakes(temporal: Temporal) -> None:
    letters = (a_letter("a"), a_letter("b"), a_letter("c", fires=False), a_letter("d", fires=False), a_letter("e"))
    assert await sent(temporal, *letters) == [True, True, False, False, True]
    assert temporal.calls == ["a", "b", "c d", "e"]


async def test_a_signal_holds_no_more_than_fits(temporal: Temporal) -> None:
    letters = (a_letter("a"), a_letter("b", alerts=MOST_IN_A_SIGNAL - 1), a_letter("c"), a_letter("d"))
    assert await sent(temporal, *letters) == [True] * 4
    assert temporal.calls == ["a", "b c", "d"]


async def test_what_temporal_refuses_takes_no_other_with_it(temporal: Temporal) -> None:
    first, good, bad, last = await sent(temporal, *map(a_letter, ("a", "b", "bad", "c")))
    assert (first, good, last) == (True, True, True)
    assert isinstance(bad, RPCError)
    assert temporal.calls == ["a", "b bad c", "b", "bad", "c"]


async def test_what_nobody_waits_for_any_more_is_not_sent(temporal: Temporal) -> None:
    given_up = a_letter("b")
    given_up.answer.cancel()
    await sent(temporal, a_letter("a"), given_up, a_letter("c"))
    assert temporal.calls == ["a", "c"]


async def test_incidents_are_told_in_parallel_but_not_too_many_at_once(temporal: Temporal) -> None:
    letters = [a_letter(str(number), key=f"key-{number}") for number in range(10)]
    assert await sent(temporal, *letters, at_once=3) == [True] * 10
    assert temporal.most_at_once == 3
