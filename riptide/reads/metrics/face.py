"""`rt.metrics`: what a process tells Prometheus."""

import os
import threading
from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING

from riptide.errors import ConfigError
from riptide.metrics.catalog import CATALOG
from riptide.reads.assembly import Parts
from riptide.reads.metrics.asker import Asker
from riptide.reads.metrics.asking import Asking
from riptide.reads.metrics.figures import families
from riptide.tenants.billing.billing import Billing
from riptide.tenants.facts import KnownTenants

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry
    from prometheus_client.metrics_core import Metric

    from riptide.metrics.serving import Serving

# A first scrape waits so long for figures at most.
_FIRST_SECONDS = 2.0


class Metrics:
    """Nothing is asked of the server before somebody wants to see it. With `performance.enable_metrics` off
    there is nothing to see. Safe to share between threads."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._lock, self._process = threading.Lock(), os.getpid()
        self._asker: Asker | None = None
        self._servings: list[Serving] = []
        self._closed = False

    @property
    def enabled(self) -> bool:
        return self._parts.settings.performance.enable_metrics

    @cached_property
    def registry(self) -> "CollectorRegistry":
        """For a host that mounts it: `make_asgi_app(registry=rt.metrics.registry)`. A scrape takes no time of
        the server's, but may wait for 2 s the first time."""
        from prometheus_client import CollectorRegistry

        from riptide.metrics.process import ProcessCollector

        made = CollectorRegistry(auto_describe=False)
        if self.enabled:
            made.register(ProcessCollector())
            made.register(_Asked(self))
        return made

    def render(self) -> bytes:
        """All metrics as Prometheus's text (`riptide.metrics.CONTENT_TYPE`). A server that is away raises
        nothing: then it tells what it had, and riptide_server_up 0."""
        from riptide.metrics.process import render

        return render(self.registry)

    def serve(self, port: int | None = None, host: str | None = None) -> "Serving":
        """Serve them until `close()`, by default where `performance.metrics_port` and `metrics_host` say.
        Nobody is asked for a key. Raises ConfigError without a port, or with metrics off; OSError."""
        from riptide.metrics.serving import serve

        performance = self._parts.settings.performance
        chosen = performance.metrics_port if port is None else port
        if chosen is None or not self.enabled:
            raise ConfigError(
                "metrics are served at a port only if performance.metrics_port names one, or serve(port) "
                "does, and performance.enable_metrics is on"
            )
        serving = serve(chosen, host or performance.metrics_host, self.registry)
        self._servings.append(serving)
        return serving

    def families(self) -> "Iterator[Metric]":
        """What the server was asked for last."""
        asker = self._running()
        asker.asked.wait(_FIRST_SECONDS)
        target = self._parts.settings.performance.target_cache_access_ms / 1000
        age = asker.age_seconds
        yield CATALOG["riptide_cache_access_target_seconds"].family([((), target)])
        yield CATALOG["riptide_server_up"].family([((), float(asker.up))])
        yield CATALOG["riptide_figures_age_seconds"].family([] if age is None else [((), age)])
        yield from families(asker.figures)

    @property
    def running(self) -> bool:
        """Whether `close` has anything to end."""
        return self._asker is not None or bool(self._servings)

    def close(self) -> None:
        """End what it has begun; it may take some seconds."""
        with self._lock:
            self._closed = True
            asker, servings = self._asker, self._servings
            self._asker, self._servings = None, []
        if self._process != os.getpid():
            return
        for serving in servings:
            serving.close()
        if asker is not None and asker.is_alive():
            asker.close()

    def _running(self) -> Asker:
        with self._lock:
            if self._process != os.getpid():  # the threads stayed with the parent
                self._process, self._asker, self._servings = os.getpid(), None, []
            if self._asker is None:
                self._asker = Asker(self._parts.keys, self._parts.settings, self._asking())
                if self._closed or not self._parts.settings.enable_persistence:
                    self._asker.asked.set()
                else:
                    self._asker.start()
            return self._asker

    def _asking(self) -> Asking:
        """By itself: what else has parts of these may belong to an event loop."""
        parts = self._parts
        settings = parts.settings
        known = KnownTenants(parts.keys, settings.tenant)
        billing = Billing(parts.keys, settings, known, lambda: parts.registry.plans)
        return Asking(parts.keys, settings, parts.kinds, billing)


class _Asked:
    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def collect(self) -> "Iterator[Metric]":
        return self._metrics.families()
