"""Time is counted while work is done, and once."""

from unittest import mock

from tfcl.engine.storage.journal import Journal
from tfcl.engine.storage.position import Position
from tfcl.engine.storage.working_time import WorkingTime


def test_time_inside_is_counted_once_and_time_outside_never():
    journal = Journal(seconds=10.0, position=Position(0, 0, "f", seconds=1.0))
    working_time = WorkingTime(journal)
    moments = iter([0.0, 2.0, 5.0, 100.0, 101.0])
    found = []
    with mock.patch("time.monotonic", lambda: next(moments)):
        working_time.note()
        with working_time:  # At 0.
            working_time.note()  # At 2.
            found.append(journal.seconds)
        found.append(journal.seconds)  # At 5.
        working_time.note()
        with working_time:  # At 100.
            pass  # Until 101.
    assert found == [12.0, 15.0]
    assert (journal.seconds, journal.position.seconds) == (16.0, 7.0)


def test_between_tasks_there_is_nothing_to_note():
    journal = Journal()
    WorkingTime(journal).note()
    assert journal.seconds == 0.0
