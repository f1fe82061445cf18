"""Many readers of one source."""

import asyncio
import time
from datetime import timedelta

import pytest

from providers.shared_reads import SharedReads


class Source:
    """Notes what it is asked; each answer waits until it is let go."""

    def __init__(self) -> None:
        self.asked: list[set[str]] = []
        self.let_go = asyncio.Event()
        self.fails = False

    async def read(self, keys: frozenset[str]) -> int:
        self.asked.append(set(keys))
        number = len(self.asked)
        await self.let_go.wait()
        if self.fails:
            raise LookupError
        return number


async def asked(source: Source, times: int) -> None:
    while len(source.asked) < times:
        await asyncio.sleep(0)


async def test_one_who_is_alone_is_answered_at_once() -> None:
    source = Source()
    source.let_go.set()

    assert await SharedReads(source.read).get(["a"]) == 1
    assert source.asked == [{"a"}]


async def test_those_who_come_while_one_reads_share_the_next_read_and_none_is_given_what_was_read_before() -> None:
    source = Source()
    reads = SharedReads(source.read)
    first = asyncio.create_task(reads.get(["a"]))
    await asked(source, 1)
    others = [asyncio.create_task(reads.get([key])) for key in "abc"]
    await asyncio.sleep(0)
    source.let_go.set()

    assert [await first, *[await other for other in others]] == [1, 2, 2, 2]
    assert source.asked == [{"a"}, {"a", "b", "c"}]


async def test_one_who_is_cancelled_leaves_the_others_their_answer() -> None:
    source = Source()
    reads = SharedReads(source.read)
    one, other = (asyncio.create_task(reads.get([key])) for key in "ab")
    await asked(source, 1)
    one.cancel()
    source.let_go.set()

    assert await other == 1
    with pytest.raises(asyncio.CancelledError):
        await one


async def test_a_read_that_fails_fails_for_all_and_the_next_is_made_anew() -> None:
    source = Source()
    source.let_go.set()
    source.fails = True
    reads = SharedReads(source.read)

    failures = await asyncio.gather(*(reads.get([key]) for key in "ab"), return_exceptions=True)
    source.fails = False

    assert [type(each) for each in failures] == [LookupError, LookupError]
    assert await reads.get(["c"]) == 2


async def test_two_reads_begin_a_pause_apart_and_who_waits_for_it_shares() -> None:
    source = Source()
    source.let_go.set()
    pause = timedelta(milliseconds=50)
    reads = SharedReads(source.read, pause=pause)
    before = time.monotonic()
    await reads.get(["a"])

    answers = await asyncio.gather(*(reads.get([key]) for key in "abc"))

    assert answers == [2, 2, 2]
    assert time.monotonic() - before >= pause.total_seconds()


@pytest.mark.parametrize(("longest", "least", "most"), [(10.0, 0.2, 1.0), (0.06, 0.06, 0.15)])
async def test_a_read_that_takes_long_is_followed_by_a_rest_of_its_own_length_and_more(
    longest: float, least: float, most: float
) -> None:
    """Reading takes a quarter of the time here, unless the pause would be too long."""
    began: list[float] = []

    async def read(keys: frozenset[str]) -> None:
        began.append(time.monotonic())
        await asyncio.sleep(0.05)

    reads = SharedReads(read, share=0.25, longest=timedelta(seconds=longest))
    for _ in range(2):
        await reads.get(["a"])

    assert least <= began[1] - began[0] < most


async def test_one_read_that_is_quick_is_followed_by_the_next_at_once() -> None:
    source = Source()
    source.let_go.set()
    reads = SharedReads(source.read, share=0.2)
    before = time.monotonic()
    for _ in range(20):
        await reads.get(["a"])

    assert time.monotonic() - before < 0.1
