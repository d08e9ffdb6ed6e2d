"""Reading usage: the sums of a tenant, over all partitions in one round trip (per server of a cluster).

`storage_byte_hours` are the byte-seconds of what the tenant's cache held, as its accounts integrate them, in
whole hours, and to that each byte that a record says in `storage_bytes`, for one hour.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from riptide.store.keys import PARTITIONS, Keys
from riptide.store.operation import Flow, Operation, ask_all
from riptide.store.script import Script
from riptide.tenants.usage.merging import METRICS
from riptide.tenants.usage.periods import Period, hours_of, month

_MONTH = Script.load("riptide.tenants.usage", "month.lua")
_HOURS = Script.load("riptide.tenants.usage", "hours.lua")


@dataclass(frozen=True, slots=True)
class Amounts:
    """What was used; `compute_ms` in milliseconds."""

    operations: int = 0
    data_bytes: int = 0
    compute_ms: int = 0
    storage_bytes: int = 0

    def __add__(self, other: "Amounts") -> "Amounts":
        return Amounts(
            self.operations + other.operations,
            self.data_bytes + other.data_bytes,
            self.compute_ms + other.compute_ms,
            self.storage_bytes + other.storage_bytes,
        )


@dataclass(frozen=True, slots=True)
class Counted:
    """Amounts by operation."""

    by_operation: Mapping[str, Amounts] = field(default_factory=dict)

    @property
    def total(self) -> Amounts:
        return sum(self.by_operation.values(), Amounts())


@dataclass(frozen=True, slots=True)
class MonthlySums:
    """All that was counted of a month. `sealed` is how often it has been sealed in every partition; what is
    counted then belongs to the generation of that number."""

    sealed: int
    generations: Mapping[int, Counted]

    def of(self, generation: int) -> Counted:
        return self.generations.get(generation, Counted())

    @property
    def all(self) -> Counted:
        return _joined(self.generations.values())

    @property
    def late(self) -> Counted:
        """What came after the month had been sealed for the first time."""
        return _joined(sums for generation, sums in self.generations.items() if generation > 0)


@dataclass(frozen=True, slots=True)
class Usage:
    """What a tenant used in a month. `adjustments` are the part of it that came after the month was sealed,
    which the next invoice carries; `sealed` tells whether it was."""

    tenant: str
    month: str
    operations: int
    data_bytes: int
    compute_ms: int
    storage_bytes: int
    storage_byte_hours: int
    by_operation: Mapping[str, Amounts]
    sealed: bool
    adjustments: Counted


def usage_of(tenant: str, name: str, sums: MonthlySums, byte_seconds: int) -> Usage:
    counted = sums.all
    total = counted.total
    return Usage(
        tenant,
        name,
        total.operations,
        total.data_bytes,
        total.compute_ms,
        total.storage_bytes,
        byte_seconds // 3600 + total.storage_bytes,
        dict(sorted(counted.by_operation.items())),
        sums.sealed > 0,
        sums.late,
    )


def read_month(keys: Keys, tenant: str, name: str) -> Flow[MonthlySums]:
    """Raises InvalidInput if `name` is no month."""
    parts = yield from ask_all([_read_month(keys, tenant, month(name).name, p) for p in PARTITIONS])
    numbers = sorted({number for _, generations in parts for number in generations})
    return MonthlySums(
        min(sealed for sealed, _ in parts),
        {
            number: _joined(generations.get(number, Counted()) for _, generations in parts)
            for number in numbers
        },
    )


def _read_month(
    keys: Keys, tenant: str, name: str, partition: str
) -> Operation[tuple[int, dict[int, Counted]]]:
    def parse(reply: Any) -> tuple[int, dict[int, Counted]]:
        return int(reply[0]), _generations(reply[1:])

    return _MONTH.call([keys.usage(partition, tenant, name), keys.seals(partition, tenant)], [name], parse)


def read_hours(keys: Keys, tenant: str, chosen: Period) -> Flow[dict[str, Counted]]:
    """The hours of a month in which anything was counted, in order. They are kept for 35 days."""
    hours = list(hours_of(chosen))
    parts = yield from ask_all([_read_hours(keys, tenant, hours, p) for p in PARTITIONS])
    found = sorted({at for part in parts for at in part})
    return {hours[at].name: _joined(part.get(at, Counted()) for part in parts) for at in found}


def _read_hours(
    keys: Keys, tenant: str, hours: list[Period], partition: str
) -> Operation[dict[int, Counted]]:
    def parse(reply: Any) -> dict[int, Counted]:
        return {row[0] - 1: _joined(_generations(row[1:]).values()) for row in reply}

    return _HOURS.call([keys.usage(partition, tenant, hour.name) for hour in hours], [], parse)


def _generations(flat: list[bytes]) -> dict[int, Counted]:
    """From fields `<generation>|<operation>|<metric>` and their values."""
    found: dict[int, dict[str, dict[str, int]]] = {}
    for name, value in zip(flat[::2], flat[1::2], strict=True):
        generation, operation, metric = name.decode().split("|")
        if metric in METRICS:  # a later release may count more
            found.setdefault(int(generation), {}).setdefault(operation, {})[metric] = int(value)
    return {
        generation: Counted({name: Amounts(**amounts) for name, amounts in operations.items()})
        for generation, operations in found.items()
    }


def _joined(several: Iterable[Counted]) -> Counted:
    joined: dict[str, Amounts] = {}
    for operation, amounts in _rows(several):
        joined[operation] = joined.get(operation, Amounts()) + amounts
    return Counted(joined)


def _rows(several: Iterable[Counted]) -> Iterator[tuple[str, Amounts]]:
    for counted in several:
        yield from counted.by_operation.items()
