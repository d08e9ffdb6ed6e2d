"""What becomes of the commands of a killed worker, while another one is there and waits."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from scripts.bench.peer.apps import job
from scripts.bench.peer.environments import Unusable
from scripts.bench.peer.running import BOOT_SECONDS, Arena, Observer, WorkerProcess

KILLED, WAITING = "killed", "waiting"
_ROUND = 20  # commands with which a worker shows that it is there
_TRIES = 3
Start = tuple[int, str, float]


@dataclass(frozen=True, slots=True)
class Aftermath:
    """Of one kill: when (seconds after it) what had been started was started again, what never had an effect
    until the end of the patience, and what had more than one."""

    held: int
    again: tuple[float, ...]
    missing: int
    doubled: int


def kill_one(arena: Arena, observer: Observer, patience: float) -> Aftermath:
    """Kill one of two workers in the middle. Raises Unusable."""
    for _ in range(_TRIES):
        aftermath = _kill_one(arena, observer, patience)
        if aftermath.held:
            return aftermath
    raise Unusable(f"held nothing when it was killed, {_TRIES} times")


def _kill_one(arena: Arena, observer: Observer, patience: float) -> Aftermath:
    observer.clear()
    count = max(80, min(40 * arena.peer.in_hand, 2000), 8 * arena.peer.in_hand)
    with WorkerProcess(arena, WAITING) as waiting:
        published = _show_up(arena, observer, waiting, WAITING, 0)
        with WorkerProcess(arena, KILLED) as dying:
            published = _show_up(arena, observer, dying, KILLED, published)
            begun = published
            published += count

            def in_the_middle() -> bool:
                return observer.different() >= begun + count // 3 and bool(_held(observer))

            with arena.filling(begun, count, BENCH_WORKER="publisher"):
                dying.until(in_the_middle, 2 * BOOT_SECONDS, "the middle of the drain")
                dying.kill()
                killed = time.time()
                time.sleep(2 * job.SECONDS)  # what was on its way to the server has arrived
                held = _held(observer)

        def complete() -> bool:
            return observer.different() >= published or time.time() > killed + patience

        waiting.until(complete, patience + BOOT_SECONDS, "the end")
        # Whatever comes twice comes now.
        time.sleep(1)
        return judge(held, killed, observer.starts(), observer.tally(), published)


def _show_up(arena: Arena, observer: Observer, worker: WorkerProcess, name: str, published: int) -> int:
    """Publish until that worker has started something; how much was published in all."""
    end = time.monotonic() + BOOT_SECONDS
    while name not in {by for _, by, _ in observer.starts()}:
        if time.monotonic() > end:
            raise Unusable(f"the {name} worker did nothing within {BOOT_SECONDS:g} s")
        arena.fill(published, _ROUND, BENCH_WORKER="publisher")
        published += _ROUND
        upto = published
        worker.until(lambda: observer.different() >= upto, BOOT_SECONDS, "its first commands")  # noqa: B023
    return published


def _held(observer: Observer) -> set[int]:
    """What the killed worker has started and not ended."""
    done = observer.tally()
    return {n for n, by, _ in observer.starts() if by == KILLED and n not in done}


def judge(
    held: set[int], killed: float, starts: Sequence[Start], tally: Mapping[int, int], published: int
) -> Aftermath:
    """What happened after `killed` (Unix seconds) to the commands 0 … published - 1."""
    first: dict[int, float] = {}
    for n, by, at in starts:
        if n in held and by != KILLED and at >= killed:
            first.setdefault(n, at - killed)
    missing = sum(n not in tally for n in range(published))
    doubled = sum(times - 1 for times in tally.values())
    return Aftermath(len(held), tuple(sorted(first.values())), missing, doubled)
