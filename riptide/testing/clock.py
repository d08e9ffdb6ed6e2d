"""A clock that a test can move."""

import time
from datetime import UTC, datetime

from riptide.errors import InvalidInput


class MovableClock:
    """The system's clock and what a test has added to it. It only moves forward, as retries do."""

    def __init__(self) -> None:
        self._ahead_ms = 0

    @property
    def ahead_ms(self) -> int:
        """How far it has been moved."""
        return self._ahead_ms

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000 + self._ahead_ms

    def monotonic(self) -> float:
        return time.monotonic() + self._ahead_ms / 1000

    def move(self, seconds: float) -> None:
        """Let `seconds` pass. Raises InvalidInput for a negative number."""
        if seconds < 0:
            raise InvalidInput(f"a test's clock only moves forward, not by {seconds:g} s")
        self._ahead_ms += round(seconds * 1000)

    def move_to(self, when: datetime | int) -> None:
        """Go on to a time: a datetime, naive ones in UTC, or Unix milliseconds. Raises InvalidInput if it is
        past."""
        if isinstance(when, datetime):
            aware = when if when.tzinfo else when.replace(tzinfo=UTC)
            when = round(aware.timestamp() * 1000)
        self.move((when - self.now_ms()) / 1000)
