"""How long tests wait for what must happen: one place, so that a slow machine needs one change and no test a guess.

A test waits for a condition, never for a while. These bounds only end a test whose condition never comes, so they
cost nothing where all is well, and are meant for two cores that others use at the same time. What must *not* happen
has no condition: a test that looks for that says for how long beside it.
"""

from typing import Final

PATIENCE: Final = 60.0
"""Seconds within which anything comes that does come. A whole test has five times as long (`pyproject.toml`)."""

SLACK: Final = 10.0
"""Seconds that a machine under load may add to a limit which a test holds the product to."""
