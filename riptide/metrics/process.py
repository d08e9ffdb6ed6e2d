"""The registry of a process, apart from the global one of prometheus_client."""

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

# Importing them makes them.
from riptide.metrics import instruments as _instruments  # noqa: F401
from riptide.metrics.counting import INSTRUMENTS, SOURCES

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class ProcessCollector(Collector):
    """What this process counts."""

    def collect(self) -> Iterator[Metric]:
        for instrument in INSTRUMENTS:
            yield instrument.family()
        for source in SOURCES:
            yield from source()


registry = CollectorRegistry(auto_describe=False)
registry.register(ProcessCollector())


def render(chosen: CollectorRegistry = registry) -> bytes:
    """All metrics as Prometheus's text, CONTENT_TYPE."""
    return generate_latest(chosen)
