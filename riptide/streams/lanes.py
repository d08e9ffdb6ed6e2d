"""Lanes: what makes publishing idempotent (docs/architecture.md).

A lane is an id with a counter, borrowed like a connection, with one publish in flight. The server remembers
the last number of each lane, so a repeated attempt is recognised; a high-water mark per producer would drop
what arrives out of order.
"""

import os
import secrets
from collections import deque
from dataclasses import dataclass

from riptide.clock import Clock


@dataclass(slots=True)
class Lane:
    id: str
    number: int
    used: float


class Lanes:
    """Free lanes of one process. Threads and tasks may share it; a forked child starts anew."""

    def __init__(self, clock: Clock, lifetime_seconds: float) -> None:
        self._clock = clock
        # A lane that the server may have forgotten must not be used: its next repeat would run twice.
        self._lifetime = lifetime_seconds / 2
        self._free: deque[Lane] = deque()
        self._process = os.getpid()

    def borrow(self) -> Lane:
        """A lane that nobody else uses, with its next number."""
        if self._process != os.getpid():
            self._free, self._process = deque(), os.getpid()
        now = self._clock.monotonic()
        try:
            lane = self._free.pop()
        except IndexError:
            return Lane(secrets.token_hex(8), 1, now)
        if now - lane.used > self._lifetime:
            self._free.clear()  # the others have rested even longer
            return Lane(secrets.token_hex(8), 1, now)
        lane.number += 1
        lane.used = now
        return lane

    def give_back(self, lane: Lane) -> None:
        """Only after an answer: a lane whose outcome is unknown is thrown away by not giving it back."""
        self._free.append(lane)
