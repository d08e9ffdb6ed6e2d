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
from riptide.streams.job import Again, Elsewhere, Postponed
from riptide.streams.members import Absent, Beat, Members, introduce, new_member
from riptide.streams.message import Entry
from riptide.streams.reader import Reader
from riptide.streams.registry import CommandType, load_models
from riptide.streams.rescue import Rescue
from riptide.streams.resting import Resting
from riptide.streams.retries import Retries
from riptide.streams.schedule.firing import open_schedules
from riptide.streams.schedule.scheduler import Scheduler
from riptide.streams.settling import Settled, Settler
from riptide.streams.slots import Slots
from riptide.streams.takeover import PartitionOps
from riptide.streams.upkeep import PinAlarm, upkeep

_TICK_SECONDS = 0.25
_SWEEP_SECONDS = 5.0
_UPKEEP_SECONDS = 1.0
_CLOCK_JUMP_MS = 2000


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
        self._slots = Slots(types, settings.workers.concurrency, fair=settings.tenant.enabled)
        self._log = structlog.get_logger("riptide.worker")
        self._started_ms = clock.now_ms()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._taking_over: set[str] = set()
        self._renewal: asyncio.Task[None] | None = None
        self._stop = asyncio.Event()
        self._beaten = asyncio.Event()
        self._readers: list[Reader] = []
        self._process = ""
        self._left_seen: int | None = None  # how many members had left by then
        #: The server's time (ms), and when (time.monotonic()) it was asked for and heard of.
        self._server_clock: tuple[int, float, float] | None = None
        self._resting: frozenset[str] = frozenset()  # types of which nothing is to be started here
        self._resting_tools = Resting(self._keys, self._types)
        self._left_out: set[str] = set()
        self._touched: set[str] = set()  # partitions with new ends since the last upkeep
        self._pin_alarm = PinAlarm()
        self._retries = Retries(store, self._partitions, self._spawn)
        schedules = open_schedules(settings, load_models(settings.workers.modules), clock)
        self._scheduler = Scheduler(store, schedules, self._spawn)
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
        self._process = self._process or self.name
        completion = Completion(self._keys, self._settings.streams, self.name)
        settler = Settler(self._store, completion, partial(self._was_fenced, self.name), self._settled)
        self._executor = Executor(
            self._settings,
            settler,
            self._slots,
            self._context,
            self._heartbeat.now,
            self._newest_served,
            lambda kind: kind not in self._resting,
            self._server_ms,
        )
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
        chores = [self._spawn(job) for job in (self._tick(), self._sweep(), self._keep_up())]
        self._log.info("worker started", worker=self.name, commands=sorted(self._types))
        stopped = self._spawn(self._stop.wait())
        await asyncio.wait([stopped, *reading, *chores], return_when=asyncio.FIRST_COMPLETED)
        self._stop.set()
        await self._shut_down(reading, chores)
        for task in (*reading, *chores):
            if not task.cancelled() and (error := task.exception()):
                raise error

    def stop(self) -> None:
        """Ask for a graceful end."""
        self._stop.set()

    def stop_from_signal(self, loop: asyncio.AbstractEventLoop) -> None:
        """Ask for a graceful end from a signal handler, even while a handler holds the event loop."""
        self._heartbeat.asked_to_stop = True
        loop.call_soon_threadsafe(self.stop)

    async def _shut_down(self, reading: list[asyncio.Task[Any]], chores: list[asyncio.Task[Any]]) -> None:
        self._log.info("worker stops", worker=self.name, running=self._executor.running)
        self._executor.close()
        stopping = [self._spawn(reader.stop()) for reader in self._readers]
        # A server that does not answer must not keep the process beyond that.
        await asyncio.wait([*stopping, *reading], timeout=self._settings.streams.block_ms / 1000 + 1)
        await self._executor.drain(self._settings.state.shutdown_timeout_seconds)
        self._retries.stop()
        self._heartbeat.stop()
        left = {*reading, *chores, *self._tasks}
        while left:  # what was heard or settled last may have begun something more
            for task in left:
                task.cancel()
            await asyncio.gather(*left, return_exceptions=True)
            left = set(self._tasks)
        with contextlib.suppress(RiptideError):  # a server that is away: the others take over after the lease
            held = sum(await self._store.run_all([p.leave(self.name) for p in self._partitions.values()]))
            if not held:
                await self._store.run(self._members.forget([self.name]))
            await self._store.run(self._resting_tools.forget_quiet(self._process))
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
                await self._ensure_groups()
                return
            except RiptideError as error:
                self._log.warning("cannot join yet", error=str(error), failures=failures)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._stop.wait(), min(1.0, 0.05 * 2 ** min(failures, 6)))
                if self._stop.is_set():
                    return

    async def _repair(self) -> None:
        """Groups may be gone, or this consumer taken over: make the former, notice the latter."""
        made, fenced = await self._ensure_groups()
        if made:
            self._log.warning("groups were missing and have been made anew", groups=made)
        if fenced:
            await self._renew()

    async def _ensure_groups(self) -> tuple[int, bool]:
        """How many were made, and whether this consumer has been taken over."""
        replies = await self._store.run_all([p.ensure_groups(self.name) for p in self._partitions.values()])
        found = [groups for groups in replies if groups]
        self._leave_out({key for groups in found for key in groups.no_streams})
        return sum(groups.made for groups in found), len(found) < len(replies)

    def _leave_out(self, no_streams: set[str]) -> None:
        """Somebody has put another type in the place of a stream: the others are read on."""
        for key in sorted(no_streams - self._left_out):
            self._log.error("this key is no stream and is left out; rename or delete it", key=key)
        for key in sorted(self._left_out - no_streams):
            self._log.info("this key is a stream again", key=key)
        if no_streams != self._left_out:
            self._left_out = no_streams
            self._tell_readers()

    def _tell_readers(self) -> None:
        for reader in self._readers:
            reader.leave_out(self._left_out, self._resting)

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
        streams = [
            Stream(kind, p, self._keys.stream(kind, p, slow=slow), slow)
            for slow in (False, True)
            for kind in self._types
            for p in partitions
        ]
        block_ms = self._settings.streams.block_ms
        connection = BlockingConnection(self._store, streams[0].key, block_ms / 1000)
        intake = Intake(types, streams, self._slots)
        intake.leave_out(self._left_out, self._resting)
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
            self._sort,
        )

    def _deliver(self, entries: list[Entry], kind: str, reserved: int, consumer: str) -> None:
        if entries and not self._is_intact():
            # What came after a silence may run elsewhere: it is looked for again once that is known.
            for reader in self._readers:
                reader.doubt()
            entries = []
        elif entries and consumer != self.name:  # read under a name that has been given up meanwhile
            self._spawn(self._take_over(Absent(consumer, None)))
            entries = []
        self._executor.start(self._types[kind], entries, reserved)

    def _is_intact(self) -> bool:
        return time.monotonic() - self._heard_at <= self._settings.workers.lease_seconds

    async def _sort(self, stream: Stream) -> bool:
        """Give the tenants that one flooding tenant holds up in `stream` a way past it; answers whether
        there may be more to sort."""
        kind, name = self._types[stream.kind], self.name
        crowding = self._executor.crowding(kind.name, stream.partition)
        if not crowding or not self._is_intact():
            return False
        pool = self._slots.pool_of(kind.name)
        slots = self._slots.take(pool, max(1, self._slots.free(pool) // 2))
        try:
            room = slots * kind.handler.batch_size
            sort = self._partitions[stream.partition].sort(kind.name, name, crowding, room)
            sorted_ = await self._store.run(sort)
        except BaseException:
            self._slots.give_back(pool, slots)
            raise
        if sorted_ is None:
            self._slots.give_back(pool, slots)
            self._was_fenced(name)
            return False
        self._deliver(sorted_.entries, kind.name, slots, name)
        if sorted_.moved:
            self._log.info(
                "moved to the slow stream",
                kind=kind.name,
                tenants=[tenant.decode("utf-8", "replace") for tenant in crowding],
                entries=sorted_.moved,
            )
        return sorted_.moved > 0

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
        versions = {name: kind.model.version for name, kind in self._types.items()}
        about = introduce(
            "worker", versions, self._started_ms, self._process, self._executor.running_by_type()
        )
        lease_ms = round(self._settings.workers.lease_seconds * 1000)
        return self._members.beat(self.name, lease_ms, about, self._process)

    async def _newest_served(self, kind: str) -> int:
        lease_ms = round(self._settings.workers.lease_seconds * 1000)
        return await self._store.run(self._members.newest_served(kind, lease_ms))

    def _heard_in_thread(self, beat: Beat, sent: float) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closing
            self._loop.call_soon_threadsafe(self._heard, beat, sent)

    def _heard(self, beat: Beat, sent: float) -> None:
        self._rest(beat)
        if beat.member != self.name:
            return
        if beat.steady and not self._unsure:
            self._intact(sent)
        else:
            self._unsure = True
            self._spawn(self._check_in(beat.member, sent))
        if self._stop.is_set() or time.monotonic() - sent > self._settings.workers.lease_seconds:
            return  # an answer from before a long pause says nothing about who lives now
        self._scheduler.heard(beat.now_ms)
        if self._has_jumped(beat, sent):  # what is due by then, no timer knows of
            self._spawn(self._retries.promote_all())
        self._server_clock = beat.now_ms, sent, time.monotonic()
        if self._left_seen not in {None, beat.left}:  # what retries another one had in mind, nobody has now
            self._spawn(self._retries.promote_all())
        self._left_seen = beat.left
        for dead in beat.dead:
            serves = dead.kinds is None or not dead.kinds.isdisjoint(self._types)
            if serves and dead.name not in self._taking_over:
                self._taking_over.add(dead.name)
                self._spawn(self._take_over(dead))

    def _server_ms(self) -> float:
        """The server's time, or a little before it."""
        if self._server_clock is None:
            return 0
        told, _, heard = self._server_clock
        return told + (time.monotonic() - heard) * 1000

    def _has_jumped(self, beat: Beat, sent: float) -> bool:
        """Whether the server's clock was set forward since the last heartbeat."""
        if self._server_clock is None:
            return False
        told, before, _ = self._server_clock
        return beat.now_ms - told - (sent - before) * 1000 > _CLOCK_JUMP_MS

    def _rest(self, beat: Beat) -> None:
        """Start nothing of what operators have paused. What runs goes on; what is held back is read later."""
        resting = frozenset(self._types) if beat.quiet else beat.paused & self._types.keys()
        if resting != self._resting:
            self._resting = resting
            self._log.info("starts nothing of these types", quiet=beat.quiet, types=sorted(resting))
            self._tell_readers()

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
            self._touched.add(entry.partition)
            if isinstance(outcome, Again | Elsewhere):
                self._retries.arm(entry.partition, outcome.delay)
            elif isinstance(outcome, Postponed):
                self._retries.arm(entry.partition, (outcome.due_ms - self._server_ms()) / 1000)

    async def _sweep(self) -> None:
        """One partition at a time: retries and entries whose worker vanished without a trace."""
        for partition in itertools.cycle(self._partitions.values()):
            await asyncio.sleep(_SWEEP_SECONDS)
            await self._retries.promote(partition)
            with contextlib.suppress(RiptideError):
                if self._left_out:
                    await self._repair()
                await self._keep([partition.partition])
                await self._clear(partition)

    async def _clear(self, partition: PartitionOps) -> None:
        """Take over from consumers whose worker vanished without a trace; one that holds nothing goes."""
        consumers = await self._store.run(partition.consumers())
        for name in (*consumers.holding, *consumers.empty):
            if name != self.name and not await self._store.run(self._members.is_member(name)):
                if name in consumers.holding:
                    self._log.warning("orphaned entries", consumer=name, partition=partition.partition)
                await self._rescue.take_over_partition(partition, name)

    # Upkeep

    async def _keep_up(self) -> None:
        """Trim, and save positions, where this worker has been at work."""
        while True:
            await asyncio.sleep(_UPKEEP_SECONDS)
            touched, self._touched = self._touched, set()
            try:
                await self._keep(sorted(touched))
            except RiptideError as error:
                self._touched |= touched
                self._log.warning("cannot do upkeep yet", error=str(error))

    async def _keep(self, partitions: Sequence[str]) -> None:
        kinds = list(self._types)
        asked = [upkeep(self._keys, self._settings.streams, kinds, partition) for partition in partitions]
        for partition, kept in zip(partitions, await self._store.run_all(asked), strict=True):
            self._pin_alarm.note(partition, kinds, kept.pinned)
            if kept.more:
                self._touched.add(partition)
