"""A worker process: reads, runs, settles, beats, takes over, puts retries back.

Each of these lives in a file of its own; this one joins them.
"""

import asyncio
import contextlib
import itertools
import math
import time
from collections.abc import Sequence
from functools import partial
from typing import Any

import structlog

from riptide.clock import Clock
from riptide.config import Settings
from riptide.errors import RiptideError
from riptide.store.aio import AsyncStore
from riptide.store.blocking import BlockingConnection
from riptide.store.keys import PARTITIONS, Keys
from riptide.store.sync import Store
from riptide.streams.completion import Completion
from riptide.streams.executor import Executor
from riptide.streams.heartbeat import Heartbeat
from riptide.streams.intake import Intake, Stream
from riptide.streams.job import Again
from riptide.streams.members import Absent, Beat, Members, introduce, new_member
from riptide.streams.message import Entry
from riptide.streams.reader import Reader
from riptide.streams.registry import CommandType
from riptide.streams.rescue import Rescue
from riptide.streams.retries import Retries
from riptide.streams.settling import Settled, Settler
from riptide.streams.slots import Slots
from riptide.streams.takeover import PartitionOps

_TICK_SECONDS = 0.25
_SWEEP_SECONDS = 5.0


class Worker:
    """Carries out commands of `types` until `stop()`.

    `store` belongs to the running loop; `beat_store` to the heartbeat thread alone. `context` is handed to
    every handler.
    """

    def __init__(
        self,
        settings: Settings,
        types: Sequence[CommandType],
        store: AsyncStore,
        beat_store: Store,
        context: Any,
        clock: Clock,
    ) -> None:
        self._settings = settings
        self._types = {kind.name: kind for kind in types}
        self._store = store
        self._context = context
        self._clock = clock
        self._keys = Keys(settings.cache.key_prefix)
        self._members = Members(self._keys)
        self._partitions = {p: PartitionOps(self._keys, list(self._types), p) for p in PARTITIONS}
        self._slots = Slots(types, settings.workers.concurrency)
        self._log = structlog.get_logger("riptide.worker")
        self._started_ms = clock.now_ms()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._taking_over: set[str] = set()
        self._renewal: asyncio.Task[None] | None = None
        self._stop = asyncio.Event()
        self._beaten = asyncio.Event()
        self._readers: list[Reader] = []
        self._members_seen = 0
        self._retries = Retries(store, self._partitions, self._spawn)
        self._rescue = Rescue(
            store,
            self._keys,
            self._partitions,
            types,
            self._slots,
            lambda: (self.name, self._executor),
            settings,
        )
        interval = settings.distributed.heartbeat_interval_ms / 1000
        self._heartbeat = Heartbeat(
            beat_store, self._beat, self._heard_in_thread, lambda: self._executor.held_until, interval
        )
        self._begin()

    def _begin(self) -> None:
        """Become a new consumer incarnation."""
        self.name = new_member(self._settings.distributed.node_id)
        completion = Completion(self._keys, self._settings.streams, self.name)
        settler = Settler(self._store, completion, partial(self._was_fenced, self.name), self._settled)
        self._executor = Executor(self._settings, settler, self._slots, self._context, self._heartbeat.now)
        #: When the last heartbeat after which this consumer was known to be intact was sent
        #: (time.monotonic()).
        self._heard_at = -math.inf
        self._unsure = True

    # The life of the process

    async def run(self) -> None:
        """Work until stopped, then hand back what has not started and finish what has."""
        self._loop = asyncio.get_running_loop()
        await self._enroll()
        self._slots.on_room = self._room
        self._readers = self._make_readers()
        self._heartbeat.start()
        self._spawn(self._retries.promote_all())
        reading = [self._spawn(reader.run()) for reader in self._readers]
        upkeep = [self._spawn(self._tick()), self._spawn(self._sweep())]
        self._log.info("worker started", worker=self.name, commands=sorted(self._types))
        stopped = self._spawn(self._stop.wait())
        await asyncio.wait([stopped, *reading, *upkeep], return_when=asyncio.FIRST_COMPLETED)
        self._stop.set()
        await self._shut_down(reading, upkeep)
        for task in (*reading, *upkeep):
            if not task.cancelled() and (error := task.exception()):
                raise error

    def stop(self) -> None:
        """Ask for a graceful end."""
        self._stop.set()

    def stop_from_signal(self, loop: asyncio.AbstractEventLoop) -> None:
        """Ask for a graceful end from a signal handler, even while a handler holds the event loop."""
        self._heartbeat.asked_to_stop = True
        loop.call_soon_threadsafe(self.stop)

    async def _shut_down(self, reading: list[asyncio.Task[Any]], upkeep: list[asyncio.Task[Any]]) -> None:
        self._log.info("worker stops", worker=self.name, running=self._executor.running)
        self._executor.close()
        stopping = [self._spawn(reader.stop()) for reader in self._readers]
        # A server that does not answer must not keep the process beyond that.
        await asyncio.wait([*stopping, *reading], timeout=self._settings.streams.block_ms / 1000 + 1)
        await self._executor.drain(self._settings.state.shutdown_timeout_seconds)
        self._retries.stop()
        left = [*reading, *upkeep, *self._tasks]
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        self._heartbeat.stop()
        with contextlib.suppress(RiptideError):  # a server that is away: the others take over after the lease
            held = sum(await self._store.run_all([p.leave(self.name) for p in self._partitions.values()]))
            if not held:
                await self._store.run(self._members.forget([self.name]))
        await asyncio.to_thread(self._heartbeat.join, 2)
        self._log.info("worker stopped", worker=self.name)

    def _spawn(self, coroutine: Any) -> asyncio.Task[Any]:
        task = self._loop.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            self._log.error("internal error", exc_info=error)

    # Joining, and joining anew after this consumer was fenced off

    async def _enroll(self) -> None:
        for failures in itertools.count(1):
            try:
                partitions = self._partitions.values()
                await self._store.run_all([p.raise_fence(self.name) for p in partitions])
                await self._store.run_all([p.ensure_groups(self.name) for p in partitions])
                return
            except RiptideError as error:
                self._log.warning("cannot join yet", error=str(error), failures=failures)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._stop.wait(), min(1.0, 0.05 * 2 ** min(failures, 6)))
                if self._stop.is_set():
                    return

    async def _repair(self) -> None:
        """Groups may be gone, or this consumer taken over: make the former, notice the latter."""
        replies = await self._store.run_all([p.ensure_groups(self.name) for p in self._partitions.values()])
        if made := sum(reply for reply in replies if reply > 0):
            self._log.warning("groups were missing and have been made anew", groups=made)
        if -1 in replies:
            await self._renew()

    def _was_fenced(self, name: str) -> None:
        if name == self.name:  # what an earlier incarnation still hears is no news
            self._spawn(self._renew())

    async def _renew(self) -> None:
        """This consumer was taken over: drop what it runs, which others run now, and go on under a new
        name."""
        if self._renewal is None or self._renewal.done():
            self._renewal = self._spawn(self._become_new())
        await asyncio.shield(self._renewal)

    async def _become_new(self) -> None:
        old, executor = self.name, self._executor
        self._begin()
        self._log.warning(
            "taken over by others; going on anew", old=old, worker=self.name, dropped=executor.running
        )
        self._spawn(executor.cancel())
        await self._enroll()
        self._heartbeat.now()
        self._spawn(self._take_over(Absent(old, None)))  # what reached it after it had been taken over

    # Reading and running

    def _make_readers(self) -> list[Reader]:
        groups = [[p] for p in PARTITIONS] if self._store.clustered else [list(PARTITIONS)]
        return [self._make_reader(partitions) for partitions in groups]

    def _make_reader(self, partitions: list[str]) -> Reader:
        types = list(self._types.values())
        streams = [Stream(kind, p, self._keys.commands(kind, p)) for kind in self._types for p in partitions]
        block_ms = self._settings.streams.block_ms
        connection = BlockingConnection(self._store, streams[0].key, block_ms / 1000)
        intake = Intake(types, streams, self._slots)
        recover = partial(self._rescue.recover, partitions)
        return Reader(
            connection,
            intake,
            block_ms,
            lambda: self.name,
            self._deliver,
            self._repair,
            self._may_read,
            recover,
        )

    def _deliver(self, entries: list[Entry], kind: str, reserved: int, consumer: str) -> None:
        if entries and not self._is_intact():
            self._spawn(self._deliver_later(entries, kind, reserved, consumer))
            return
        if entries and consumer != self.name:  # read under a name that has been given up meanwhile
            self._spawn(self._take_over(Absent(consumer, None)))
            entries = []
        self._executor.start(self._types[kind], entries, reserved)

    async def _deliver_later(self, entries: list[Entry], kind: str, reserved: int, consumer: str) -> None:
        """What came after a silence may run elsewhere: start it only if nobody took this consumer over."""
        await self._may_read()
        self._deliver(entries, kind, reserved, consumer)

    def _is_intact(self) -> bool:
        return time.monotonic() - self._heard_at <= self._settings.workers.lease_seconds

    async def _may_read(self) -> None:
        """Who was silent for a lease may have been taken over: what it reads then would be lost from
        sight."""
        while not self._is_intact():
            self._beaten.clear()
            await self._beaten.wait()

    def _room(self) -> None:
        for reader in self._readers:
            reader.room()

    # Heartbeats, and what they tell

    def _beat(self) -> Any:
        about = introduce("worker", sorted(self._types), self._started_ms)
        return self._members.beat(self.name, round(self._settings.workers.lease_seconds * 1000), about)

    def _heard_in_thread(self, beat: Beat, sent: float) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closing
            self._loop.call_soon_threadsafe(self._heard, beat, sent)

    def _heard(self, beat: Beat, sent: float) -> None:
        if beat.member != self.name:
            return
        if beat.steady and not self._unsure:
            self._intact(sent)
        else:
            self._unsure = True
            self._spawn(self._check_in(beat.member, sent))
        if self._stop.is_set() or time.monotonic() - sent > self._settings.workers.lease_seconds:
            return  # an answer from before a long pause says nothing about who lives now
        if beat.members < self._members_seen:  # what retries another one had in mind, nobody has now
            self._spawn(self._retries.promote_all())
        self._members_seen = beat.members
        for dead in beat.dead:
            serves = dead.kinds is None or not dead.kinds.isdisjoint(self._types)
            if serves and dead.name not in self._taking_over:
                self._taking_over.add(dead.name)
                self._spawn(self._take_over(dead))

    def _intact(self, sent: float) -> None:
        self._heard_at = max(self._heard_at, sent)
        self._beaten.set()

    async def _check_in(self, name: str, sent: float) -> None:
        """After a silence: others may have taken this consumer over."""
        with contextlib.suppress(RiptideError):
            await self._repair()
            if name == self.name:
                self._unsure = False
                self._intact(sent)

    async def _tick(self) -> None:
        while True:
            self._heartbeat.ticked = time.monotonic()
            await asyncio.sleep(_TICK_SECONDS)

    # Taking over

    async def _take_over(self, dead: Absent) -> None:
        try:
            await self._rescue.take_over(dead)
            await self._retries.promote_all()
        except RiptideError as error:
            self._log.warning("cannot take over yet", dead=dead.name, error=str(error))
        finally:
            self._taking_over.discard(dead.name)
            for reader in self._readers:  # an answer that was lost on the way may have brought entries
                reader.doubt()

    # Retries

    def _settled(self, outcomes: Settled) -> None:
        for entry, outcome in outcomes:
            if isinstance(outcome, Again):
                self._retries.arm(entry.partition, outcome.delay)

    async def _sweep(self) -> None:
        """One partition at a time: retries and entries whose worker vanished without a trace."""
        for partition in itertools.cycle(self._partitions.values()):
            await asyncio.sleep(_SWEEP_SECONDS)
            await self._retries.promote(partition)
            with contextlib.suppress(RiptideError):
                for name in await self._store.run(partition.orphans()):
                    if name != self.name and not await self._store.run(self._members.is_member(name)):
                        self._log.warning("orphaned entries", consumer=name, partition=partition.partition)
                        await self._rescue.take_over_partition(partition, name)
