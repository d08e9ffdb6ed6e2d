"""Every metric: its name, type, labels and meaning. The documentation, the dashboard and the alert rules are
held against this table by tests."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

Labels = tuple[str, ...]
Kind = Literal["counter", "gauge", "histogram"]


@dataclass(frozen=True, slots=True)
class Spec:
    """One metric."""

    name: str
    kind: Kind
    meaning: str
    labels: Labels = ()

    def family(self, samples: Iterable[tuple[Labels, float]] = ()) -> "Metric":
        """The metric with values by labels."""
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        made = CounterMetricFamily if self.kind == "counter" else GaugeMetricFamily
        family = made(self.name, self.meaning, labels=self.labels)
        for labels, value in samples:
            family.add_metric(labels, value)
        return family

    def histogram(self, bounds: Sequence[float], rows: Iterable[tuple[Labels, list[float]]]) -> "Metric":
        """The same of a histogram; a row is how many lie in each bucket, then above all, then their sum."""
        from prometheus_client.core import HistogramMetricFamily

        family = HistogramMetricFamily(self.name, self.meaning, labels=self.labels)
        names = [*(f"{bound:.12g}" for bound in bounds), "+Inf"]
        for labels, (*counts, total) in rows:
            below, buckets = 0.0, []
            for name, count in zip(names, counts, strict=True):
                below += count
                buckets.append((name, below))
            family.add_metric(labels, buckets, total)
        return family


def _spec(kind: Kind, name: str, meaning: str, *labels: str) -> Spec:
    return Spec(f"riptide_{name}", kind, meaning, labels)


_ALL = (
    # Counted by each process.
    _spec("counter", "cache_hits_total", "Reads of entries that found a fresh value."),
    _spec("counter", "cache_misses_total", "Reads of entries that found none."),
    _spec("counter", "cache_sets_total", "Entries written."),
    _spec("counter", "cache_deletes_total", "Entries deleted or invalidated one by one."),
    _spec("counter", "cache_errors_total", "Calls of the cache that the server did not carry out."),
    _spec(
        "counter",
        "cache_evictions_total",
        "Entries that gave way: to the tenant's cap (policy) or to cache.max_memory_bytes (deployment).",
        "reason",
    ),
    _spec(
        "counter",
        "cache_operations_total",
        "Operations on entries and how they ended; calls that failed have the operation any.",
        "operation",
        "result",
    ),
    _spec(
        "histogram",
        "cache_access_duration_seconds",
        "What reading calls took where they were made, one in 64 by chance.",
    ),
    _spec("gauge", "cache_access_target_seconds", "performance.target_cache_access_ms, to compare with."),
    _spec("histogram", "cache_entry_size_bytes", "Written entries as they are stored, header included."),
    _spec("gauge", "cache_compression_ratio", "Bytes of values per byte stored, of all that was written."),
    _spec(
        "histogram", "command_duration_seconds", "What calls of handlers took, a call for each batch.", "type"
    ),
    _spec(
        "counter",
        "command_outcomes_total",
        "Commands whose outcome is in place: done, skipped, retried, dead, postponed or handed_back.",
        "type",
        "outcome",
    ),
    _spec(
        "counter",
        "config_reloads_total",
        "Versions of the configuration that this process took over (switched) or cannot use (refused).",
        "result",
    ),
    _spec(
        "counter", "checkpoints_total", "Checkpoints written (done) or given up (failed).", "kind", "result"
    ),
    _spec("histogram", "checkpoint_duration_seconds", "What writing a checkpoint took."),
    _spec(
        "counter",
        "usage_dropped_total",
        "Noted usage that is not counted: notes that found no room (refused), sums whose publishing stayed "
        "in doubt (lost).",
        "reason",
    ),
    _spec(
        "counter",
        "spillover_operations_total",
        "Sessions and entries moved to the blob store (spill) and back (restore).",
        "what",
        "operation",
    ),
    _spec(
        "counter",
        "memory_pressure_events_total",
        "Looks that found the cache over cache.max_memory_bytes, sessions over their bound, or the server "
        "near its maxmemory; and calls that it refused for want of memory.",
        "reason",
    ),
    # Asked of the server, the same for all processes.
    _spec("gauge", "server_up", "Whether the server answered when it was last asked, 1 or 0."),
    _spec("gauge", "figures_age_seconds", "How old what was asked for is."),
    _spec("gauge", "cache_memory_usage_bytes", "What the entries of all tenants take on the server."),
    _spec("gauge", "cache_hit_rate", "Hits per read of all processes in the last five minutes, 0 to 1."),
    _spec("gauge", "session_active_total", "Sessions of all tenants."),
    _spec(
        "gauge",
        "stream_lag",
        "Commands that no worker has seen; absent where the server cannot tell.",
        "type",
    ),
    _spec("gauge", "stream_pending", "Commands being worked on.", "type"),
    _spec(
        "gauge", "stream_oldest_seconds", "Age of the oldest unfinished command; 0: there is none.", "type"
    ),
    _spec("gauge", "stream_dead_total", "Dead letters that lie there now; dropping them lowers it.", "type"),
    _spec(
        "gauge", "archive_lag", "Commands that wait for the archive; absent where nobody can tell.", "type"
    ),
    _spec(
        "gauge",
        "archive_oldest_seconds",
        "For how long the first of them has waited; 0: there is none.",
        "type",
    ),
    _spec("counter", "tenant_operations_total", "Operations that record_usage told of this month.", "tenant"),
    _spec("gauge", "tenant_data_transfer_bytes", "Bytes that record_usage told of this month.", "tenant"),
    _spec("gauge", "tenant_memory_usage_bytes", "What the tenant's entries take on the server.", "tenant"),
    _spec("gauge", "tenant_active_sessions", "The tenant's sessions, spilled ones included.", "tenant"),
    _spec(
        "gauge",
        "tenant_quota_usage",
        "What is used of a limited resource, 1 being the limit; unlimited ones are absent.",
        "tenant",
        "resource",
    ),
    _spec(
        "gauge",
        "tenant_billing_units",
        "The invoice of this month as it would be now, in units of its currency; not to bill by.",
        "tenant",
    ),
)
#: By name.
CATALOG = {spec.name: spec for spec in _ALL}
