"""What the records raise: one kind of error, whatever database there is."""


class RecordsError(Exception):
    """A sentence for the person who must act: what happened, to which database, and what to do.

    `retryable` says whether the same call may succeed later by itself. Holds no password.
    """

    def __init__(self, message: str, *, retryable: bool) -> None:
        super().__init__(message)
        self.retryable = retryable
