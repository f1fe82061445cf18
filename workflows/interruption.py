"""Work that a message may interrupt, and work that no cancellation may."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TypeVar

from temporalio import workflow
from temporalio.exceptions import is_cancelled_exception

Result = TypeVar("Result")


class InterruptedWorkError(Exception):
    """The work was cancelled because of a message."""


async def unless(interrupted: Callable[[], bool], work: Awaitable[Result]) -> Result:
    """Finish the work and return its result; or, once `interrupted` is true, cancel it, wait until it has ended, and
    raise InterruptedWorkError. Work that ends in spite of being cancelled keeps its result.
    """
    task = asyncio.ensure_future(work)
    try:
        await workflow.wait_condition(lambda: task.done() or interrupted())
    finally:
        await ended(task)
    try:
        return task.result()
    except (asyncio.CancelledError, Exception) as error:
        if interrupted() and is_cancelled_exception(error):
            raise InterruptedWorkError from error
        raise


async def ended(task: asyncio.Future[Result]) -> None:
    """Cancel the task unless it is done, and wait until it has ended, in whatever way."""
    if not task.done():
        task.cancel()
        await workflow.wait([task])
    if not task.cancelled():
        task.exception()  # seen by now, else asyncio complains of one that nobody looked at


async def shielded(work: Awaitable[object]) -> None:
    """Finish the work whatever is cancelled meanwhile, then let the cancellation through."""
    task = asyncio.ensure_future(work)
    cancelled: BaseException | None = None
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError as error:
            if task.cancelled():
                raise
            cancelled = error
    task.result()
    if cancelled:
        raise cancelled


async def undisturbed(work: Awaitable[object]) -> None:
    """Finish the work, and let no cancellation through: for what would forget something that others count on. Who
    wants such a workflow to end terminates it.
    """
    with suppress(asyncio.CancelledError):
        await shielded(work)
