"""How many commands a second one worker process carries out from a backlog."""

import time
from collections.abc import Sequence

from scripts.bench.peer.running import BOOT_SECONDS, Arena, Observer, WorkerProcess

#: From when on the worker counts as warm, and from when on it may be idling at the end.
_FIRST, _LAST = 0.1, 0.95
#: A slow one is not watched to the end.
WATCH_SECONDS = 6.0
_POLL_SECONDS = 0.02


def commands_a_second(arena: Arena, observer: Observer, commands: int) -> float:
    """Publish `commands`, start a worker, and watch what it does. Raises Unusable."""
    observer.clear()
    arena.fill(0, commands)
    samples: list[tuple[float, int]] = []
    with WorkerProcess(arena) as worker:
        worker.until(observer.total, BOOT_SECONDS, "the first command")
        end = time.monotonic() + WATCH_SECONDS

        def sample() -> bool:
            samples.append((time.monotonic(), observer.total()))
            return samples[-1][1] >= commands or time.monotonic() > end

        worker.until(sample, 2 * WATCH_SECONDS, "the drain")
    return rate(samples, commands)


def rate(samples: Sequence[tuple[float, int]], commands: int) -> float:
    """Commands a second between the tenth and the last twentieth of the backlog, of (seconds, done) in order.

    Where the samples do not reach as far, or too few lie there, of all of them.
    """
    inside = [(at, done) for at, done in samples if _FIRST * commands <= done <= _LAST * commands]
    chosen = inside if len(inside) >= 3 else samples
    (begun, first), (ended, last) = chosen[0], chosen[-1]
    return (last - first) / (ended - begun) if ended > begun else 0.0
