"""May this service be touched now? What a guard decides, and what it knows afterwards."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from models.guard import (
    Acquire,
    Answer,
    Cooldown,
    Decision,
    Freeze,
    Grant,
    GuardState,
    Holder,
    Lease,
    LeaseKind,
    LeaseOutcome,
    Refusal,
    Release,
)
from models.quantities import format_duration

ROLLOUT, REMEDIATION, CHAOS, SCALING = LeaseKind.ROLLOUT, LeaseKind.REMEDIATION, LeaseKind.CHAOS, LeaseKind.SCALING

MAY_NOT_OVERLAP: dict[tuple[LeaseKind, LeaseKind], str] = {
    (ROLLOUT, ROLLOUT): "two versions cannot take over at once",
    (ROLLOUT, REMEDIATION): "a restart would be blamed on the version that is judged",
    (ROLLOUT, CHAOS): "a fault would be blamed on the version that is judged",
    (ROLLOUT, SCALING): "instances that come and go would be blamed on the version that is judged",
    (REMEDIATION, REMEDIATION): "two repairs at once undo each other",
    (REMEDIATION, CHAOS): "a repair would hide what the experiment looks for",
    (REMEDIATION, SCALING): "both start and stop the same instances",
    (CHAOS, CHAOS): "with two faults nobody knows which one did it",
    (CHAOS, SCALING): "scaling would hide what the experiment looks for",
    (SCALING, SCALING): "both set how many instances there are",
}
"""Pairs of kinds, in either order, that two holders may not have at once, and why. A pair that is not here may."""

DECISIONS_KEPT = 100
RESTARTS_KEPT = 100
RELEASES_KEPT = 100


@dataclass(frozen=True)
class AskIfAlive:
    """Nothing can be said before it is known whether this holder's workflow still runs."""

    holder: Holder


def decide(
    state: GuardState, request: Acquire, now: datetime, *, alive: Collection[Holder] = ()
) -> Grant | Refusal | AskIfAlive:
    """Answer a request. `alive` are the holders that were found to run, just now.

    A rollout back is held up by nothing but an overlap: who goes back is in a hurry.
    """
    held = lease_of(state, request.holder, request.kind)
    if held:
        return Grant(lease=held)
    refusal = _frozen(state, request, now) or _cooling(state, request, now) or _spent(state, request, now)
    if refusal:
        return refusal
    for lease in state.leases:
        why = overlap(request.kind, lease.kind)
        if why is None or lease.holder == request.holder:
            continue
        if lease.holder not in alive:
            return AskIfAlive(lease.holder)
        return Refusal(why=f"{lease_line(lease)} is under way, and {why}")
    return Grant(
        lease=Lease(
            kind=request.kind,
            holder=request.holder,
            since=now,
            requested_by=request.requested_by,
            version=request.version,
            emergency=request.emergency,
            cooldown=request.rules.spec.cooldown,
        )
    )


def overlap(asked: LeaseKind, held: LeaseKind) -> str | None:
    """Why these two may not overlap; None when they may."""
    return MAY_NOT_OVERLAP.get((asked, held)) or MAY_NOT_OVERLAP.get((held, asked))


def lease_of(state: GuardState, holder: Holder, kind: LeaseKind) -> Lease | None:
    return next((lease for lease in state.leases if (lease.holder, lease.kind) == (holder, kind)), None)


def _frozen(state: GuardState, request: Acquire, now: datetime) -> Refusal | None:
    if request.kind is REMEDIATION or request.going_back or request.emergency:
        return None
    windows = sorted((window for window in request.windows if window.holds(now)), key=lambda window: window.ends)
    by_hand = freeze_in_force(state, now)
    if by_hand and (by_hand.until is None or not windows or by_hand.until >= windows[-1].ends):
        note = f": {by_hand.note}" if by_hand.note else ""
        end = f"until {clock(by_hand.until)}" if by_hand.until else "until `holdfast guard unfreeze`"
        return Refusal(why=f"{by_hand.by} has frozen the service {end}{note}", until=by_hand.until)
    if windows:
        longest = windows[-1]
        why = f"the catalog's freeze {longest.name} is in force until {clock(longest.ends)}"
        return Refusal(why=why, until=longest.ends)
    return None


def freeze_in_force(state: GuardState, now: datetime) -> Freeze | None:
    """A person's freeze that has not run out."""
    freeze = state.freeze
    return freeze if freeze and (freeze.until is None or now < freeze.until) else None


