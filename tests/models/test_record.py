"""What is to be recorded, in parts that Temporal carries."""

from models.audit import AuditEntry
from models.incident import TimelineEntry
from models.record import LARGEST_SLICE, MOST_IN_A_SLICE, ToRecord, sliced
from tests.factories import SHOP, WHEN
from tests.records.test_incidents import a_record


def an_entry(number: int, text: str = "x") -> TimelineEntry:
    return TimelineEntry(number=number, at=WHEN, text=text)


def test_every_entry_is_in_one_slice_and_every_slice_has_the_rest_of_the_picture() -> None:
    record = a_record(*(an_entry(number) for number in range(2 * MOST_IN_A_SLICE + 1)))
    audit = tuple(AuditEntry(key=str(number), at=WHEN, who="ada", what="note", ref=SHOP) for number in range(3))
    slices = list(sliced(ToRecord(incident=record, audit=audit)))

    assert [len(each.incident.timeline) for each in slices if each.incident] == [MOST_IN_A_SLICE, MOST_IN_A_SLICE, 1]
    assert tuple(entry for each in slices if each.incident for entry in each.incident.timeline) == record.timeline
    assert [each.audit for each in slices] == [(), (), audit]
    assert {each.incident and each.incident.title for each in slices} == {record.title}


def test_a_slice_is_as_large_as_is_carried_at_most() -> None:
    record = a_record(*(an_entry(number, "\U0001f6a2" * 2_000) for number in range(200)))
    slices = list(sliced(ToRecord(incident=record)))

    assert len(slices) > 1
    assert max(len(each.model_dump_json().encode()) for each in slices) < LARGEST_SLICE + 10_000


def test_what_has_no_entries_is_one_slice() -> None:
    whole = ToRecord(incident=a_record())
    assert list(sliced(whole)) == [whole]
