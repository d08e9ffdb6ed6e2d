"""Flushes what the synchronous face buffers."""

import threading
import time
from contextlib import suppress

from riptide.config import ApiSettings
from riptide.forking import in_children
from riptide.reads import flushing
from riptide.reads.flushing import AGAIN_SECONDS, Source, Telling
from riptide.store.sync import Store


class Flushing:
    """A thread, from the first `wake` on; in a forked child another one."""

    def __init__(self, store: Store, settings: ApiSettings, *sources: Source) -> None:
        self._store, self._settings, self._sources = store, settings, sources
        self._telling = Telling()
        self._reset()
        in_children(self, Flushing.leave_to_parent)

    def _reset(self) -> None:
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()
        self._starting, self._sending = threading.Lock(), threading.Lock()

    def wake(self) -> None:
        """Something will be buffered: it is sent within `api.usage_flush_seconds`. To be called first."""
        if self._thread is None:
            with self._starting:
                if self._thread is None:
                    self._thread = threading.Thread(target=self._loop, name="riptide-usage", daemon=True)
                    self._thread.start()

    def flush(self) -> None:
        """Send what waits, now; raises the first error, after all were tried."""
        errors = []
        with self._sending:
            for source in self._sources:
                try:
                    self._store.drive(source.flush())
                except Exception as error:  # noqa: BLE001 - the others' turn comes first
                    self._telling.failed(source, error)
                    errors.append(error)
        if errors:
            raise errors[0]
        self._telling.worked()

    def leave_to_parent(self) -> None:
        """In a forked child what had been buffered is its parent's to send."""
        self._reset()
        for source in self._sources:
            source.drop()

    def _loop(self) -> None:
        while not self._stop.is_set():
            self._stop.wait(self._settings.usage_flush_seconds)
            with suppress(Exception):  # it has been told, and what waits waits on
                self.flush()

    def close(self) -> None:
        """Flush a last time; what cannot be sent within some seconds is lost, which the log tells."""
        if self._thread is None:
            return
        self._stop.set()
        self._thread.join()
        self._thread = None
        until = time.monotonic() + flushing.LAST_SECONDS
        while any(source.waiting for source in self._sources) and time.monotonic() < until:
            time.sleep(AGAIN_SECONDS)
            with suppress(Exception):
                self.flush()
        for source in self._sources:
            self._telling.ended(source)
