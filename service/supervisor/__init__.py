"""Keeps the sources running: restarts them for ever, tells how they are, and does what operators ask.

One source's trouble never touches another, and no question or order ever waits for a source that is busy.
It stores nothing itself but an operator's pause; what sources bring goes to `intake`.
"""

from service.supervisor.status import SourceStatus, Warned
from service.supervisor.supervisor import Supervisor

__all__ = ["SourceStatus", "Supervisor", "Warned"]
