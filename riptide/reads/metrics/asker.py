"""A thread that keeps the figures of the server at hand, so that no scrape waits for it."""

import threading
import time
from contextlib import suppress

from riptide.cache.access.reports import process_name
from riptide.config import Settings
from riptide.errors import Stopped
from riptide.logger import get_logger
from riptide.reads.metrics.asking import Asking
from riptide.reads.metrics.figures import Figures
from riptide.reads.metrics.sharing import shared
from riptide.store.keys import Keys
from riptide.store.sync import Store, open_store
from riptide.streams.passes import keep_passing

# One small call each time, where others ask for the figures.
_SECONDS = 10.0
_LAST_SECONDS = 5.0


class Asker(threading.Thread):
    """Asks until `close()`. `figures` are the newest that it has; `up`: the server answered last time."""

    def __init__(self, keys: Keys, settings: Settings, asking: Asking) -> None:
        super().__init__(name="metrics", daemon=True)
        self._keys, self._settings, self._asking = keys, settings, asking
        self._store: Store | None = None
        self._stopped = threading.Event()
        self._heard = 0.0
        self.figures: Figures | None = None
        self.up = False
        #: Set when it has asked for the first time, whatever came of it.
        self.asked = threading.Event()

    @property
    def age_seconds(self) -> float | None:
        """Of the figures."""
        return None if self.figures is None else time.monotonic() - self._heard

    def run(self) -> None:
        keep_passing(self._pass, self._stopped, get_logger("riptide.metrics"), "cannot ask for metrics")
        if self._store is not None:
            self._store.close()

    def close(self) -> None:
        self._stopped.set()
        self.join(_LAST_SECONDS)

    def _pass(self) -> float:
        try:
            if self._store is None:
                self._store = open_store(self._settings)
            with suppress(Stopped):
                self._ask(self._store)
        except Exception:
            self.up = False
            raise
        finally:
            self.asked.set()
        return min(_SECONDS, self._settings.performance.metrics_interval_seconds)

    def _ask(self, store: Store) -> None:
        flow = shared(self._keys, self._settings, self._asking, process_name(), self._stopped.is_set)
        found = store.drive(flow)
        self.up = True
        if found.figures is not None:
            self._heard = time.monotonic() - (found.now_ms - found.figures.at_ms) / 1000
            self.figures = found.figures
