"""What becomes of silences that people keep: which are in force, who may ask for them, what is forgotten."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from analysis.guarding import clock
from models.calendar_windows import CalendarSpec, CalendarWindow
from models.calendar_words import WEEK
from models.gateway_spec import Access
from models.ids import ServiceRef
from models.incident_spec import Silence
from models.matching import Operator, test_of
from models.mistakes import MistakeError
from models.silences import (
    ENDED_KEPT,
    ENDED_KEPT_FOR,
    MOST_BYTES,
    MOST_SILENCES,
    AddSilence,
    ExpireSilence,
    KeptSilence,
    SilenceShown,
    SilencesState,
    SilenceWords,
    Standing,
)

OPERATORS_LONGEST = timedelta(days=7)
"""What lasts longer, or comes again every week, takes an admin: nobody remembers it by the time that it hides
something.
"""

ELSEWHERE = "silences"
"""The service that a silence stands under in the audit log if it does not name one."""

_LONGEST = timedelta(days=3650)


def spec_of(words: SilenceWords, name: str, now: datetime) -> Silence:
    """What a person asked for, with instants instead of a time from now on. Raises MistakeError."""
    common = {"name": name, "match": words.match, "comment": words.reason}
    if words.every is not None:
        return Silence.model_validate({**common, "every": words.every, "zone": words.zone})
    begins = words.from_ or _written(now)
    if words.lasting is None:
        until = words.until
    elif timedelta(0) < words.lasting <= _LONGEST:
        first = Silence.model_validate({**common, "from": begins, "until": _END_OF_TIME, "zone": words.zone})
        until = _written(_once(first).begins + words.lasting)
    else:
        raise MistakeError("a silence lasts longer than 0s, and up to ten years", at=("for",))
    spec = Silence.model_validate({**common, "from": begins, "until": until, "zone": words.zone})
    if _once(spec).ends <= now:
        raise MistakeError(f"it ends at {until}, which is past", at=("until",))
    return spec


def standing(silence: KeptSilence, now: datetime) -> Standing:
    if silence.expired_at is not None:
        return Standing.ENDED
    window = window_of(silence.spec, now)
    if window is None:
        return Standing.ENDED
    return Standing.ACTIVE if window.holds(now) else Standing.PENDING


def window_of(spec: CalendarSpec, now: datetime) -> CalendarWindow | None:
    """The one that is in force, else the next; None where there will be none."""
    until = now + 2 * WEEK if spec.every else datetime.max.replace(tzinfo=UTC)
    coming = [window for window in spec.windows(now, until) if now < window.ends]
    return min(coming, key=lambda window: window.begins, default=None)


def in_force(silences: Iterable[KeptSilence], now: datetime) -> tuple[Silence, ...]:
    """Those that silence something now, as the catalog would say them."""
    return tuple(_signed(each) for each in silences if standing(each, now) is Standing.ACTIVE)


def refusal(state: SilencesState, order: AddSilence, now: datetime) -> str:
    """Why it is not kept; empty where it is."""
    if any(each.id == order.spec.name for each in state.silences):
        return ""
    added = KeptSilence(spec=order.spec, by=order.by, from_where=order.from_where, created_at=now)
    if standing(added, now) is Standing.ENDED:
        return "it has ended already"
    kept = pruned(state, now)
    lasting = [each for each in kept.silences if standing(each, now) is not Standing.ENDED]
    if len(lasting) >= MOST_SILENCES:
        return f"{MOST_SILENCES} silences are the most; `holdfast silence expire` ends one"
    size = len(kept.model_dump_json().encode()) + len(added.model_dump_json().encode())
    if size > MOST_BYTES:
        return "all silences together are too large to keep; `holdfast silence expire` ends one"
    return ""


def added(state: SilencesState, order: AddSilence, now: datetime) -> SilencesState:
    """The state with it; the same one again is the one that is kept."""
    if any(each.id == order.spec.name for each in state.silences):
        return state
    new = KeptSilence(spec=order.spec, by=order.by, from_where=order.from_where, created_at=now)
    kept = pruned(state, now)
    return kept.model_copy(update={"silences": (*kept.silences, new)})


def expired(state: SilencesState, order: ExpireSilence, now: datetime) -> SilencesState:
    """The state with it ended, if it has not ended by itself."""
    changes = {"expired_at": now, "expired_by": order.by}
    silences = tuple(
        each.model_copy(update=changes) if each.id == order.id and standing(each, now) is not Standing.ENDED else each
        for each in state.silences
    )
    return pruned(state.model_copy(update={"silences": silences}), now)


def pruned(state: SilencesState, now: datetime) -> SilencesState:
    """Without what ended long ago, or what is too much of it."""
    ended = [each for each in state.silences if standing(each, now) is Standing.ENDED]
    recent = [each for each in ended if now < _ended_at(each, now) + ENDED_KEPT_FOR]
    kept = {each.id for each in sorted(recent, key=lambda each: _ended_at(each, now))[-ENDED_KEPT:]}
    gone = {each.id for each in ended} - kept
    return state.model_copy(update={"silences": tuple(each for each in state.silences if each.id not in gone)})


def needed_access(spec: Silence) -> Access:
    """What a key must be to ask for it."""
    if spec.every is not None:
        return Access.ADMIN
    window = _once(spec)
    return Access.OPERATOR if window.ends - window.begins <= OPERATORS_LONGEST else Access.ADMIN


def concerns(environment: str, spec: Silence) -> ServiceRef:
    """The service whose alerts it is about, where it says one by name."""
    tests = [test_of(text) for text in spec.match]
    named = [test.text for test in tests if (test.name, test.operator) == ("service", Operator.IS)]
    try:
        return ServiceRef(environment=environment, service=named[0] if named else ELSEWHERE)
    except ValueError:
        return ServiceRef(environment=environment, service=ELSEWHERE)


def shown(silence: KeptSilence, now: datetime) -> SilenceShown:
    view = _shown(silence.spec, silence.by, now)
    changes = {
        "standing": standing(silence, now),
        "created_at": silence.created_at,
        "expired_by": silence.expired_by,
        "ends": silence.expired_at or view.ends,
    }
    return view.model_copy(update=changes)


def shown_of_catalog(spec: Silence, now: datetime) -> SilenceShown:
    return _shown(spec, "the catalog", now).model_copy(update={"kept": "in the catalog"})


def line(spec: Silence) -> str:
    """What it silences and when, in words."""
    match = ", ".join(spec.match)
    if spec.every is not None:
        return f"{match}, every {spec.every} ({spec.zone})"
    window = _once(spec)
    return f"{match}, from {clock(window.begins)} until {clock(window.ends)}"


_END_OF_TIME = "2099-12-31 23:59+00:00"


def _once(spec: Silence) -> CalendarWindow:
    """Of one that is not weekly."""
    (window,) = spec.windows(datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC))
    return window


def _written(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(sep=" ", timespec="seconds")


def _signed(silence: KeptSilence) -> Silence:
    """With who asked for it beside why, for those who meet it in the audit log."""
    comment = "; ".join(part for part in (silence.spec.comment, f"by {silence.by}") if part)
    return silence.spec.model_copy(update={"comment": comment})


def _ended_at(silence: KeptSilence, now: datetime) -> datetime:
    if silence.expired_at is not None:
        return silence.expired_at
    return now if silence.spec.every is not None else _once(silence.spec).ends


def _shown(spec: Silence, by: str, now: datetime) -> SilenceShown:
    window = window_of(spec, now) or _once(spec)
    return SilenceShown(
        id=spec.name,
        standing=Standing.ACTIVE if window.holds(now) else Standing.PENDING if now < window.begins else Standing.ENDED,
        match=spec.match,
        begins=window.begins,
        ends=window.ends,
        every=spec.every,
        zone=spec.zone,
        reason=spec.comment,
        by=by,
    )
