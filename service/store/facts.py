"""What can be told of a store from outside, while it runs or not, without changing it. Values only."""

import msgspec

from service.errors import Problem


class StoreFacts(msgspec.Struct, frozen=True, kw_only=True):
    """How the data of an instance are, if there are any, and which `engine` reads them.

    `problems` say why this program cannot use them; `migrations` counts those that they have, `missing`
    those that the next start will make. `clock_ms` is the newest instant that was kept, 0 for none.
    """

    engine: str
    there: bool
    wal: bool = False
    migrations: int = 0
    missing: int = 0
    clock_ms: int = 0
    problems: tuple[Problem, ...] = ()
