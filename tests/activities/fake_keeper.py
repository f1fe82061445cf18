"""A keeper that answers as it is told and remembers what it was asked."""

from datetime import timedelta

from models.keeper import Holder, LeaseKey, LeaseStanding, LeaseState
from models.keeper_ledger import Lease
from providers.errors import ProviderError
from tests.factories import WHEN

HELD = LeaseStanding(state=LeaseState.HELD)
LAPSED = LeaseStanding(state=LeaseState.CARRIED_OUT, lapsed_at=WHEN, carried_out_at=WHEN)
GONE = LeaseStanding(state=LeaseState.GONE)


def a_key(seconds: float = 0.6, epoch: int = 1) -> LeaseKey:
    holder = Holder(workflow_id="rollout/local/shop", run_id="run-1")
    return LeaseKey(key="weight/local/shop", holder=holder, epoch=epoch, duration=timedelta(seconds=seconds))


class FakeKeeper:
    """A LeaseKeeper. Each call takes the next answer of `answers`, the last one for ever."""

    def __init__(self, *answers: LeaseStanding | ProviderError) -> None:
        self._answers = list(answers or (HELD,))
        self.story: list[str] = []
        self.armed: list[Lease] = []

    async def arm(self, lease: Lease, *, take_over: bool = False) -> LeaseStanding:
        self.armed.append(lease)
        return self._next("arm")

    async def renew(self, lease: LeaseKey) -> LeaseStanding:
        return self._next("renew")

    async def settle(self, lease: LeaseKey) -> LeaseStanding:
        return self._next("settle")

    def _next(self, call: str) -> LeaseStanding:
        self.story.append(call)
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, ProviderError):
            raise answer
        return answer
