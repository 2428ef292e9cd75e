"""How many examples hypothesis tries: a share of what a test asks for each day, all of them in CI, more on a hunt.

`EXAMPLES` in the environment is that share in percent. Each run tries others, so the days add up; what failed once
is kept in `.hypothesis` and tried first.
"""

import os
from typing import Final

from hypothesis import HealthCheck, settings

SHARE: Final = int(os.environ.get("EXAMPLES", "10"))
FEWEST: Final = 8
USUAL: Final = 60
"""What a test asks for that says nothing."""


def examples(many: int) -> settings:
    """Ask for so many examples: `@examples(200)`."""
    return settings(
        max_examples=max(FEWEST, many * SHARE // 100),
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow],
    )


def ask_for_the_usual() -> None:
    """Let tests that say nothing ask for the usual number."""
    settings.register_profile("usual", examples(USUAL))
    settings.load_profile("usual")
