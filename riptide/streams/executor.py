"""Runs handlers on what was read, and settles how each command ended."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from riptide.config import Settings
from riptide.errors import RiptideError
from riptide.logger import get_logger
from riptide.metrics.instruments import COMMAND_SECONDS
from riptide.streams import current
from riptide.streams.crowd import Crowd
from riptide.streams.job import Applied, Done, HandedBack, Job, describe, outcome_of
from riptide.streams.message import Entry, seems_returned
from riptide.streams.progress import Reporter
from riptide.streams.registry import CommandType
from riptide.streams.settling import Settled, Settler
from riptide.streams.slots import Place, Slots
from riptide.streams.takeover import SUSPECT_AFTER
from riptide.streams.triage import Outcomes, Triage

_CANCEL_GRACE_SECONDS = 5.0


class Executor:
    """The running handler calls of one consumer incarnation.

    `may_start` answers whether commands of a type may be started now, `is_intact` whether this consumer is
    known not to have been taken over. What it was given and did not start for that reason is forgotten, and
    `dropped` called: it has to be looked for again.
    """

    def __init__(
        self,
        settings: Settings,
        triage: Triage,
        settler: Settler,
        slots: Slots,
        context: Any,
        suspect_ended: Callable[[], None] = lambda: None,
        may_start: Callable[[str], bool] = lambda _kind: True,
        is_intact: Callable[[], bool] = lambda: True,
        dropped: Callable[[], None] = lambda: None,
    ) -> None:
        self._settings = settings
        self._triage = triage
        self._settler = settler
        self._slots = slots
        self._context = context
        self._suspect_ended = suspect_ended
        self._may_start = may_start
        self._is_intact = is_intact
        self._dropped = dropped
        self._reporter = Reporter(settler.report)
        self._calls: dict[asyncio.Task[Any], Sequence[Entry]] = {}
        self._settling: dict[asyncio.Task[None], Sequence[Entry]] = {}
        self._deadlines: dict[asyncio.Task[Any], float] = {}
        self._crowd = Crowd()
        self._rng = random.Random()
        self._closing = False
        self.suspects = 0

    def start(self, kind: CommandType, entries: Sequence[Entry], reserved: int) -> None:
        """Start calls for `entries` on `reserved` slots; what finds no slot goes back to the stream."""
        pool = self._slots.pool_of(kind.name)
        for chunk in self._chunks(entries, kind.handler.batch_size):
            if not self._open_for(kind) or not (reserved or self._slots.take(pool, 1)):
                self._hand_back(chunk)
                continue
            reserved = max(0, reserved - 1)
            self._slots.begin(_place(chunk))
            if any(map(seems_returned, chunk)):
                self._start_vouched(kind, chunk)
            else:
                self._start_call(kind, chunk)
        self._slots.give_back(pool, reserved)

    def _open_for(self, kind: CommandType) -> bool:
        return not self._closing and self._may_start(kind.name)

    @staticmethod
    def _chunks(entries: Sequence[Entry], size: int) -> list[Sequence[Entry]]:
        suspects = [[entry] for entry in entries if entry.starts >= SUSPECT_AFTER]
        if suspects:
            entries = [entry for entry in entries if entry.starts < SUSPECT_AFTER]
        return [*[entries[at : at + size] for at in range(0, len(entries), size)], *suspects]

    def _start_vouched(self, kind: CommandType, chunk: Sequence[Entry]) -> None:
        """Some claim to be retries: whether they are is asked first, while the slot is held."""
        task = asyncio.get_running_loop().create_task(self._settler.vouch(chunk))
        self._calls[task] = chunk

        def vouched(_: asyncio.Task[None]) -> None:
            del self._calls[task]
            if self._open_for(kind) and not task.cancelled():
                self._start_call(kind, chunk)
                return
            self._slots.end(_place(chunk), 0)
            if not task.cancelled():
                self._hand_back(chunk)

        task.add_done_callback(vouched)

    def _start_call(self, kind: CommandType, chunk: Sequence[Entry]) -> None:
        timeout = self.timeout_of(kind.name)
        suspect = chunk[0].starts >= SUSPECT_AFTER
        self.suspects += suspect
        jobs: list[Job] = []
        loop = asyncio.get_running_loop()
        task = loop.create_task(self._call(kind, chunk, jobs, timeout))
        self._calls[task] = chunk
        began = time.monotonic()
        self._deadlines[task] = began + timeout + _CANCEL_GRACE_SECONDS

        def end(entries: int) -> None:
            if self._calls.pop(task, None) is None:
                return  # given up before
            del self._deadlines[task]
            self._crowd.ended(chunk, time.monotonic() - began)
            last.cancel()
            self._slots.end(_place(chunk), entries)
            if suspect:
                self.suspects -= 1
                self._suspect_ended()

        def finished(_: asyncio.Task[bool]) -> None:
            error = None if task.cancelled() else task.exception()
            dropped = not (task.cancelled() or error or task.result())
            end(0 if dropped else len(chunk))
            if error:
                get_logger("riptide.worker").error("internal error", exc_info=error)
            elif dropped:
                self._dropped()

        def give_up() -> None:
            if task.done():
                return  # after a pause of the whole process both are due at once
            # The handler swallows its cancellation: it may go on, but nobody waits for it any more.
            end(len(chunk))
            error = _too_long(timeout)
            self._in_background(self._outcomes(jobs, error))

        last = loop.call_later(timeout + _CANCEL_GRACE_SECONDS, give_up)
        task.add_done_callback(finished)

    def timeout_of(self, kind: str) -> float:
        workers = self._settings.workers
        return workers.handler_timeouts.get(kind, workers.handler_timeout_seconds)

    @property
    def running(self) -> int:
        return len(self._calls)

    def running_by_type(self) -> Counter[str]:
        """How many commands of each type are being worked on; the heartbeat's thread asks."""
        counts: Counter[str] = Counter()
        for chunk in list(self._calls.values()):
            counts[chunk[0].kind] += len(chunk)
        return counts

    @property
    def held_until(self) -> float:
        """Until when a running handler may hold the event loop (time.monotonic()); the heartbeat's thread
        asks."""
        return max(list(self._deadlines.values()), default=0.0)

    def known(self, place: Place) -> list[str]:
        """Ids of the entries of one stream that are being run, settled or handed back."""
        chunks = (*self._calls.values(), *self._settling.values(), self._settler.stuck)
        return [entry.id for chunk in chunks for entry in chunk if place_of(entry) == place]

    def crowding(self, kind: str, partition: str) -> dict[bytes, float]:
        """The tenants that each have at least half of what is being run of one type in one partition, and how
        many of its entries end in a second."""
        latest = time.monotonic() + self.timeout_of(kind) + _CANCEL_GRACE_SECONDS
        running = [(chunk, latest - self._deadlines.get(task, latest)) for task, chunk in self._calls.items()]
        return self._crowd.pace(kind, partition, running)

    async def _call(self, kind: CommandType, chunk: Sequence[Entry], jobs: list[Job], timeout: float) -> bool:
        """Fills `jobs` with those that it starts. False if nothing was started, nor settled."""
        started, outcomes = self._triage.read(kind, chunk)
        # Since they were read the whole process may have stood still, and others may have been given them.
        if not self._is_intact():
            return False
        jobs += started
        if jobs:
            self._reporter.attend(jobs)
            ended = await self._handle(kind, jobs, timeout)
            if not self._reporter.idle:
                failed = [
                    job
                    for job, (_, how) in zip(jobs, ended, strict=True)
                    if not isinstance(how, Done | Applied)
                ]
                await self._reporter.finish(jobs, failed)
            outcomes += ended
        await self._settler.settle(await self._triage.place(kind, outcomes))
        return True

    async def _handle(self, kind: CommandType, jobs: list[Job], timeout: float) -> Outcomes:
        error: Exception | None = None
        limit = asyncio.timeout(timeout)
        began = time.monotonic()
        try:
            async with limit:
                # Not before: the limit's timer copies the context of this task, and outlives it for a while.
                current.jobs.set(jobs)
                await kind.handler.handle(jobs, self._context)
        except asyncio.CancelledError:
            if not _cancelled_from_outside():
                error = RiptideError("the handler cancelled itself")
            elif self._closing:
                return [(job.entry, HandedBack(started=True)) for job in jobs]
            else:
                raise
        except KeyboardInterrupt:
            raise
        except BaseException as raised:  # noqa: BLE001 - sys.exit in a handler must not end everybody's calls
            error = _too_long(timeout) if limit.expired() else _as_exception(raised)
        finally:
            COMMAND_SECONDS.observe(time.monotonic() - began, kind.name)
        return self._outcomes(jobs, error)

    def _outcomes(self, jobs: Sequence[Job], error: Exception | None) -> Outcomes:
        policy, rng = self._settings.workers, self._rng
        return [(job.entry, outcome_of(job, error, policy, rng)) for job in jobs]

    def _hand_back(self, entries: Sequence[Entry]) -> None:
        """Give entries that have not been started back to the stream, for whoever has room."""
        self._in_background([(entry, HandedBack(started=False)) for entry in entries])

    def _in_background(self, outcomes: Settled) -> None:
        task = asyncio.get_running_loop().create_task(self._settle(outcomes))
        self._settling[task] = [entry for entry, _ in outcomes]
        task.add_done_callback(self._settling.pop)

    async def _settle(self, outcomes: Settled) -> None:
        await self._settler.vouch([entry for entry, _ in outcomes if entry.returned is None])
        await self._settler.settle(outcomes)

    def close(self) -> None:
        """Start nothing more: what still arrives is handed back."""
        self._closing = True

    async def drain(self, seconds: float, rest_seconds: float = 2 * _CANCEL_GRACE_SECONDS) -> None:
        """Wait for what runs, and end what takes longer than `seconds`; that, and handing back, has
        `rest_seconds`."""
        if self._calls:
            await asyncio.wait(list(self._calls), timeout=seconds)
        await self.cancel(rest_seconds / 2)
        if self._settling:
            await asyncio.wait(list(self._settling), timeout=rest_seconds / 2)
        self._settler.stop()

    async def cancel(self, seconds: float = 2 * _CANCEL_GRACE_SECONDS) -> None:
        """End what runs, at once; what does not end within `seconds` is left."""
        calls = list(self._calls)
        for task in calls:
            task.cancel()
        if calls:
            await asyncio.wait(calls, timeout=seconds)


def place_of(entry: Entry) -> Place:
    return Place(entry.kind, entry.partition, entry.slow)


def _place(chunk: Sequence[Entry]) -> Place:
    """Whose slot a call takes; one that merges streams counts for the first."""
    return place_of(chunk[0])


def _cancelled_from_outside() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _too_long(timeout: float) -> TimeoutError:
    return TimeoutError(f"the handler took longer than {timeout:g} s (workers.handler_timeouts)")


def _as_exception(error: BaseException) -> Exception:
    if isinstance(error, SystemExit):
        return RiptideError(f"the handler called sys.exit({error.code!r})")
    return error if isinstance(error, Exception) else RiptideError(describe(error))
