"""Whose usage is counted: tenants that have a record, as this process has heard lately."""

import hashlib
import itertools
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any

from riptide.errors import ServerUnavailable
from riptide.names import DEFAULT_TENANT
from riptide.store.keys import Keys
from riptide.store.operation import Flow, Operation, Pause, ask_all
from riptide.streams.job import Job
from riptide.tenants.purge.mark import is_begun

#: A partition and a tenant whose records are there.
Home = tuple[str, str]
_BELIEVED_SECONDS = 60.0
_LONGEST_PAUSE = 2.0


@lru_cache(maxsize=65_536)
def digest_of(tenant: str) -> str:
    """How a purged tenant is remembered: nothing tells its id from that."""
    return hashlib.blake2b(tenant.encode(), digest_size=16).hexdigest()


def state_of(tenant: str) -> str:
    """The field, in each partition, that tells of a tenant's purge: the incarnation, and ` over` behind it
    when it has ended."""
    return f"{digest_of(tenant)}:state"


def home_of(job: Job) -> Home:
    return job.entry.partition, job.message.tenant or DEFAULT_TENANT


def homes_of(jobs: Iterable[Job]) -> set[Home]:
    return {(job.entry.partition, job.message.tenant or DEFAULT_TENANT) for job in jobs}


class KnownTenants:
    """Remembers for a minute that a tenant exists, never that it does not; and when one was purged, in which
    partition."""

    def __init__(self, keys: Keys, monotonic: Callable[[], float]) -> None:
        self._keys = keys
        self._monotonic = monotonic
        self._until: dict[Home, float] = {}
        self._purged: dict[Home, int] = {}

    def unknown(self, homes: Iterable[Home]) -> list[Home]:
        """Those that are to be asked about."""
        now = self._monotonic()
        return [home for home in homes if self._until.get(home, 0.0) < now]

    def learn(self, homes: list[Home]) -> Flow[None]:
        """Ask about `homes`, until the server answers: an outage must not make dead letters of them."""
        for failures in itertools.count(1):
            try:
                yield from self._learn(homes)
                return
            except ServerUnavailable:
                yield Pause(min(_LONGEST_PAUSE, 0.05 * 2 ** min(failures, 10)))

    def _learn(self, homes: list[Home]) -> Flow[None]:
        operations: list[Operation[Any]] = []
        for partition, tenant in homes:
            operations += (
                Operation(("HGET", self._keys.record(tenant), "incarnation"), _lives),
                Operation(("HGET", self._keys.gone(partition), digest_of(tenant)), int_or_zero),
            )
        answers = yield from ask_all(operations)
        until = self._monotonic() + _BELIEVED_SECONDS
        for home, exists, purged_ms in zip(homes, answers[::2], answers[1::2], strict=True):
            self.forget(home)
            if exists or home[1] == DEFAULT_TENANT:
                self._until[home] = until
            if purged_ms:
                self._purged[home] = purged_ms

    def forget(self, home: Home) -> None:
        self._until.pop(home, None)
        self._purged.pop(home, None)

    def exists(self, home: Home) -> bool:
        return home in self._until

    @property
    def anybody_purged(self) -> bool:
        """Whether any of those that are remembered was ever purged."""
        return bool(self._purged)

    def purged_ms(self, home: Home) -> int:
        """When it was purged (Unix ms); 0: never."""
        return self._purged.get(home, 0)

    def is_of_purged(self, job: Job, home: Home) -> bool:
        """Whether it was issued before its tenant was purged; a tenant of that name may be there again."""
        first = int(job.message.first.partition("-")[0])
        return min(job.message.at_ms, first) < self.purged_ms(home)


def _lives(incarnation: Any) -> bool:
    return incarnation is not None and not is_begun(incarnation.decode())


def int_or_zero(reply: Any) -> int:
    return int(reply or 0)
