"""What the server was asked for, as all processes share it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING

from pydantic import TypeAdapter

from riptide.metrics.catalog import CATALOG, Labels

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric


@dataclass(frozen=True, slots=True)
class StreamFigures:
    """Of one type; `lag` is None where the server cannot tell, `oldest` (s) where nothing is unfinished."""

    type: str
    lag: int | None
    pending: int
    oldest: float | None
    dead: int


@dataclass(frozen=True, slots=True)
class ArchiveFigures:
    type: str
    lag: int | None
    oldest: float | None


@dataclass(frozen=True, slots=True)
class TenantFigures:
    """Of one tenant. `usage` is by limited resource, 1 being the limit. The last three are those of the
    largest tenants alone, None for others: operations and bytes of this month, and its invoice so far."""

    tenant: str
    memory_bytes: int
    sessions: int
    usage: dict[str, float]
    operations: int | None = None
    transferred: int | None = None
    billing: float | None = None


@dataclass(frozen=True, slots=True)
class Figures:
    """At the server's time `at_ms`; `billing` of tenants is as it was at `billed_ms`."""

    at_ms: int
    billed_ms: int
    memory_bytes: int
    sessions: int
    hit_rate: float | None
    streams: Sequence[StreamFigures] = field(default_factory=list)
    archives: Sequence[ArchiveFigures] = field(default_factory=list)
    tenants: Sequence[TenantFigures] = field(default_factory=list)

    def pack(self) -> bytes:
        return _adapter().dump_json(self)


def unpack(data: bytes) -> Figures | None:
    """None for what another release wrote in another form."""
    try:
        return _adapter().validate_json(data)
    except ValueError:
        return None


@cache
def _adapter() -> TypeAdapter[Figures]:
    return TypeAdapter(Figures)


_Samples = list[tuple[Labels, float]]


def families(found: Figures | None) -> "Iterator[Metric]":
    """As metrics; without figures, each with no value."""
    for name, samples in _samples(found or _NONE).items():
        yield CATALOG[f"riptide_{name}"].family(samples if found else [])


_NONE = Figures(at_ms=0, billed_ms=0, memory_bytes=0, sessions=0, hit_rate=None)


def _samples(found: Figures) -> dict[str, _Samples]:
    tenants = found.tenants
    return {
        "cache_memory_usage_bytes": [((), found.memory_bytes)],
        "cache_hit_rate": [((), found.hit_rate)] if found.hit_rate is not None else [],
        "session_active_total": [((), found.sessions)],
        "stream_lag": [((one.type,), one.lag) for one in found.streams if one.lag is not None],
        "stream_pending": [((one.type,), one.pending) for one in found.streams],
        "stream_oldest_seconds": [((one.type,), one.oldest or 0.0) for one in found.streams],
        "stream_dead_total": [((one.type,), one.dead) for one in found.streams],
        "archive_lag": [((one.type,), one.lag) for one in found.archives if one.lag is not None],
        "archive_oldest_seconds": [((one.type,), one.oldest or 0.0) for one in found.archives],
        "tenant_operations_total": [
            ((one.tenant,), one.operations) for one in tenants if one.operations is not None
        ],
        "tenant_data_transfer_bytes": [
            ((one.tenant,), one.transferred) for one in tenants if one.transferred is not None
        ],
        "tenant_memory_usage_bytes": [((one.tenant,), one.memory_bytes) for one in tenants],
        "tenant_active_sessions": [((one.tenant,), one.sessions) for one in tenants],
        "tenant_quota_usage": [
            ((one.tenant, resource), share) for one in tenants for resource, share in one.usage.items()
        ],
        "tenant_billing_units": [((one.tenant,), one.billing) for one in tenants if one.billing is not None],
    }
