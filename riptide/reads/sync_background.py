"""What the synchronous cache does behind its caller's back: refresh stale values, flush buffered writes,
report what it did."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from riptide.cache.access.reports import REPORT_SECONDS
from riptide.config import CacheSettings
from riptide.forking import in_children
from riptide.logger import get_logger
from riptide.reads.outage import Complaints

_log = get_logger("riptide.cache")
_REFRESH_THREADS = 4


class Background:
    """Threads are started when they are first needed, and anew in a forked child."""

    def __init__(
        self, flush: Callable[[], None], settings: CacheSettings, failed: Callable[[], None]
    ) -> None:
        self._flush, self._settings, self._failed = flush, settings, failed
        self._complaints = Complaints()
        self._begin()
        in_children(self, Background._begin)

    def _begin(self) -> None:
        self._lock = threading.Lock()
        self._pool: ThreadPoolExecutor | None = None
        self._flusher: threading.Thread | None = None
        self._reporter: threading.Thread | None = None
        self._dirty = threading.Event()
        self._stop = threading.Event()

    def submit(self, work: Callable[[], None]) -> None:
        """Run `work` in a thread soon; what it raises is logged and counted."""
        with self._lock:
            if self._stop.is_set():
                return
            if self._pool is None:
                self._pool = ThreadPoolExecutor(_REFRESH_THREADS, "riptide-refresh")
            self._pool.submit(self._guarded, "cache_refresh_failed", work)

    def schedule_flush(self) -> None:
        """Flush within `cache.write_behind_flush_seconds`."""
        with self._lock:
            if self._flusher is None:
                self._flusher = threading.Thread(target=self._flush_loop, name="riptide-flush", daemon=True)
                self._flusher.start()
        self._dirty.set()

    def _flush_loop(self) -> None:
        while self._dirty.wait() and not self._stop.wait(self._settings.write_behind_flush_seconds):
            self._dirty.clear()
            if not self._guarded("cache_write_behind_failed", self._flush):
                self._dirty.set()

    def start_reports(self, report: Callable[[], float]) -> None:
        """Call `report` from time to time from now on; it answers the seconds until the next time."""
        with self._lock:
            if self._reporter is None and not self._stop.is_set():
                self._reporter = threading.Thread(
                    target=self._report_loop, args=(report,), name="riptide-report", daemon=True
                )
                self._reporter.start()

    def _report_loop(self, report: Callable[[], float]) -> None:
        pause = REPORT_SECONDS
        while not self._stop.wait(pause):
            pause = report()

    def _guarded(self, event: str, work: Callable[[], None]) -> bool:
        try:
            work()
        except Exception as error:  # noqa: BLE001 - nobody waits for it: it is told here or nowhere
            self._failed()
            if self._complaints.new(event, error):
                _log.warning(event, error=str(error), kind=type(error).__name__)
            return False
        self._complaints.over(event)
        return True

    def close(self) -> None:
        """Stop the threads; work that runs is waited for."""
        with self._lock:
            self._stop.set()
            self._dirty.set()
            pool, threads = self._pool, (self._flusher, self._reporter)
        for thread in threads:
            if thread is not None:
                thread.join()
        if pool is not None:
            pool.shutdown(cancel_futures=True)
