"""A worker that stands still at a chosen moment: after it has read a command, and before it starts it."""

import itertools
import signal
import threading
from pathlib import Path
from typing import Any

from tests.support.crew import Hand, Place, work
from tests.support.recorded import Step


def stop_after_reading(place: Place, token: str, reading: int) -> None:
    """The life of a worker that stops itself (SIGSTOP) after its first, second, … `reading` of one step."""
    read, times = Step.parse, itertools.count(1)

    def parse(version: int, body: bytes | str) -> Step:
        step = read(version, body)
        if step.token == token and next(times) == reading:
            # To this very thread, which then goes no further; the others stop with it.
            signal.pthread_kill(threading.get_ident(), signal.SIGSTOP)
        return step

    model: Any = Step
    model.parse = parse
    work(place)


def stands_still(hand: Hand) -> bool:
    """Whether SIGSTOP has stopped it."""
    return Path(f"/proc/{hand.pid}/stat").read_text("utf-8").rpartition(")")[2].split()[0] == "T"