def _cooling(state: GuardState, request: Acquire, now: datetime) -> Refusal | None:
    if request.going_back or request.emergency:
        return None
    hot = [
        cooldown
        for cooldown in state.cooldowns
        if now < cooldown.until and (request.kind is not ROLLOUT or cooldown.version == request.version)
    ]
    if not hot:
        return None
    last = max(hot, key=lambda cooldown: cooldown.until)
    why = f"{last.version or 'a version'} was taken back, and the service is left in peace until {clock(last.until)}"
    if request.kind is ROLLOUT:
        why = f"{last.version} was taken back, and may be rolled out again from {clock(last.until)} on"
    return Refusal(why=why, until=last.until)


def _spent(state: GuardState, request: Acquire, now: datetime) -> Refusal | None:
    budget = request.rules.spec.restarts
    if request.kind is not REMEDIATION:
        return None
    if budget.limit == 0:
        return Refusal(why="the catalog allows no remediation of this service")
    recent = [at for at in state.restarts if now < at + budget.window]
    if len(recent) < budget.limit:
        return None
    until = recent[-budget.limit] + budget.window
    why = (
        f"{len(recent)} remediations in {format_duration(budget.window)} are as many as the catalog allows; "
        f"people must look, or it may act again from {clock(until)} on"
    )
    return Refusal(why=why, until=until)


def known_answer(state: GuardState, asked: str) -> Answer | None:
    """What was answered to this very message when it came before."""
    answers = (decision.answer for decision in state.decisions if decision.asked == asked)
    return next((answer for answer in answers if answer), None)


def answered(state: GuardState, asked: str, request: Acquire, answer: Grant | Refusal, now: datetime) -> GuardState:
    """The state after an answer; a lease that is granted anew is held, and a remediation is spent."""
    what = f"{request.kind}{f' {request.version}' if request.version else ''} for {request.holder.workflow_id}"
    if isinstance(answer, Refusal):
        return noted(state, asked, f"refused {what}: {answer.why}", now, answer)
    if answer.lease in state.leases:
        return noted(state, asked, f"granted {what}, again", now, answer)
    in_spite = f" in spite of all, as {request.requested_by} said: {request.emergency}" if request.emergency else ""
    restarts = (*state.restarts, now) if request.kind is REMEDIATION else state.restarts
    state = state.model_copy(
        update={"leases": (*state.leases, answer.lease), "restarts": restarts[-RESTARTS_KEPT:]},
    )
    return noted(state, asked, f"granted {what}{in_spite}", now, answer)


def was_released(state: GuardState, asked: str) -> bool:
    """Whether this very message gave a lease back before. One that comes late must not end the holder's next lease."""
    return asked in state.releases


def released(state: GuardState, asked: str, release: Release, now: datetime) -> GuardState:
    """The state after a lease was given back; after a rollback the version cools down.

    If it is not held, nothing but the message is remembered: the same holder may be granted it later.
    """
    lease = lease_of(state, release.holder, release.kind)
    state = state.model_copy(update={"releases": (*state.releases, asked)[-RELEASES_KEPT:]})
    if lease is None:
        return state
    cooldowns = tuple(cooldown for cooldown in state.cooldowns if now < cooldown.until)
    if lease.kind is ROLLOUT and release.outcome is LeaseOutcome.ROLLED_BACK and lease.cooldown:
        version = release.version or lease.version
        others = tuple(cooldown for cooldown in cooldowns if cooldown.version != version)
        cooldowns = (*others, Cooldown(version=version, until=now + lease.cooldown))
    leases = tuple(each for each in state.leases if each is not lease)
    state = state.model_copy(update={"leases": leases, "cooldowns": cooldowns})
    return noted(state, asked, f"{lease_line(lease)} ended: {release.outcome.replace('_', ' ')}", now)


def voided(state: GuardState, asked: str, holder: Holder, now: datetime) -> GuardState:
    """The state after a holder was found not to run any more: what it held is free."""
    for lease in state.leases:
        if lease.holder == holder:
            state = noted(state, asked, f"{lease_line(lease)} is void: its workflow runs no more", now)
    return state.model_copy(update={"leases": tuple(lease for lease in state.leases if lease.holder != holder)})


def noted(state: GuardState, asked: str, text: str, now: datetime, answer: Answer | None = None) -> GuardState:
    decision = Decision(asked=asked, at=now, text=text, answer=answer)
    return state.model_copy(update={"decisions": (*state.decisions, decision)[-DECISIONS_KEPT:]})


def lease_line(lease: Lease) -> str:
    version = f" of {lease.version}" if lease.version else ""
    return f"the {lease.kind}{version} by {lease.holder.workflow_id}"


def clock(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"
