"""Ctrl-C and SIGTERM as a flag: nothing is ever interrupted between starting a process and noting it down."""

import signal
import threading
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stopped(Exception):
    """The user wants it to end."""


class Stop:
    """Set by the first signal; further ones change nothing, because everything ends in bounded time."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self.signal = 0

    def listen(self) -> None:
        for number in SIGNALS:
            signal.signal(number, self._on_signal)

    def _on_signal(self, number: int, _: FrameType | None) -> None:
        self.signal = self.signal or number
        self._event.set()

    def asked(self) -> bool:
        return self._event.is_set()

    def check(self) -> None:
        """Raise Stopped if the end was asked for."""
        if self._event.is_set():
            raise Stopped

    def pause(self, seconds: float) -> None:
        """Sleep; raise Stopped as soon as the end is asked for."""
        if self._event.wait(seconds):
            raise Stopped
