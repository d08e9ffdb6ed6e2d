"""How many entries were spilled and restored, and how long that took."""

from dataclasses import dataclass

from riptide.cache.spill.operations import levels
from riptide.config import TenantSettings
from riptide.store.keys import Keys
from riptide.store.operation import Flow, ask_all
from riptide.tenants.accounts.account import Account, total
from riptide.tenants.accounts.averages import average_ms
from riptide.tenants.accounts.everybody import everybody


@dataclass(frozen=True, slots=True)
class EntryFigures:
    """Of all tenants that there are. `entries` counts the `spilled` ones, too; `memory_bytes` is what they
    take on the server, `storage_bytes` in the blob store."""

    entries: int
    spilled: int
    memory_bytes: int
    storage_bytes: int
    total_spilled: int
    total_restored: int
    avg_spill_time_ms: float
    avg_restore_time_ms: float


def entry_figures(keys: Keys, settings: TenantSettings) -> Flow[EntryFigures]:
    facts = yield from everybody(keys, settings)
    held = yield from total([Account(keys, tag) for one in facts for tag in one.tags])
    several = yield from ask_all([levels(keys, one.tenant) for one in facts])
    spilled, stored, times, spill_us, back, back_us = (sum(column) for column in zip(*several, strict=True))
    return EntryFigures(
        held.entries,
        spilled,
        held.bytes,
        stored,
        times,
        back,
        average_ms(spill_us, times),
        average_ms(back_us, back),
    )
