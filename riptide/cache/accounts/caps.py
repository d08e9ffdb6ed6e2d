"""How much of the cache a tenant may fill."""

from typing import NamedTuple

from riptide.cache.accounts.victims import Amount
from riptide.config import CacheSettings, TenantSettings
from riptide.tenants.facts import Facts
from riptide.tenants.resources import UNLIMITED

#: Most bytes and entries of one shard, and whether the limits of the record win over them: '1' or '0'.
CapArguments = tuple[int, int, str]


class Caps(NamedTuple):
    """Most bytes and entries, -1: unlimited; with `by_record` the limits of the tenant's record win."""

    bytes: int
    entries: int
    by_record: bool

    def arguments(self, shards: int) -> CapArguments:
        """What a script of one of several shards is given: its part of them."""
        return part(self.bytes, shards), part(self.entries, shards), "1" if self.by_record else "0"

    def of(self, facts: Facts) -> Amount:
        """What the whole tenant may hold, -1: unlimited."""
        if not self.by_record:
            return Amount(self.entries, self.bytes)
        limits = facts.limits
        return Amount(limits.get("cache_entries", self.entries), limits.get("memory_bytes", self.bytes))


def part(most: int, shards: int) -> int:
    return UNLIMITED if most == UNLIMITED else most // shards


def caps_of(cache: CacheSettings, tenant: TenantSettings) -> Caps:
    """Tenants that are kept apart strongly have caps of their own; else the deployment's holds, which is not
    known where others write too."""
    if not tenant.enabled or tenant.isolation_level == "none":
        return Caps(cache.max_memory_bytes, UNLIMITED, by_record=False)
    if tenant.isolation_level == "logical":
        return Caps(UNLIMITED, UNLIMITED, by_record=False)
    return Caps(tenant.default_memory_quota, UNLIMITED, by_record=True)
