"""What both faces of a cache share: keys, codec, counters, the server's time. It sends nothing."""

from collections.abc import Callable
from typing import Any

from riptide.cache.codec import Codec
from riptide.cache.server_time import ServerTime
from riptide.cache.space import Digests, Space
from riptide.cache.stats import CacheStats
from riptide.clock import Clock, SystemClock
from riptide.config import CacheSettings
from riptide.errors import InvalidInput
from riptide.names import DEFAULT_NAMESPACE, DEFAULT_TENANT
from riptide.store.keys import Keys

_MOST_SPACES = 10_000
LONGEST_TTL_SECONDS = 315_360_000  # ten years
#: No lease lasts longer, so no stamp of an invalidated tag has to.
LONGEST_LEASE_SECONDS = 3600


def one_shard(_tenant: str) -> int:
    return 1


class Core:
    """Safe to share between threads."""

    def __init__(
        self,
        keys: Keys,
        settings: CacheSettings,
        shards: Callable[[str], int] = one_shard,
        clock: Clock | None = None,
        *,
        clustered: bool = True,
    ) -> None:
        """`clustered` tells whether keys of different slots need calls of their own."""
        self.keys, self.settings = keys, settings
        self.clock = clock or SystemClock()
        self.codec = Codec(settings)
        self.stats = CacheStats()
        self.time = ServerTime(self.clock)
        self.lease_ms = round(min(settings.lease_seconds, LONGEST_LEASE_SECONDS) * 1000)
        self.clustered = clustered
        self._digests = Digests(settings.version)
        self._shards = shards
        self._spaces: dict[tuple[str | None, str | None], Space] = {}

    def space(self, tenant: str | None, namespace: str | None) -> Space:
        """The namespace's place; raises InvalidInput for names that must not become keys."""
        try:
            return self._spaces[tenant, namespace]
        except (KeyError, TypeError):
            return self._make(tenant, namespace)

    def _make(self, tenant: str | None, namespace: str | None) -> Space:
        owner = DEFAULT_TENANT if tenant is None else tenant
        name = DEFAULT_NAMESPACE if namespace is None else namespace
        space = Space(self.keys, self._digests, owner, name, self._shards)
        if len(self._spaces) >= _MOST_SPACES:
            self._spaces.clear()
        self._spaces[tenant, namespace] = space
        return space


def milliseconds(seconds: Any, what: str, *, least: int = 1) -> int:
    """Whole milliseconds. Raises InvalidInput unless `seconds` is a number, `least` ms to ten years."""
    number = isinstance(seconds, int | float) and not isinstance(seconds, bool)
    if number and least <= seconds * 1000 and seconds <= LONGEST_TTL_SECONDS:
        whole: int = round(seconds * 1000)
        return whole
    raise InvalidInput(f"{what} is a number of seconds from {least / 1000} to {LONGEST_TTL_SECONDS}")
