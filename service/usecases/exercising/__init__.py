"""Calls every operation of descriptions at mocks of the same descriptions, over loopback sockets.

What is sent is what a connection would send: built by the connector, with policies in force and made-up
arguments. Wherever a request is meant to go, it goes to the mock; nothing leaves the machine.
"""

from service.usecases.exercising.backends import make_backend
from service.usecases.exercising.documents import exercise, exercise_all, jobs_of
from service.usecases.exercising.places import base_path
from service.usecases.exercising.totals import accepted_share, is_sound, rows, summary

__all__ = [
    "accepted_share",
    "base_path",
    "exercise",
    "exercise_all",
    "is_sound",
    "jobs_of",
    "make_backend",
    "rows",
    "summary",
]
