"""How much of the cache a tenant may fill."""

from typing import NamedTuple

from riptide.config import CacheSettings, TenantSettings
from riptide.tenants.resources import UNLIMITED


class Caps(NamedTuple):
    """Most bytes and entries, -1: unlimited; with `by_record` the limits of the tenant's record win."""

    bytes: int
    entries: int
    by_record: bool

    def arguments(self, shards: int) -> tuple[int, int, str]:
        """What a write into one of several shards is given: its part of them."""
        return part(self.bytes, shards), part(self.entries, shards), "1" if self.by_record else "0"


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
