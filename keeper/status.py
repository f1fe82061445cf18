"""What a keeper says about itself."""

from enum import StrEnum

from runtime.health import Report, loop_sentence


class State(StrEnum):
    STARTING = "starting"
    SERVING = "serving"
    STOPPING = "stopping"


class KeeperReport(Report):
    """How many leases are held, how many are being kept undone, and how many this process carried out; `troubles` are
    sentences.
    """

    state: State
    held: int
    lapsed: int
    carried_out: int
    troubles: tuple[str, ...]


_SENTENCES = {
    State.STARTING: "The ledger has not been looked through yet.",
    State.SERVING: "Leases that nobody renews are carried out.",
    State.STOPPING: "The keeper is stopping; what lapses now is carried out by the next one.",
}


class Status:
    """Where a keeper is in its life."""

    def __init__(self) -> None:
        self._state = State.STARTING
        self._held = 0
        self._lapsed = 0
        self._carried_out = 0
        self._troubles: tuple[str, ...] = ()

    def serving(self) -> None:
        self._state = State.SERVING

    def stopping(self) -> None:
        self._state = State.STOPPING

    def carried_one_out(self) -> None:
        self._carried_out += 1

    def saw(self, *, held: int, lapsed: int, troubles: tuple[str, ...]) -> None:
        self._held, self._lapsed, self._troubles = held, lapsed, troubles

    def ready(self) -> KeeperReport:
        """Ready with troubles, too: another keeper would have them as well."""
        return self._report(ok=self._state is State.SERVING, text=_SENTENCES[self._state])

    def alive(self, *, loop_answers: bool) -> KeeperReport:
        return self._report(ok=loop_answers, text=loop_sentence(loop_answers=loop_answers))

    def _report(self, *, ok: bool, text: str) -> KeeperReport:
        return KeeperReport(
            ok=ok,
            text=text,
            state=self._state,
            held=self._held,
            lapsed=self._lapsed,
            carried_out=self._carried_out,
            troubles=self._troubles,
        )
