"""Performs deliveries: claims what is due, renders, calls, settles.

One process owns a run from its claim (or birth) to its settlement. A process that dies loses it, and the
run becomes due again: an operation may be called twice, never zero times. Nothing here knows which store,
engine or source is in use. Everything is bounded: by connection (in flight, rate), and in memory.

`lanes` keeps count, `claiming` brings due runs in, `working` performs them, `health` judges connections,
`settling` ends each run's stay in memory.
"""

from service.dispatch.dispatcher import Dispatch

__all__ = ["Dispatch"]
