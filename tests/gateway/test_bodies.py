"""How bodies share the memory that there is for them."""

import asyncio
from contextlib import AsyncExitStack

import pytest
from fastapi import HTTPException, Request

from analysis.signatures import NotSignedError
from gateway import bodies
from gateway.bodies import BODY_LIMIT, Budget, body_of, proved_body_of
from gateway.lobby import Lobby

KB = 2**10
SOON = 0.3


class Sender:
    """Sends pieces when a test says so; `None` is the end."""

    def __init__(self, *, length: int | None = None) -> None:
        self._pieces: asyncio.Queue[bytes | None] = asyncio.Queue()
        headers = [(b"content-type", b"application/json")]
        if length is not None:
            headers.append((b"content-length", str(length).encode()))
        self.request = Request({"type": "http", "method": "POST", "path": "/", "headers": headers}, self._receive)

    def send(self, *pieces: bytes | None) -> "Sender":
        for piece in pieces:
            self._pieces.put_nowait(piece)
        return self

    async def _receive(self) -> dict[str, object]:
        piece = await self._pieces.get()
        return {"type": "http.request", "body": piece or b"", "more_body": piece is not None}


def right(_body: bytes) -> None:
    pass


def wrong(_body: bytes) -> None:
    raise NotSignedError


async def test_what_is_only_announced_takes_no_room_of_those_who_are_known() -> None:
    budget, lobby = Budget(), Lobby(BODY_LIMIT)
    idle = [Sender(length=BODY_LIMIT) for _ in range(1_000)]
    waiting = [asyncio.create_task(_proved(each, lobby, budget)) for each in idle]
    await asyncio.sleep(0)
    known = Sender(length=BODY_LIMIT).send(b"x" * BODY_LIMIT, None)
    assert await asyncio.wait_for(_known(known, budget), SOON) == BODY_LIMIT
    signed = Sender().send(b"{}", None)
    assert await asyncio.wait_for(_proved(signed, lobby, budget), SOON) == 2
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    assert lobby.held == 0


async def test_a_small_body_of_unknown_length_takes_little_room() -> None:
    budget = Budget()
    async with AsyncExitStack() as held:
        for _ in range(100):
            await asyncio.wait_for(held.enter_async_context(body_of(Sender().send(b"{}", None).request, budget)), SOON)


async def test_large_bodies_of_unknown_length_wait_for_each_other_and_all_are_read() -> None:
    budget = Budget()
    senders = [Sender().send(*[b"x" * 64 * KB] * 64, None) for _ in range(10)]
    assert await asyncio.gather(*(_known(each, budget) for each in senders)) == [BODY_LIMIT] * 10


async def test_bodies_that_nobody_proved_yet_never_wait_for_each_other_for_ever() -> None:
    budget, lobby = Budget(), Lobby(BODY_LIMIT)
    senders = [Sender() for _ in range(10)]
    reading = [asyncio.create_task(_proved(each, lobby, budget)) for each in senders]
    for _ in range(64):  # all at the same pace
        for each in senders:
            each.send(b"x" * 64 * KB)
        await asyncio.sleep(0)
        assert lobby.held <= 6 * KB * KB
    for each in senders:
        each.send(None)
    assert await asyncio.wait_for(asyncio.gather(*reading), 10) == [BODY_LIMIT] * 10
    assert lobby.held == 0


async def test_what_proves_to_be_wrong_leaves_its_room() -> None:
    budget, lobby = Budget(), Lobby(BODY_LIMIT)
    for _ in range(20):
        with pytest.raises(NotSignedError):
            await _proved(Sender().send(b"x" * 2**20, None), lobby, budget, wrong)
    assert lobby.held == 0


async def test_who_finds_no_room_in_time_is_told_to_come_again(monkeypatch: pytest.MonkeyPatch) -> None:
    budget, lobby = Budget(), Lobby(BODY_LIMIT)
    oldest = asyncio.create_task(_proved(Sender().send(b"x" * KB), lobby, budget))
    while not lobby.held:
        await asyncio.sleep(0)
    monkeypatch.setattr(bodies, "PATIENCE", bodies.PATIENCE / 100)
    late = Sender().send(*[b"x" * 64 * KB] * 60, None)
    with pytest.raises(HTTPException) as refused:
        await _proved(late, lobby, budget)
    assert refused.value.status_code == 503
    oldest.cancel()


async def _known(sender: Sender, budget: Budget) -> int:
    async with body_of(sender.request, budget) as body:
        return len(body)


async def _proved(sender: Sender, lobby: Lobby, budget: Budget, prove: object = right) -> int:
    async with proved_body_of(sender.request, lobby, budget, prove) as body:  # type: ignore[arg-type]
        return len(body)
