"""What the local stack raises. Every message is a sentence for the person who started it.

StackError            the local stack cannot do what was asked
├── ObtainError       a program could not be obtained; lists what was tried
├── PortTakenError    a port that was asked for is in use
└── NotServingError   a part was started and did not come to serve

AlreadyRunning stands apart: a stack that runs already is what was wanted.
"""

from datetime import datetime

from models.stack import StackRecord


class StackError(Exception):
    pass


class ObtainError(StackError):
    pass


class PortTakenError(StackError):
    pass


class NotServingError(StackError):
    pass


class AlreadyRunning(Exception):  # noqa: N818 - not an error
    """Another process holds this home. `record` is None while that one is still starting or stopping."""

    def __init__(self, pid: int, since: datetime, record: StackRecord | None) -> None:
        super().__init__(f"A local stack already runs here: process {pid}, since {since:%Y-%m-%d %H:%M:%S %Z}.")
        self.pid = pid
        self.since = since
        self.record = record
