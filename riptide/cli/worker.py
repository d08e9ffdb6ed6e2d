"""`riptide worker`: one worker process."""

import asyncio
import gc
import os
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from functools import partial
from typing import Annotated, Protocol

import typer

from riptide import log
from riptide.cache.accounts.keeper import Keeper
from riptide.cli import common
from riptide.clock import SystemClock
from riptide.config import Loaded, Settings
from riptide.errors import ConfigError
from riptide.logger import get_logger
from riptide.reads.aio_client import AsyncRipTide
from riptide.reads.assembly import Parts, assemble
from riptide.reads.context import make_context
from riptide.reads.webhooks.watch import Watch
from riptide.state.archive.archiver import make_archiver
from riptide.state.blobs import open_blobs
from riptide.state.checkpoints.alarm import Alarm
from riptide.state.checkpoints.parting import Parting
from riptide.state.live.following import Following
from riptide.state.spill.keeper import SessionKeeper
from riptide.store.aio import AsyncStore, open_async_store
from riptide.store.sync import open_store
from riptide.streams.members import new_member
from riptide.streams.registry import CommandType, Registry, load_handlers, load_models
from riptide.streams.worker import Worker
from workers import HANDLERS

STOPPED_AT_ONCE = 130
# Sections in which something is that schedules are made of.
_SCHEDULES = ("cache", "schedule", "state", "tenant")
# What runs beside has so long to end what it is at; what it has not done then, others do.
_BESIDE_SECONDS = 10.0
_LEAST_BESIDE_SECONDS = 1.0
# All is done and closed by then.
_LEFT_BEHIND_SECONDS = 2.0


def worker_command(
    commands: Annotated[
        str | None,
        typer.Option(
            metavar="A,B",
            help="Types to carry out, separated by commas.",
            show_default="all",
            autocompletion=common.complete_types,
        ),
    ] = None,
    concurrency: Annotated[
        int | None,
        typer.Option(min=1, max=10_000, help="Handler calls at a time; wins over workers.concurrency."),
    ] = None,
) -> None:
    """Carry out commands until SIGTERM or Ctrl-C.

    The first signal hands back what has not started and finishes what has; a second one stops at once, and
    other workers take over. Any number of workers may run, on any number of hosts; each type may have pools
    of its own. With enable_persistence off it waits for that signal, and does nothing.

    Examples: 'riptide worker' serves all types; 'riptide worker --commands warm,invalidate --concurrency
    50' is a pool of their own.
    """
    loaded = common.loaded()
    settings = loaded.settings
    if not settings.enable_persistence:
        idle()
        return
    own = frozenset[str]()
    if concurrency is not None:
        own = frozenset({"workers.concurrency"})
        workers = settings.workers.model_copy(update={"concurrency": concurrency})
        settings = settings.model_copy(update={"workers": workers})
    modules = settings.workers.modules
    registry = Registry(load_models(modules), load_handlers(HANDLERS, modules))
    if settings.streams.archive:
        registry.pick(settings.streams.archive_types)  # a type that does not exist is an error
    names = None if commands is None else [name.strip() for name in commands.split(",") if name.strip()]
    if names == []:
        raise ConfigError(
            "--commands names no type: leave it out for all, or name some, as in warm,invalidate"
        )
    calm_collector()
    asyncio.run(_run_to_the_end(replace(loaded, settings=settings, own=own), registry.pick(names)))


def idle() -> None:
    """Touch no server. To end would only make whoever supervises it start it again and again."""
    over = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: over.set())
    get_logger("riptide.worker").warning(
        "persistence is switched off, so there is nothing to do until a signal ends this process",
        setting="enable_persistence",
    )
    over.wait()


def calm_collector() -> None:
    """A worker makes many containers that soon die; by default the collector walks them for nothing, at a
    quarter of the time."""
    gc.freeze()
    gc.set_threshold(200_000, 20, 100)  # above what some thousand commands in hand are made of


async def _run_to_the_end(loaded: Loaded, types: list[CommandType]) -> None:
    await _run(loaded, types)
    # Handlers that swallow their cancellation, and threads that they wait for, would keep it for ever.
    last = threading.Timer(_LEFT_BEHIND_SECONDS, _leave_behind)
    last.daemon = True
    last.start()


def _leave_behind() -> None:
    os.write(2, b"a handler does not end: it is left behind\n")
    os._exit(0)


