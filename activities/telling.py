"""Telling incidents of alerts: each beginning with its first, and only signalled from then on."""

from collections import OrderedDict
from collections.abc import Sequence
from datetime import timedelta

from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from activities.mailboxes import Letter
from activities.search_attributes import of_incident
from models.held import HeldSignal
from models.ids import IncidentRef, incident_id
from models.incident import AlertSignal, IncidentRequest
from models.temporal_names import INCIDENT_WORKFLOW, IncidentSignal, TaskQueue

RPC_TIMEOUT = timedelta(seconds=8)
_MOST_REMEMBERED = 20_000


class Teller:
    """Remembers whom it told: a signal takes half as long to make as one that brings along what an incident would begin
    with, and the incident is mostly there. Where it has ended since, Temporal says so, and it begins anew.
    """

    def __init__(self) -> None:
        self._there: OrderedDict[IncidentRef, None] = OrderedDict()

    async def tell(self, letters: Sequence[Letter]) -> bool:
        """Tell one incident all of these in one call: whether there is one. Raises RPCError."""
        first, signals = letters[0], [letter.signal for letter in letters]
        ref, what = first.request.ref, first.what
        if what is IncidentSignal.CLEARED:
            there = await _signalled(first.client, ref, what, signals)
            if not there:
                self._there.pop(ref, None)
            return there
        if ref not in self._there or not await _signalled(first.client, ref, what, signals):
            self._there.pop(ref, None)
            await signal_with_start(first.client, first.request, signals, what)
        self._there[ref] = None
        self._there.move_to_end(ref)
        if len(self._there) > _MOST_REMEMBERED:
            self._there.popitem(last=False)
        return True


async def signal_with_start(
    client: Client,
    request: IncidentRequest,
    signals: Sequence[AlertSignal | HeldSignal],
    what: IncidentSignal = IncidentSignal.FIRED,
) -> None:
    """Tell the incident, which begins if there is none of its key. Raises RPCError."""
    await client.start_workflow(
        INCIDENT_WORKFLOW,
        request,
        id=incident_id(request.ref),
        task_queue=TaskQueue.INCIDENTS,
        start_signal=what,
        start_signal_args=signals,
        static_summary=f"{request.severity} {request.title}"[:200],
        search_attributes=of_incident(request),
        rpc_timeout=RPC_TIMEOUT,
    )


async def _signalled(
    client: Client, ref: IncidentRef, what: IncidentSignal, signals: Sequence[AlertSignal | HeldSignal]
) -> bool:
    """Whether there was one to signal. Raises RPCError."""
    handle = client.get_workflow_handle(incident_id(ref))
    try:
        await handle.signal(what, args=signals, rpc_timeout=RPC_TIMEOUT)
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return False
        raise
    return True
