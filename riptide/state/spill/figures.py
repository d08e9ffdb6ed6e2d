"""How much was spilled and restored, and how long that took."""

from collections.abc import Iterable
from dataclasses import dataclass

from riptide.tenants.accounts.averages import average_ms
from riptide.tenants.accounts.sessions import SessionLevels


@dataclass(frozen=True, slots=True)
class SpillFigures:
    """Of all tenants that there are. `sessions` counts the `spilled` ones, too; `memory_bytes` is what they
    take on the server, `storage_bytes` in the blob store."""

    sessions: int
    spilled: int
    memory_bytes: int
    storage_bytes: int
    total_spilled: int
    total_restored: int
    avg_spill_time_ms: float
    avg_restore_time_ms: float


def figures_of(levels: Iterable[SessionLevels]) -> SpillFigures:
    several = list(levels)
    spilled, restored = (
        sum(getattr(one, name) for one in several) for name in ("total_spilled", "total_restored")
    )
    return SpillFigures(
        sum(one.sessions for one in several),
        sum(one.spilled for one in several),
        sum(one.memory_bytes for one in several),
        sum(one.storage_bytes for one in several),
        spilled,
        restored,
        average_ms(sum(one.spill_us for one in several), spilled),
        average_ms(sum(one.restore_us for one in several), restored),
    )
