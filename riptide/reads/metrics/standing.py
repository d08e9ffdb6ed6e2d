"""How all tenants stand: what they hold, and how much of their quotas that is. Asking changes nothing."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from riptide.cache.access.statistics import WINDOW_MINUTES
from riptide.cache.stats import COUNTED
from riptide.config import Settings
from riptide.errors import Stopped
from riptide.store.keys import Keys, partition_of
from riptide.store.operation import Flow, Operation, ask_all
from riptide.tenants.accounts.everybody import everybody
from riptide.tenants.facts import Facts
from riptide.tenants.quotas.limits import Limits
from riptide.tenants.quotas.script import QuotaScripts
from riptide.tenants.resources import RESOURCES, UNLIMITED

# Each is some calls of a few microseconds: others wait for a millisecond or so.
_TOGETHER = 100
_HITS, _MISSES = COUNTED.index("hits"), COUNTED.index("misses")


@dataclass(frozen=True, slots=True)
class Standing:
    """Of one tenant. `used` is by resource, `usage` by limited one, 1 being the limit. Levels are those that
    were settled last: what has expired in the last seconds may still be in them."""

    facts: Facts
    used: Mapping[str, int]
    usage: Mapping[str, float]
    hits: int
    misses: int


def standings(
    keys: Keys, settings: Settings, now_ms: int, stopped: Callable[[], bool]
) -> Flow[list[Standing]]:
    """Of all tenants at the server's time `now_ms`, asked for in parts. Raises Stopped."""
    limits = Limits(settings)
    asking = _Asking(keys, QuotaScripts(keys, settings, limits), limits, now_ms)
    facts = yield from everybody(keys, settings.tenant)
    found: list[Standing] = []
    for start in range(0, len(facts), _TOGETHER):
        if stopped():
            raise Stopped("it was told to stop")
        found += yield from asking.ask(facts[start : start + _TOGETHER])
    return found


@dataclass(frozen=True, slots=True)
class _Asking:
    keys: Keys
    scripts: QuotaScripts
    limits: Limits
    now_ms: int

    def ask(self, several: Sequence[Facts]) -> Flow[list[Standing]]:
        answers = iter((yield from ask_all([one for facts in several for one in self._operations(facts)])))
        found = []
        for facts in several:
            held = [next(answers) for _ in facts.tags]
            (entries_blobs,), (sessions, session_blobs) = next(answers), next(answers)
            taken, (hits, misses) = next(answers), next(answers)
            used = {resource: amount for resource, (amount, _) in taken.items()} | {
                "memory_bytes": sum(size for _, size in held),
                "cache_entries": sum(entries for entries, _ in held),
                "storage_bytes": entries_blobs + session_blobs,
                "active_sessions": sessions,
            }
            found.append(Standing(facts, used, self._usage(facts, used), hits, misses))
        return found

    def _operations(self, facts: Facts) -> list[Operation[Any]]:
        keys, tenant = self.keys, facts.tenant
        return [
            *(_numbers(keys.account(tag), "entries", "bytes") for tag in facts.tags),
            _numbers(keys.account(tenant), "storage"),
            _numbers(keys.session_account(tenant), "entries", "storage"),
            self.scripts.look(tenant),
            self._reads(tenant),
        ]

    def _reads(self, tenant: str) -> Operation[tuple[int, int]]:
        """Hits and misses of the last minutes, where reports of a tenant are summed up."""
        last = self.now_ms // 60_000
        minutes = range(last - WINDOW_MINUTES, last + 1)

        def parse(reply: Any) -> tuple[int, int]:
            hits = misses = 0
            for row in reply:
                minute, *sums = map(int, row.split()) if row else (0,)
                if minute in minutes:
                    hits, misses = hits + sums[_HITS], misses + sums[_MISSES]
            return hits, misses

        fields = [str(minute % 60) for minute in minutes]
        return Operation(("HMGET", self.keys.access(partition_of(tenant), tenant), *fields), parse)

    def _usage(self, facts: Facts, used: Mapping[str, int]) -> dict[str, float]:
        found = {}
        for resource in RESOURCES:
            limit = self.limits.defaults[resource]
            if self.limits.by_record(resource):
                limit = facts.limits.get(resource, limit)
            if limit != UNLIMITED and self.limits.counts(resource):
                amount = used.get(resource, 0)
                found[resource] = round(amount / limit, 4) if limit else float(amount > 0)
        return found


def _numbers(key: str, *names: str) -> Operation[list[int]]:
    return Operation(("HMGET", key, *names), lambda reply: [int(value or 0) for value in reply])
