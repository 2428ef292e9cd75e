"""A document that hangs is told of, and holds up nobody."""

import asyncio
import contextlib
import signal
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

from service.usecases.exercising import documents
from service.usecases.exercising.bounding import TookTooLong, at_most
from tests.tables import every_row


def hang():
    while True:
        pass


def hang_stubbornly():
    while True:
        with contextlib.suppress(Exception):
            hang()


async def wait_for_ever():
    await asyncio.Event().wait()


@every_row("busy", [hang, hang_stubbornly, lambda: asyncio.run(wait_for_ever())])
def test_what_takes_too_long_is_ended(busy):
    before = signal.getsignal(signal.SIGALRM)
    with pytest.raises(TookTooLong), at_most(0.05):
        busy()
    assert signal.getsignal(signal.SIGALRM) is before


def test_what_ends_in_time_is_left_alone():
    outer = signal.setitimer(signal.ITIMER_REAL, 1000.0)
    with at_most(60.0):
        pass
    assert 900 < signal.setitimer(signal.ITIMER_REAL, *outer)[0] <= 1000
    done = []

    def elsewhere():
        with at_most(0.0001):
            done.append(True)

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join(10)
    assert done == [True]


def test_a_document_that_hangs_has_a_line_that_says_so(monkeypatch, tmp_path):
    monkeypatch.setattr(documents, "LONGEST", 0.05)
    monkeypatch.setattr(documents, "_units", lambda path, bounds: [SimpleNamespace(name="a.json", read=hang)])
    (line,) = documents.exercise_all([documents.Job(str(Path(tmp_path)), 0, "a.json")], processes=1)
    assert (line["error"]["code"], line["path"]) == ("too-slow", "a.json")
    assert "given up" in line["error"]["message"]
