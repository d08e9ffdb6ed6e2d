"""The server's clock, as heartbeats tell of it."""

import time

_JUMP_MS = 2000


class ServerClock:
    """What the server's clock shows now, or a little less: never more, as long as nobody sets it back."""

    def __init__(self) -> None:
        #: The server's time (ms), and when (time.monotonic()) it was asked for and heard of.
        self._told: tuple[int, float, float] | None = None

    def now_ms(self) -> float:
        """Unix ms; 0 before it was first heard of."""
        if self._told is None:
            return 0
        told, _, heard = self._told
        return told + (time.monotonic() - heard) * 1000

    def heard(self, now_ms: int, sent: float) -> bool:
        """It showed `now_ms` at some time since `sent` (time.monotonic()); answers whether it was set forward
        since the last time."""
        before, self._told = self._told, (now_ms, sent, time.monotonic())
        if before is None:
            return False
        told, asked, _ = before
        return now_ms - told - (sent - asked) * 1000 > _JUMP_MS
