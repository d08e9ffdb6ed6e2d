"""The server's clock, as far as this process can tell, for soft expiries that no script judges."""

from riptide.clock import Clock

_TRUSTED_SECONDS = 60.0


class ServerTime:
    """Learns from replies that carry the server's time: clocks of hosts may differ, and nothing breaks."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._offset_ms = 0.0
        self._learnt: float | None = None

    def learn(self, server_ms: int) -> None:
        now = self._clock.monotonic()
        self._offset_ms, self._learnt = server_ms - now * 1000, now

    def now_ms(self) -> int | None:
        """The server's time, or None if it has to be asked again."""
        now = self._clock.monotonic()
        if self._learnt is None or now - self._learnt > _TRUSTED_SECONDS:
            return None
        return int(now * 1000 + self._offset_ms)
