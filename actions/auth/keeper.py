"""A token keeper in memory: for tests, for commands that end at once, and where nothing is to be kept."""

from typing_extensions import override

from actions.auth.base import TokenKeeper


class MemoryKeeper(TokenKeeper):
    """Forgets everything with the process."""

    def __init__(self) -> None:
        self._values: dict[str, bytes] = {}

    @override
    async def load(self, key: str) -> bytes | None:
        return self._values.get(key)

    @override
    async def save(self, key: str, value: bytes) -> None:
        self._values[key] = value

    @override
    async def delete(self, key: str) -> None:
        self._values.pop(key, None)
