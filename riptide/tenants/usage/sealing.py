"""Sealing a month, so that an invoice can be written from sums that stay.

The contract, for whoever closes a month:

- What is counted of a month belongs to a generation: 0 at first. `seal(keys, tenants, month)` ends generation
  0 in every partition. What is counted from then on belongs to generation 1, the adjustment; sealing
  generation 1 ends that, and so on.
- Sealing is idempotent: the generation that is meant is named, and a second seal of it changes nothing. It is
  not atomic over the partitions, and need not be: each record is in exactly one generation.
- When `seal` has returned, `sealed_sums(keys, tenant, month, generation)` always answers the same. Called
  before, it raises NotSealed.
- Invoice (generation 0) + adjustments (1, 2, …) = everything that was counted of the month; `read_month` in
  `reading` tells all generations, and `MonthlySums.sealed` is the one that is still open.
- Sums are kept for 400 days after the month's end: what has not been invoiced by then is lost.
- Byte-hours of the cache are no part of this: `byte_seconds` in `storage` answers them, always the same once
  the month is over.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from riptide.errors import RiptideError, UnknownTenant
from riptide.names import check_tenant
from riptide.store.keys import PARTITIONS, Keys
from riptide.store.operation import Flow, Operation, ask_all
from riptide.store.script import Script
from riptide.tenants.usage.known import digest_of
from riptide.tenants.usage.periods import Period, month
from riptide.tenants.usage.reading import Counted, read_month

_SEAL = Script.load("riptide.tenants.usage", "seal.lua")
_TENANTS_PER_CALL = 250


class NotSealed(RiptideError):
    """That generation of the month is not sealed yet in every partition."""


def seal(keys: Keys, tenants: Mapping[str, str], month_name: str, generation: int = 0) -> Flow[None]:
    """End `generation` of a month for `tenants`, in every partition; what was ended before stays as it is.

    `tenants` gives the incarnation of each: of one that was purged nothing comes into being again. Raises
    InvalidInput; UnknownTenant for such a one; NotSealed if the generation before it is still open.
    """
    chosen = month(month_name)
    for tenant in tenants:
        check_tenant(tenant)
    everybody = list(tenants.items())
    for start in range(0, len(everybody), _TENANTS_PER_CALL):
        some = everybody[start : start + _TENANTS_PER_CALL]
        replies = yield from ask_all([_seal(keys, some, chosen, generation, p) for p in PARTITIONS])
        for reply in replies:
            for (tenant, _), sealed in zip(some, reply, strict=True):
                if sealed < 0:
                    raise UnknownTenant(f"the tenant {tenant!r} was purged meanwhile")
                if sealed <= generation:
                    raise NotSealed(
                        f"{month_name} of tenant {tenant!r} has been sealed {sealed} times: generation "
                        f"{sealed} has to be sealed before generation {generation}"
                    )


def _seal(
    keys: Keys, tenants: Sequence[tuple[str, str]], chosen: Period, generation: int, partition: str
) -> Operation[list[int]]:
    def parse(reply: Any) -> list[int]:
        return list(reply)

    names = [keys.gone(partition), *(keys.seals(partition, tenant) for tenant, _ in tenants)]
    about = [text for tenant, incarnation in tenants for text in (digest_of(tenant), incarnation)]
    return _SEAL.call(names, [chosen.name, chosen.expires, generation, *about], parse)


def sealed_sums(keys: Keys, tenant: str, month_name: str, generation: int = 0) -> Flow[Counted]:
    """What a sealed generation holds, which does not change any more. Raises InvalidInput, NotSealed."""
    sums = yield from read_month(keys, check_tenant(tenant), month_name)
    if sums.sealed <= generation:
        raise NotSealed(
            f"generation {generation} of {month_name} of tenant {tenant!r} is not sealed yet: seal it first"
        )
    return sums.of(generation)
