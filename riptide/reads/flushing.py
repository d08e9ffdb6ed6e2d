"""What both faces know of flushing: what is buffered in a process goes to the server from time to time."""

from typing import Protocol

from riptide.errors import RiptideError
from riptide.logger import get_logger
from riptide.store.operation import Flow

_log = get_logger("riptide.usage")
#: For so long the end waits for a server that is away, which may just be coming back.
LAST_SECONDS = 5.0
AGAIN_SECONDS = 0.2


class Source(Protocol):
    """Something that buffers."""

    @property
    def waiting(self) -> int:
        """How much waits, or is on its way."""
        ...

    def flush(self) -> Flow[None]:
        """Send what waits; what it raises, it may be called again after."""
        ...

    def drop(self) -> None:
        """Hold nothing."""
        ...


class Telling:
    """Tells the log when flushing begins to fail, when it works again, and what is lost at the end."""

    def __init__(self) -> None:
        self._failing = False

    def failed(self, source: Source, error: Exception) -> None:
        if not self._failing:
            trace = None if isinstance(error, RiptideError) else error
            _log.warning("usage_flush_failed", waiting=source.waiting, error=str(error), exc_info=trace)
        self._failing = True

    def worked(self) -> None:
        if self._failing:
            _log.info("usage_flushed_again")
        self._failing = False

    def ended(self, source: Source) -> None:
        if source.waiting:
            _log.error("usage_lost", sums=source.waiting, why="the server was away until the end")
