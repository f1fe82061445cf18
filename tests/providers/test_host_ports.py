"""Telling processes apart."""

import os
import subprocess
import sys
import time

import psutil
import pytest

from providers.host_ports import is_same_process, process_started


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process's start on a clock that nobody sets")
def test_a_process_is_known_by_a_clock_that_nobody_sets(monkeypatch: pytest.MonkeyPatch) -> None:
    before = process_started(os.getpid())
    # What the system calls the time of its boot moves with the wall clock, and psutil's create_time() with it.
    monkeypatch.setattr(psutil.Process, "create_time", lambda _: time.time() + 3600)

    assert before is not None
    assert before <= time.clock_gettime(time.CLOCK_BOOTTIME)
    assert process_started(os.getpid()) == before
    assert is_same_process(os.getpid(), before)


def test_a_process_that_has_ended_is_not_taken_for_another_of_its_number() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        started = process_started(process.pid)
        process.wait()

    assert started is not None
    assert not is_same_process(process.pid, started)
    assert not is_same_process(os.getpid(), (process_started(os.getpid()) or 0) - 60)
