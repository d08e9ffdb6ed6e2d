"""Whether a consumer may take it that nobody has taken it over."""

import math
import time


class Lease:
    """That of one consumer: it holds for `seconds` from each heartbeat after which its fences were intact.

    The heartbeat's thread renews it, so that it also holds after a handler that blocked the event loop; it
    does not after a pause of the whole process.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        # When heartbeats were sent (time.monotonic()): the last one after which it was intact, the last one
        # after which it may have been taken over, and the last one after which its fences have been seen.
        self._renewed = -math.inf
        self._doubted = 0.0
        self._checked = -math.inf

    def holds(self) -> bool:
        return time.monotonic() - self._renewed <= self._seconds

    @property
    def certain(self) -> bool:
        """False if its fences have to be looked at before it can be renewed."""
        return self._checked >= self._doubted

    def heard(self, sent: float, *, steady: bool) -> None:
        """The heartbeat of `sent` was answered; unless it was `steady`, the one before is longer ago than
        others wait."""
        if not steady:
            self._doubted = sent
        elif self.certain:
            self._renewed = sent

    def checked(self, sent: float) -> None:
        """Its fences have been seen after the heartbeat of `sent`, which was answered."""
        self._checked = max(self._checked, sent)
        self._renewed = max(self._renewed, sent)
