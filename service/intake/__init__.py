"""Takes batches in: gives each message its identity, matches it, and has it stored.

`intake` is the way in; `gathering` and `whole` are the two ways in which a batch is stored: each item by
itself, or all or nothing with the source's positions.
"""

from service.intake.intake import OWN_SOURCE, Intake, RuleCounts, WhenFailure
from service.intake.taken import MAX_HOPS

__all__ = ["MAX_HOPS", "OWN_SOURCE", "Intake", "RuleCounts", "WhenFailure"]