async def _run(loaded: Loaded, types: list[CommandType]) -> None:
    parts = assemble(None, loaded, blocking=asyncio.to_thread)
    settings, live = parts.settings, parts.live
    # It hears of the configuration with its heartbeats, so it need not ask as other processes do.
    rt = AsyncRipTide(parts, open_async_store(settings))
    beat_store = await asyncio.to_thread(open_store, for_heartbeats(settings))
    try:
        async with make_context(rt) as context:
            configured = Hearing(rt.store, parts.following) if live.follows else None
            worker = Worker(settings, types, rt.store, beat_store, context, SystemClock(), configured)
            live.on_change(("log",), lambda now: log.configure(now.log))
            live.on_change(("workers",), lambda _: worker.renew_slots())
            live.on_change(_SCHEDULES, lambda _: worker.renew_schedules())
            _stop_on_signals(worker)
            watcher = parts.configuration.watcher(SystemClock()) if live.follows else None
            threads = [*keepers(settings), make_archiver(settings), Alarm(settings), watcher, _watch(parts)]
            _serve_metrics(rt)
            with beside(threads, lambda: max(_LEAST_BESIDE_SECONDS, worker.seconds_left)):
                await worker.run()
            if settings.state.checkpoint_on_shutdown:
                Parting(settings, worker.process, worker.seconds_left).wait()
    finally:
        beat_store.close()


def _watch(parts: Parts) -> Watch | None:
    """Who publishes notices, where there is somebody to be told."""
    if parts.settings.webhooks.url is None:
        return None
    return Watch(parts.settings, parts.publisher, new_member(parts.settings.distributed.node_id))


def _serve_metrics(rt: AsyncRipTide) -> None:
    """At a port of this process's own, if there is one. A port that is taken stops no worker."""
    port = rt.settings.performance.metrics_port
    if port is None or not rt.metrics.enabled:
        return
    log = get_logger("riptide.metrics")
    try:
        log.info("metrics are served", port=rt.metrics.serve().port)
    except OSError as error:
        log.warning(
            "metrics are not served: give each process a port, by PERF_METRICS_PORT", error=str(error)
        )


class Hearing:
    """What a worker is told of the configuration by its heartbeats."""

    def __init__(self, store: AsyncStore, following: Following) -> None:
        self._store, self._following = store, following

    @property
    def version(self) -> str:
        return self._following.version

    async def hear(self, version: str) -> None:
        await self._store.drive(self._following.hear(version))


class Beside(Protocol):
    """A thread that does its work beside a worker's."""

    def start(self) -> None: ...

    def stop(self) -> None: ...

    def join(self, timeout: float) -> None: ...


@contextmanager
def beside(threads: Iterable[Beside | None], seconds: Callable[[], float]) -> Iterator[None]:
    """Let threads work meanwhile; in the end all of them have `seconds()` to end, then they are left."""
    started = [thread for thread in threads if thread is not None]
    for thread in started:
        thread.start()
    try:
        yield
    finally:
        for thread in started:
            thread.stop()
        ends_at = time.monotonic() + seconds()
        for thread in started:
            thread.join(max(0.0, ends_at - time.monotonic()))


def archiving(settings: Settings) -> AbstractContextManager[None]:
    """Archive meanwhile, in a thread of its own, if the configuration says so."""
    return beside([make_archiver(settings)], lambda: _BESIDE_SECONDS)


def keepers(settings: Settings) -> list[Beside]:
    """Who looks after the cache's accounts, and after sessions."""
    who = new_member(settings.distributed.node_id)
    return [Keeper(settings, who, partial(open_blobs, settings.blobs)), SessionKeeper(settings, who)]


def keeping_accounts(settings: Settings) -> AbstractContextManager[None]:
    """Look after them meanwhile, each in a thread of its own."""
    return beside(keepers(settings), lambda: _BESIDE_SECONDS)


def for_heartbeats(settings: Settings) -> Settings:
    """A heartbeat that hangs on a dead connection must not keep the next one waiting: that would cost the
    lease."""
    interval = settings.distributed.heartbeat_interval_ms
    timeout = min(settings.redis.command_timeout_ms, interval)
    redis = settings.redis.model_copy(
        update={
            "command_timeout_ms": timeout,
            "connection_timeout_ms": min(settings.redis.connection_timeout_ms, interval),
            "retry_attempts": min(settings.redis.retry_attempts, 1),
        }
    )
    return settings.model_copy(update={"redis": redis})


def _stop_on_signals(worker: Worker) -> None:
    loop = asyncio.get_running_loop()
    asked = False

    def stop(_number: int, _frame: object) -> None:
        nonlocal asked
        if asked:
            os.write(2, b"second signal: stopping at once\n")
            os._exit(STOPPED_AT_ONCE)
        asked = True
        os.write(2, b"stopping when what runs is done; a second signal stops at once\n")
        worker.stop_from_signal(loop)

    # Not the loop's own handlers: they wait for the loop, which a handler may hold.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
