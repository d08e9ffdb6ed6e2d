"""What was done with entries, counted. Counters only grow; a reader takes differences."""

from dataclasses import dataclass, fields


@dataclass(slots=True)
class Counts:
    """Reads, writes and deletes of entries; bytes of values, and as they were stored, headers included.

    Plain additions without a lock: a torn update between threads would cost a count, never correctness.
    """

    hits: int = 0
    misses: int = 0
    sets: int = 0
    deletes: int = 0
    value_bytes: int = 0
    stored_bytes: int = 0
    #: Reading calls whose time was taken, one in 64 or so, and what they took together.
    timed: int = 0
    timed_us: int = 0

    @property
    def hit_rate(self) -> float:
        """Hits per read; 0 before the first."""
        reads = self.hits + self.misses
        return self.hits / reads if reads else 0.0

    @property
    def compression_ratio(self) -> float:
        """Bytes of values per byte stored, headers included; 1 before the first write."""
        return self.value_bytes / self.stored_bytes if self.stored_bytes else 1.0


#: What is told of by `record_access`, in this order wherever numbers stand without names.
COUNTED = tuple(field.name for field in fields(Counts))


@dataclass(slots=True)
class CacheStats(Counts):
    """The same of one process, and what went wrong there."""

    errors: int = 0
    damaged: int = 0
    #: Encrypted entries that were found where they do not belong, or after their key was destroyed.
    foreign: int = 0
    #: Spilled entries whose blob was gone.
    lost: int = 0
    loads: int = 0
    #: Loads whose value was not stored, because it was invalidated or written meanwhile.
    refused: int = 0

    def add(self, other: "CacheStats") -> None:
        for field in fields(CacheStats):
            setattr(self, field.name, getattr(self, field.name) + getattr(other, field.name))
