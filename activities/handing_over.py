"""How a long watch leaves a worker that is asked to stop: at once, for another to go on from its last heartbeat."""

from datetime import timedelta

from temporalio.exceptions import ApplicationError

_DELAY = timedelta(milliseconds=100)


def handed_over() -> ApplicationError:
    """To be raised after a heartbeat with all that the next worker needs."""
    return ApplicationError(
        "this worker is stopping; another goes on from the last heartbeat",
        type="WorkerStopping",
        next_retry_delay=_DELAY,
    )
