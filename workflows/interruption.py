"""Work that a message may interrupt."""

import asyncio
from collections.abc import Awaitable, Callable
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
        if not task.done():
            task.cancel()
            await workflow.wait([task])
    try:
        return task.result()
    except (asyncio.CancelledError, Exception) as error:
        if interrupted() and is_cancelled_exception(error):
            raise InterruptedWorkError from error
        raise
